#!/usr/bin/env python3
"""Writes tests/golden/tokenizer/: tiny vocabularies trained here on the texts below, and the ids that
the reference tokenizers (Hugging Face tokenizers, SentencePiece) give. Needs the oracle's Python packages.

  bpe.gguf, spm-prefix.gguf, spm-plain.gguf, unigram.gguf   vocabularies without a pre-tokenizer's name
  texts.txt       one text a line, in hexadecimal
  NAME.ids        for line k of texts.txt its ids; bpe has one file per pre-tokenizer

With the path of SmolLM2's GGUF file as argument it also writes smollm2.ids."""
import io
import random
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import tokenizer_refs as refs

OUT = Path(__file__).resolve().parent.parent / "tests/golden/tokenizer"
TEXTS = [
    "Hello, world! The quick brown fox jumps over the lazy dog; it's the dog's day, they'll say.",
    "I'M sure WE'LL see: you're, I've, I'd, can't. 'Tis 'ſo. O'Reilly's", "  two  spaces   three\ttab\n\nnew\r\nlines \n ",
    "In 2024, 1234567 people paid $3.50 (or 3,50 €) for 12½ kg - that's 100%!", "def f(x):\n    return x*x + 1  # square\n",
    "for (int i = 0; i < n; i++) { sum += a[i]->b; } // \"done\" \\ `tick` ~tilde~ ^caret^ |pipe|",
    "كان يا ما كان في قديم الزمان، ملكٌ حكيمٌ يحبُّ العِلم. ١٢٣٤ سنة؟ نعم!", "الشَّمْسُ والقَمَرُ: اللغة العربية جميلة جدًّا",
    "我喜欢学习中文，因为它很有意思。今天是2024年3月5日！你好吗？", "日本語のテキスト、ひらがなとカタカナと漢字。", "한국어 문장도 조금 있어요. 안녕하세요!",
    "Привет, мир! Как дела? ЁЛКА", "Ελληνικά: ἀρχὴ ἥμισυ παντός", "हिन्दी में १२३ लिखा है।", "שלום עולם",
    "😀😃 👩\u200d👩\u200d👧\u200d👦 🇸🇦🇨🇳 ❤️ 👍🏽!", "e\u0301 \u0301x a\u0316\u0301 \u1100\u1161\u11a8 ﬁ Å ẛ̣ 가", "\u00a0nbsp\u2003em\u3000ideographic\u180emvs\u0085nel\u2028ls",
    "<|end|> <think> </think> <s> </s> [INST] x▁y▁", "ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ", "........ .. . !!!???", " ", "\n", "\n\n\n", "    ", "\t", "a", " a",
    "'", "''s", "x's", "١", "½", "²³", "\x00\x01\x7f", "~!@#$%^&*()_+{}|:\"<>?`-=[]\\;',./", "camelCaseWords HTTPServer XMLHttpRequest iPhone",
    "1 12 123 1234 12345 123456 1234567", "a1b2c3 x_1 __init__ 3D 4K", "http://example.org/a?b=c&d=e#f", "\ufdfa\ufb01\uff21\uff42 \ufeffbom",
    "trailing space ", "trailing spaces   ", "line\n  indented\n\tmore\n", "\r\n\r\n", " \n \n", "mixed 中文 and English 和 العربية 123"]
NOT_TRAINED_ON = ["\u061d\u061f \u166d\u2e42\u2e43! \u0c84.",  # punctuation, old and new
                  "a ▁b▁ ▁▁▁c▁▁ d\n▁\n ▁"]  # spaces that SentencePiece takes for its own
SCHEMES = ["gpt-2", "smollm", "llama-bpe", "qwen2", "qwen35", "deepseek-llm", "deepseek-coder", "deepseek-v3",
           "gpt-4o", "tekken", "falcon"]


def all_texts():
    rng = random.Random(7)
    out = list(TEXTS)
    letters = "".join(sorted(set("".join(TEXTS))))
    for _ in range(30):
        out.append("".join(rng.choice(letters) for _ in range(rng.randrange(3, 25))))
    return out + NOT_TRAINED_ON


def write_ids(name, ids):
    (OUT / f"{name}.ids").write_text("".join(" ".join(map(str, x)) + "\n" for x in ids))


