#!/usr/bin/env python3
"""Checks puzzles without the program's own arithmetic: every step of every thinking must be true, states
must keep their value from line to line, and the answer must follow from the prompt.

  check_puzzles.py FIKR [N [DATA]]     N puzzles of each family, language and style (default 100)"""
import datetime
import itertools
import json
import re
import subprocess
import sys
from fractions import Fraction

DIGITS = str.maketrans("٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹", "01234567890123456789")
MONTHS = {name: i + 1 for names in (
    "January February March April May June July August September October November December".split(),
    "يناير فبراير مارس أبريل مايو يونيو يوليو أغسطس سبتمبر أكتوبر نوفمبر ديسمبر".split())
    for i, name in enumerate(names)}
DAYS = {name: i for names in (
    "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(),
    "الأحد الاثنين الثلاثاء الأربعاء الخميس الجمعة السبت".split()) for i, name in enumerate(names)}


class Wrong(Exception):
    pass


def need(ok, what):
    if not ok:
        raise Wrong(what)


def value(text):
    """An expression in + - * / and brackets, by Python's own reading."""
    need(re.fullmatch(r"[0-9+\-*/()]+", text), f"no expression: {text}")
    return eval(re.sub(r"(\d+)", r"Fraction(\1)", re.sub(r"\b0+(\d)", r"\1", text)))  # digits and signs only


def numbers(prompt, grouped=False):
    text = prompt.translate(DIGITS)
    text = re.sub(r"(?<=\d),(?=\d{3}(\D|$))", "", text) if grouped else text
    return [int(x) for x in re.findall(r"\d+", text)]


def check_equations(thinking):
    """a+b=c is true, or says "no" right after and is false."""
    n = 0
    for m in re.finditer(r"(?<![\w.)=])(-?[(]*\d[0-9+\-*/()]*[+\-*/][0-9+\-*/()]*)=(-?\d+)( no\b)?", thinking):
        n += 1
        true = value(m[1]) == int(m[2])
        if m[3] or "no" in thinking[m.end():m.end() + 12].split("\n")[0].split(" ")[1:2]:
            if m[3]:
                need(not true, f"'{m[0]}' is true")
            continue
        need(true or SLIPS.search(thinking), f"'{m[0]}' is false")
    return n


SLIPS = re.compile(r"^again$", re.M)


def check_states(thinking):
    """rest:done keeps its value: 4821+997+1:0 is what 48213+9977 was."""
    last = None
    before_again = SLIPS.search(thinking)
    for line in thinking[before_again.end():].split("\n") if before_again else thinking.split("\n"):
        m = re.fullmatch(r"(?:[0-9+\-*]+=\d+ )?(\d+(?:[+\-*]\d+)+)(?::(\d+))?", line)
        done = re.fullmatch(r"[0-9+\-*]+=\d+ (\d+)", line)
        if m:
            text, tail = m[1], m[2] or ""
            if tail and "*" not in text and "-" not in text and "+" in text and last is None:
                last = None
            now = value(text) * 10 ** len(tail) + int(tail or 0)
            begins = "=" not in line
            if last is not None and not begins:
                need(now == last, f"the state '{line}' is {now}, not {last}")
            last = now
        elif done and last is not None:
            need(int(done[1]) == last, f"'{line}' ends a state of {last}")
            last = None
        else:
            last = None


def check_comparisons(thinking):
    for m in re.finditer(r"(?<![\d+\-*/=.])(\d+)([<>])(\d+)", thinking):
        need(int(m[1]) < int(m[3]) if m[2] == "<" else int(m[1]) > int(m[3]), f"'{m[0]}' is false")


def check_nines(thinking, base=9):
    for m in re.finditer(r"^(\d+)((?: \d)+)$", thinking, re.M):
        if len(m[1]) == len(m[2].split()):
            rest = 0
            for digit, r in zip(m[1], m[2].split()):
                rest = (rest * 10 + int(digit)) % base
                need(rest == int(r), f"'{m[0]}' by {base}")


