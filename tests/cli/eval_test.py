"""`fikr eval` on a tiny random model: what it prints, that company does not change a reply, and what it
refuses."""
import json
import unittest

import support
from support import ROOT, Case

TINY = ROOT / "tests/golden/llama.gguf"


class Eval(Case):
    def run_eval(self, *args):
        r = self.fikr("eval", "puzzles", "-m", TINY, "--count", "3", "-n", "6", "--ctx", "256", *args)
        self.assertEqual((r.returncode, r.stderr), (0, b""))
        return r.stdout

    def test_json_counts(self):
        doc = json.loads(self.run_eval("--json", "--samples", "2", "--out", self.dir / "replies"))
        self.assertEqual(doc["suite"], "puzzles")
        self.assertEqual(sum(g["n"] for g in doc["groups"]), doc["all"]["n"])
        for g in doc["groups"]:
            self.assertAlmostEqual(g["without_thinking"] + g["stepwise"] + g["search"], 1)
            self.assertTrue(0 <= g["low"] <= g["accuracy"] <= g["high"] <= 1)
            self.assertTrue(g["accuracy"] <= g["pass_at_k"] <= 1)
        lines = [json.loads(x) for x in (self.dir / "replies").read_text().splitlines()]
        self.assertEqual(len(lines), doc["all"]["n"])
        self.assertEqual(sum(x["verdict"] == "right" for x in lines), doc["all"]["right"])
        self.assertEqual({x["sample"] for x in lines}, {0, 1})

    def test_company_changes_nothing(self):
        said = []
        for at_once in ("1", "7"):
            path = self.dir / at_once
            self.run_eval("--at-once", at_once, "--out", path)
            rows = [json.loads(x) for x in path.read_text().splitlines()]
            said.append(sorted((x["item"], x["answer"]) for x in rows))
        self.assertEqual(*said)

    def test_one_family_table(self):
        text = self.run_eval("--family", "add", "--level", "1", "--lang", "ar").decode()
        self.assertRegex(text, r"(?m)^add +3 .*%")
        self.assertNotIn("all", text)

    def test_families_by_list(self):
        doc = json.loads(self.run_eval("--json", "--family", "sort,add"))
        self.assertEqual([g["name"] for g in doc["groups"]], ["add", "sort"])
        one = json.loads(self.run_eval("--json", "--family", "sort"))
        self.assertEqual(one["groups"][0], doc["groups"][1])

    def test_refuses(self):
        self.refused("eval", says="puzzles")
        for verb in (("puzzles",), ("eval", "puzzles", "-m", TINY)):
            self.refused(*verb, "--family", "chess", says="called chess; there are add, sub, mul, div")
        self.refused("eval", "chess", "-m", TINY, says="no suite called chess")
        self.refused("eval", "puzzles", "--family", "chess", "-m", TINY, says="family.*chess")
        self.refused("eval", "puzzles", "--family", "add,", "-m", TINY, says="called ; there are")
        self.refused("eval", "svamp", "-m", TINY, says="--data")
        self.refused("eval", "svamp", "-m", TINY, "--data", self.dir, says="SVAMP.json")
        self.refused("eval", "puzzles", "-m", TINY, "--level", "9", says="level")


if __name__ == "__main__":
    support.main()