def make_bpe(texts):
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.train_from_iterator(TEXTS * 2, trainers.BpeTrainer(
        vocab_size=700, min_frequency=2, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    import json
    model = json.loads(tok.to_str())["model"]
    tokens = [t for t, _ in sorted(model["vocab"].items(), key=lambda x: x[1])]
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in model["merges"]]
    types = [refs.NORMAL] * len(tokens) + [refs.CONTROL, refs.USER, refs.USER]
    tokens += ["<|end|>", "<think>", "    "]
    refs.write_gguf(OUT / "bpe.gguf", {
        "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.merges": [" ".join(m) for m in merges]})
    for pre in SCHEMES:
        write_ids(pre, refs.hf_bpe(tokens, types, merges, pre)(texts))


def charsmap_of(proto):
    """normalizer_spec.precompiled_charsmap: fields 3 and 2 of the messages."""
    def fields(b):
        at = 0

        def varint():
            nonlocal at
            n = shift = 0
            while True:
                n |= (b[at] & 127) << shift
                shift += 7
                at += 1
                if not b[at - 1] & 128:
                    return n
        while at < len(b):
            key = varint()
            if key & 7 == 2:
                n = varint()
                yield key >> 3, b[at:at + n]
                at += n
            elif key & 7 == 5:
                yield key >> 3, b[at:at + 4]
                at += 4
            else:
                yield key >> 3, varint()
    return next((v for k, m in fields(proto) if k == 3 for f, v in fields(m) if f == 2), b"")


def make_sp(name, texts, unigram, **options):
    import sentencepiece as spm
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 4), model_writer=model, vocab_size=640, byte_fallback=True,
        model_type="unigram" if unigram else "bpe", character_coverage=0.98, hard_vocab_limit=False,
        minloglevel=2, num_threads=1, **options)
    proto = model.getvalue()
    sp = spm.SentencePieceProcessor(model_proto=proto)
    user = options.get("user_defined_symbols", [])
    tokens = [sp.id_to_piece(i) for i in range(sp.vocab_size())]
    types = [refs.UNKNOWN if sp.is_unknown(i) else refs.CONTROL if sp.is_control(i) else
             refs.BYTE if sp.is_byte(i) else refs.USER if tokens[i] in user else refs.NORMAL
             for i in range(len(tokens))]
    keys = {
        "tokenizer.ggml.model": "t5" if unigram else "llama",
        "tokenizer.ggml.tokens": [t.replace("▁", " ") if k == refs.USER else t for t, k in zip(tokens, types)],
        "tokenizer.ggml.scores": [sp.get_score(i) for i in range(len(tokens))],
        "tokenizer.ggml.token_type": types, "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.add_space_prefix": options.get("add_dummy_prefix", True)}
    if unigram:
        keys["tokenizer.ggml.remove_extra_whitespaces"] = options["remove_extra_whitespaces"]
        keys["tokenizer.ggml.precompiled_charsmap"] = bytearray(charsmap_of(proto))
    refs.write_gguf(OUT / f"{name}.gguf", keys)
    write_ids(name, [sp.encode(t) for t in texts])


def make_smollm2(path, texts):
    v = refs.read_gguf(path)
    merges = [tuple(m.split(" ")) for m in v["merges"]]
    write_ids("smollm2", refs.hf_bpe(v["tokens"], v["token_type"], merges, v["pre"])(texts))


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    texts = all_texts()
    (OUT / "texts.txt").write_text("".join(t.encode().hex() + "\n" for t in texts))
    make_bpe(texts)
    make_sp("spm-prefix", texts, False, normalization_rule_name="identity", remove_extra_whitespaces=False)
    make_sp("spm-plain", texts, False, normalization_rule_name="identity", remove_extra_whitespaces=False,
            add_dummy_prefix=False, user_defined_symbols=["▁▁", "▁▁▁▁", "\n", "\n\n"])
    rules = OUT / "rules.tsv"
    pairs = {"ﬁ": "fi", "Ａ": "A", "ｂ": "b", "\u00a0": " ", "\u3000": " ", "\t": " ", "\n": " ", "½": "1/2",
             "e\u0301": "é", "\ufeff": "", "\ufdfa": "صلى الله عليه وسلم"}
    rules.write_text("".join(" ".join(f"{ord(c):X}" for c in a) + "\t" + " ".join(f"{ord(c):X}" for c in b) + "\n"
                             for a, b in pairs.items()))
    make_sp("unigram", texts, True, normalization_rule_tsv=str(rules), remove_extra_whitespaces=True)
    rules.unlink()
    if len(sys.argv) > 1:
        make_smollm2(sys.argv[1], texts)
    print(f"{sum(p.stat().st_size for p in OUT.iterdir())} bytes in {OUT.name}")


if __name__ == "__main__":
    main()