def solve_prompt(p):
    """The answer from the prompt alone, as text, or None where only the checker below can say."""
    prompt, family = p["prompt"].translate(DIGITS), p["family"]
    v = numbers(p["prompt"], family in ("add", "sub", "mul", "div"))
    low = prompt.lower()
    if family == "add":
        return str(v[0] + v[1])
    if family == "mul":
        return str(v[0] * v[1])
    if family == "sub":
        swap = re.search(r"from|من|than|difference|take|subtract", low) and re.search(
            r"(subtract|take|taking) \d|subtract  *\d|takes?  *\d|(طرح|اطرح|خذ|أنقص|طرحنا|أخذنا) ", low)
        result = v[1] - v[0] if swap else v[0] - v[1]
        return str(result)
    if family == "div":
        a, b = (v[1], v[0]) if re.search("into|fit in|كم +مرة", low) else (v[0], v[1])
        if re.search(r"mod|remainder|left over|%|باقي|يبقى|الباقي", low) and not re.search(
                r"with *(the)? *remainder|مع +الباقي|divide[^a-z]*\d.*with", low):
            return str(a % b)
        return str(a // b) + (f" r {a % b}" if a % b else "")
    if family == "sort":
        down = re.search(r"desc|largest +to|high +to|big +to|decreasing|reverse|تنازل|الأكبر +إلى", low)
        return " ".join(map(str, sorted(v, reverse=bool(down))))
    return None


def check_countdown(p):
    v = numbers(p["prompt"])
    target = int(value(p["answer"]))
    need(target in v, f"{p['answer']} gives {target}")
    v.remove(target)
    need(sorted(v) == sorted(map(int, re.findall(r"\d+", p["answer"]))), "other numbers are used")


def check_paren(p):
    text = p["prompt"].translate(DIGITS).lower().replace("×", "*").replace("÷", "/").replace("−", "-")
    text = re.sub(r"(?<=[\d) ])x(?=[\d( ])", "*", text)
    m = re.search(r"[(\d][\d+\-*/() ]*[\d)]", text)
    need(value(m[0].replace(" ", "")) == int(p["answer"]), f"{m[0]} is not {p['answer']}")


def check_paren_lines(p):
    """Each line's rest has the value of the whole."""
    for line in p["thinking"].split("\n"):
        if not line or line.endswith("no"):
            continue
        rest = line.split(" ")[-1]
        rest = rest.split("=")[-1] if "=" in rest else rest
        need(value(rest) == int(p["answer"]), f"'{line}' changes the value")


MONTH_LENGTHS = {1: (31,), 2: (28, 29), 3: (31,), 4: (30,), 5: (31,), 6: (30,), 7: (31,), 8: (31,), 9: (30,), 10: (31,),
                 11: (30,), 12: (31,)}


def check_span(lines, a, b, c, d):
    """The lines between day b of month a and day d of month c, each sum from the one before; returns the last."""
    last = None
    for month, line in zip(range(a, c + 1), lines):
        m = re.fullmatch(r"(\d+)(?: \d+:4 \d+ ([0-3]))? (\d+)(?:-(\d+)=(\d+)| (\d+)\+(\d+)=(\d+))", line)
        need(m and int(m[1]) == month, f"'{line}': month {month}")
        need(int(m[3]) == d if month == c else int(m[3]) in MONTH_LENGTHS[month], f"'{line}': days")
        need(m[2] is None or (m[2] == "0") == (m[3] == "29"), f"'{line}': leap year")
        need(m[4] == str(b) if month == a else (m[6], m[7]) == (str(last), m[3]), f"'{line}' after {last}")
        last = int(m[5] or m[8])
    need(len(lines) == c - a + 1, "months are missing")
    return last


def check_chain(p):
    """Dates: the first line is the question, what one line finds the next one starts from, and the answer is the last."""
    lines = [x for x in p["thinking"].split("\n") if not x.endswith((" no", "ok"))]
    text = re.sub(r"\s+", " ", p["prompt"].translate(DIGITS))
    dates, head = find_dates(text), lines[0]
    if not dates or re.fullmatch(r"\d{4}\.\d+\.\d+", head):
        m = re.fullmatch(r"(\d) (\S+)", lines[-1])
        need(m and DAYS.get(m[2]) == int(m[1]) and m[2] == p["answer"], f"'{lines[-1]}' at the end")
        if dates:
            need(head == ".".join(map(str, dates[0])), f"'{head}' of {dates}")
        else:
            m = re.fullmatch(r"(\d)([+-])(\d+)", head)
            known = {k.lower(): v for k, v in DAYS.items()}
            day = next(known[w.lower()] for w in re.findall(r"[^\W\d]+", text) if w.lower() in known)
            back = re.search(r"before|ago|قبل", text, re.I)
            need(m and int(m[1]) == day and int(m[3]) == numbers(text, True)[0] and (m[2] == "-") == bool(back), f"'{head}'")
        return
    if len(dates) == 2:
        (_, a, b), (_, c, d) = dates
        need(head == f"{a}.{b}:{c}.{d}", f"'{head}' of {dates}")
        if a == c:
            need(lines[1:] == [f"{d}-{b}={p['answer']}"], f"'{lines[1:]}'")
            return
        last = check_span(lines[1:], a, b, c, d)
        need(last == int(p["answer"]), f"ends in {last}")
        return
    _, a, b = dates[0]
    m = re.fullmatch(rf"{a}\.{b}\+(\d+)", head)
    need(m and lines[1] == f"{b}+{m[1]}={b + int(m[1])}", f"'{head}' of {dates}")
    month, day = a, b + int(m[1])
    for line in lines[2:]:
        n = re.fullmatch(r"(\d+)(?: \d+:4 \d+ ([0-3]))? (\d+)([<>=])(\d+)(?: (\d+)-(\d+)=(\d+))?", line)
        need(n and int(n[1]) == month and int(n[5]) == day and int(n[3]) in MONTH_LENGTHS[month], f"'{line}' of {month}")
        need(n[2] is None or (n[2] == "0") == (n[3] == "29"), f"'{line}': leap year")
        need((n[4] == "<") == (n[6] is not None) and (n[4] != "=" or n[3] == n[5]), f"'{line}': sign")
        if n[6]:
            need((n[6], n[7]) == (n[5], n[3]), f"'{line}'")
            day, month = int(n[8]), month + 1
    need(find_dates(p["answer"])[0][1:] == (month, day), f"ends in {month}.{day}")


def check_head(p):
    """The first line takes its numbers from the prompt."""
    v = set(numbers(p["prompt"], True)) | set(numbers(p["prompt"]))
    head = [int(x) for x in re.findall(r"\d+", p["thinking"].split("\n")[0].split("=")[0].split("r")[0])]
    need(set(head) <= v, f"the first line has {head}")


def find_dates(text):
    names = "|".join(list(MONTHS) + [m.lower() for m in MONTHS] + [m.upper() for m in MONTHS])
    known = {k.lower(): v for k, v in MONTHS.items()}
    out = []
    for m in re.finditer(rf"(\d{{4}})-(\d\d)-(\d\d)|(\d{{1,2}}) +({names})(?:,? +(\d{{4}}))?"
                         rf"|({names}) +(\d{{1,2}})(?:,? +(\d{{4}}))?", text, re.I):
        if m[1]:
            out.append((int(m[1]), int(m[2]), int(m[3])))
        elif m[4]:
            out.append((int(m[6] or 0), known[m[5].lower()], int(m[4])))
        else:
            out.append((int(m[9] or 0), known[m[7].lower()], int(m[8])))
    return out


def check_calendar(p):
    text = re.sub(r"\s+", " ", p["prompt"].translate(DIGITS))
    dates, answer = find_dates(text), p["answer"]
    if not dates:
        known = {k.lower(): v for k, v in DAYS.items()}
        day = next(known[w.lower()] for w in re.findall(r"[^\W\d]+", text) if w.lower() in known)
        n = numbers(text, True)[0]
        back = re.search(r"before|ago|قبل", text, re.I)
        need(DAYS[answer] == (day - n if back else day + n) % 7, "wrong weekday")
        return
    year = max(d[0] for d in dates) or 2001
    first = datetime.date(year, *dates[0][1:])
    if len(dates) == 2:
        need(int(answer) == (datetime.date(year, *dates[1][1:]) - first).days, "wrong number of days")
    elif answer in DAYS:
        need(DAYS[answer] == first.isoweekday() % 7, "wrong weekday")
    else:
        rest = re.sub(r"\d{4}-\d\d-\d\d", "", text)
        for d in dates[0]:
            rest = re.sub(rf"\b{d}\b", "", rest, count=1) if d else rest
        spans = [int(x) for x in re.findall(r"\d+", text)]
        out = find_dates(answer)[0]
        need(any(first + datetime.timedelta(days=s) == datetime.date(year, *out[1:]) for s in spans),
             "wrong date")


def check_floor(thinking):
    """26:4 6 2 is a quotient with its remainder (calendar)."""
    for m in re.finditer(r"(?:^| )(\d+):4 (\d+) (\d)( no)?", thinking, re.M):
        need((int(m[1]) // 4 == int(m[2])) == (m[4] is None) and int(m[1]) % 4 == int(m[3]), f"'{m[0]}'")


def check_division(thinking, answer):
    """48|21 ... 13: what was divided so far times the divisor, the rest and the digits to come."""
    head = re.match(r"(\d+)[/%](\d+)\n", thinking)
    need(head, "no question in the first line")
    a, b = head[1], int(head[2])
    rest = int(a) % b
    whole = f"{int(a) // b} r {rest}" if rest else str(int(a) // b)
    need(answer == (str(rest) if "%" in head[0] else whole), "the sign of the question")
    for line in thinking.split("\n")[1:]:
        for i, m in re.findall(r"(\d):(\d+)", line) if ":" in line else []:
            need(int(i) * b == int(m), f"{i} times {b} is not {m}")
        m = re.match(r"(\d+)\|(\d*) .*?(\d+)$", line)
        if m:
            read = a[:len(a) - len(m[2])]
            need(a.endswith(m[2]) and int(read) // b == int(m[3]), f"'{line}' of {a}/{b}")
            need(int(m[1]) // b == int(m[3]) % 10, f"'{line}': digit")
            for x, y, u, sign, v in re.findall(r"(?<= )(\d+)=(\d+) (\d)([<>=])(\d)(?= )", line):
                need(x == y and (u == v) == (sign == "="), f"'{line}': last digits")


def four_values(x, y):
    x, y = sorted((int(x), int(y)), reverse=True)
    v = [x + y, x - y, x * y, x // y if x % y == 0 else 0]
    return ["." if not 0 < w <= 300 else str(w) for w in v]


def check_countdown_lines(thinking):
    """What target and one number need; what the others give, each with an n until one is needed."""
    for line in thinking.split("\n")[1:-1]:
        m = re.match(r"(\d+) (\d+):((?:[\d.]+ ){4})(\d+) (\d+):([\d.n ]+?)(ok|no)$", line)
        need(m, f"'{line}'")
        needed, given = four_values(m[1], m[2]), four_values(m[4], m[5])
        need(m[3].split() == needed, f"'{line}' should need {needed}")
        hit = next((i for i, v in enumerate(given) if v != "." and v in needed), None)
        want = [v if v == "." or i == hit else v + "n" for i, v in enumerate(given)]
        need((m[7] == "ok") == (hit is not None), f"'{line}': {m[7]}")
        need(m[6].split() == want[:4 if hit is None else hit + 1], f"'{line}' should give {want}")


def check_sort_lines(p):
    v = []
    first, *_ = p["thinking"].split("\n")
    way = re.findall(r"-?\d+", p["answer"])
    need(first in ("<", ">") and sorted(map(int, way), reverse=first == ">") == list(map(int, way)), f"'{first}'")
    lines = [line for line in p["thinking"].split("\n") if line.endswith("no") or ":" in line]
    for line in lines:
        m = re.match(r"(\d+):([\d ]+?)( no)?$", line)
        need(m, f"'{line}'")
        got = [int(x) for x in m[2].split()]
        if m[3]:
            need(got not in (sorted(got), sorted(got, reverse=True)), f"'{line}' is sorted") if len(got) > 2 else None
            continue
        v.append(int(m[1]))
        need(sorted(got) == sorted(v), f"'{line}' holds other numbers")
        need(got == sorted(v, reverse=first == ">"), f"'{line}' is not sorted")


def check_gcd(p):
    import math
    need(math.gcd(*numbers(p["prompt"])) == int(p["answer"]), "wrong divisor")


def check_sequence(p):
    v = [int(x) for x in re.findall(r"-?\d+", p["prompt"].translate(DIGITS))]
    diffs = [b - a for a, b in zip(v, v[1:])]
    growth = [b - a for a, b in zip(diffs, diffs[1:])]
    if len(set(diffs)) == 1:
        want = v[-1] + diffs[0]
    elif all(b * v[0] == a * v[1] for a, b in zip(v, v[1:])):
        want = v[-1] * v[1] // v[0]
    elif len(set(growth)) == 1:
        want = v[-1] + diffs[-1] + growth[0]
    else:
        need(all(c == a + b for a, b, c in zip(v, v[1:], v[2:])), "no rule")
        want = v[-1] + v[-2]
    need(want == int(p["answer"]), f"the next is {want}")


def check_equation(p):
    text = p["prompt"].translate(DIGITS).lower().replace("−", "-")
    m = re.search(r"((?:\d*x|\d+)(?: *[+\-] *(?:\d*x|\d+))*) *= *((?:\d*x|\d+)(?: *[+\-] *(?:\d*x|\d+))*)",
                  text)
    x = int(p["answer"].removeprefix("x="))
    left, right = (value(re.sub(r"(\d)x", r"\1*x", side.replace(" ", "")).replace("x", f"{x}"))
                   for side in m.groups())
    need(left == right, f"{m[0]} with x={x}")
    for line in p["thinking"].split("\n")[1:]:  # each rewritten equation has the same solution
        m = re.search(r" (\S*x\S*)=(\S+)$", line)
        if m and not line.startswith("x="):
            sides = [value(re.sub(r"(\d)x", r"\1*x", side).replace("x", f"{x}")) for side in m.groups()]
            need(sides[0] == sides[1], f"'{m[0]}' with x={x}")


def check_letters(p):
    words = re.findall(r"[^\W\d_]+", p["prompt"].lower().replace("'s", ""))
    if p["answer"].isdigit():
        need(any(w.count(k) == int(p["answer"]) for w in words for k in words if len(k) == 1 and k != w),
             "wrong count")
    else:
        need(p["answer"][::-1] in words, "not the word backwards")
        steps = p["thinking"].split()
        need(not steps or steps[-1] == p["answer"], "ends elsewhere")
        need(all(b[1:] == a for a, b in zip(steps, steps[1:])), "a letter goes elsewhere")
        return
    if p["thinking"]:
        plain = re.sub(r"\d+ no", "", p["thinking"])
        need(re.sub(r"[\d ]", "", plain) in words, "other letters are counted")
        marked = re.findall(r"([^\W\d])(\d+)", plain)
        need([int(n) for _, n in marked] == list(range(1, len(marked) + 1)), "the count jumps")
        need(len(marked) == int(p["answer"]) and len({k for k, _ in marked}) <= 1, "wrong marks")


EXTRA = {"gcd": check_gcd, "sequence": check_sequence, "equation": check_equation,
         "letters": check_letters}


def check(p):
    thinking, family = p["thinking"], p["family"]
    if family == "outside":
        need("/model smollm2" in p["answer"], "no way out is named")
        return
    check_comparisons(thinking)
    if family == "calendar":
        check_nines(thinking.split("\n")[1] if thinking and not find_dates(p["prompt"].translate(DIGITS)) else
                    "\n".join(thinking.split("\n")[-3:]), 7)
        check_floor(thinking)
        check_calendar(p)
    elif "mod 9" in thinking:
        for part in thinking.split("mod 9\n")[1:]:
            check_nines("\n".join(part.split("\n")[:3]))
    if family in ("add", "sub", "mul"):
        check_states(thinking)
        need(not SLIPS.search(thinking) or thinking.endswith("ok") or re.search(r"ok\n-\d+$", thinking),
             "does not end well")
        last = thinking.split("again")[-1]
        need(not SLIPS.search(last), "again")
        check_equations(last)
    else:
        check_equations(thinking)
    if family == "countdown":
        check_countdown(p)
        if p["level"] < 6:
            check_countdown_lines(thinking)
    if family == "div" and thinking:
        check_division(thinking, p["answer"])
    if family in ("add", "sub", "mul", "div", "paren", "gcd") and thinking:
        check_head(p)
    if family == "paren":
        check_paren(p)
        check_paren_lines(p)
    if family == "calendar" and thinking:
        check_chain(p)
    if family == "sort" and thinking:
        check_sort_lines(p)
    if family in EXTRA:
        EXTRA[family](p)
    answer = solve_prompt(p)
    need(answer is None or answer == p["answer"], f"the prompt's answer is {answer}")


def make(fikr, *args):
    r = subprocess.run([fikr, "puzzles", "--json", *map(str, args)], capture_output=True)
    if r.returncode:
        sys.exit(r.stderr.decode())
    return json.loads(r.stdout)["puzzles"]


def main():
    fikr = sys.argv[1]
    n = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    data = ["--data", sys.argv[3]] if len(sys.argv) > 3 else []
    families = sorted({p["family"] for p in make(fikr, "-n", 500)})
    bad = total = 0
    for family, style, lang, split in itertools.product(
            families, ("direct", "stepwise", "search"), ("en", "ar"), ("train", "test", "longer", "unseen")):
        for p in make(fikr, "--family", family, "--style", style, "--lang", lang, "--split", split, "-n",
                      n, "--seed", 11, *data):
            total += 1
            try:
                check(p)
            except Exception as e:  # a check that cannot read a text is a finding too
                bad += 1
                if bad <= 20:
                    print(f"{family} {style} {lang} {split}: {e}\n{p['prompt']}\n{p['thinking']}\n"
                          f"=> {p['answer']}\n")
    print(f"{total} puzzles of {len(families)} families, {bad} findings")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
