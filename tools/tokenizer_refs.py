"""References for the tokenizer oracle and goldens: vocabularies as GGUF, and the reference tokenizers that
go with them (Hugging Face tokenizers, SentencePiece, tiktoken), built from the same tables."""
import struct
import unicodedata

NORMAL, UNKNOWN, CONTROL, USER, UNUSED, BYTE = 1, 2, 3, 4, 5, 6

# The patterns as published in each tokenizer.json. A list is a sequence of splits; "digits" and
# "punctuation" are the pre-tokenizers of those names. src/text/pre_patterns.h is checked against it.
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace("{1,3}", "")
QWEN35 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
LEAD = r"[^\r\n\p{L}\p{N}]?"
TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
ENDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
GPT4O = f"{LEAD}{UPPER}*{LOWER}+{ENDS}|{LEAD}{UPPER}+{LOWER}*{ENDS}|" + r"\p{N}{1,3}" + TAIL
TEKKEN = f"{LEAD}{UPPER}*{LOWER}+|{LEAD}{UPPER}+{LOWER}*|" + r"\p{N}" + TAIL
DEEPSEEK3 = [
    r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"]
DEEPSEEK_CODER = [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-\ud7ff]+", "digits"]
# DeepSeek LLM lists the letters of scripts with case by range.
CASED = [
    (0x41, 0x5a), (0x61, 0x7a), 0xb5, (0xc0, 0xd6), (0xd8, 0xf6), (0xf8, 0x1ba), (0x1bc, 0x1bf),
    (0x1c4, 0x293), (0x295, 0x2af), (0x370, 0x373), 0x376, 0x377, (0x37b, 0x37d), 0x37f, 0x386,
    (0x388, 0x38a), 0x38c, (0x38e, 0x3a1), (0x3a3, 0x3f5), (0x3f7, 0x481), (0x48a, 0x52f), (0x531, 0x556),
    (0x10a0, 0x10c5), (0x13a0, 0x13f5), (0x13f8, 0x13fd), (0x1c90, 0x1cba), (0x1cbd, 0x1cbf),
    (0x1d00, 0x1d2b), (0x1d6b, 0x1d77), (0x1d79, 0x1d9a), (0x1e00, 0x1f15), (0x1f18, 0x1f1d),
    (0x1f20, 0x1f45), (0x1f48, 0x1f4d), (0x1f50, 0x1f57), 0x1f59, 0x1f5b, 0x1f5d, (0x1f5f, 0x1f7d),
    (0x1f80, 0x1fb4), (0x1fb6, 0x1fbc), 0x1fbe, (0x1fc2, 0x1fc4), (0x1fc6, 0x1fcc), (0x1fd0, 0x1fd3),
    (0x1fd6, 0x1fdb), (0x1fe0, 0x1fec), (0x1ff2, 0x1ff4), (0x1ff6, 0x1ffc), 0x2102, 0x2107,
    (0x210a, 0x2113), 0x2115, (0x2119, 0x211d), 0x2124, 0x2126, 0x2128, (0x212a, 0x212d), (0x212f, 0x2134),
    0x2139, (0x213c, 0x213f), (0x2145, 0x2149), 0x214e, 0x2183, 0x2184, (0x2c00, 0x2c7b), (0x2c7e, 0x2ce4),
    (0x2ceb, 0x2cee), 0x2cf2, 0x2cf3, (0xa640, 0xa66d), (0xa680, 0xa69b), (0xa722, 0xa76f), (0xa771, 0xa787),
    (0xa78b, 0xa78e), (0xab70, 0xabbf), (0xfb00, 0xfb06), (0xfb13, 0xfb17), (0xff21, 0xff3a),
    (0xff41, 0xff5a), (0x10400, 0x1044f), (0x104b0, 0x104d3), (0x104d8, 0x104fb), (0x10c80, 0x10cb2),
    (0x10cc0, 0x10cf2), (0x118a0, 0x118df), (0x1e900, 0x1e943)]
DEEPSEEK_LLM = [
    r"[\r\n]",
    r"\s?[" + "".join(chr(r) if isinstance(r, int) else f"{chr(r[0])}-{chr(r[1])}" for r in CASED) + "]+",
    r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$", "[一-龥ࠀ-一가-\ud7ff]+", r"\p{N}+"]
DIGITS_GPT2 = ["digits", GPT2]
SCHEMES = {  # name: (splits, NFC, ignore_merges)
    "gpt-2": ([GPT2], False, False), "mpt": ([GPT2], True, False),
    "smollm": (DIGITS_GPT2, False, False), "starcoder": (DIGITS_GPT2, False, False),
    "refact": (DIGITS_GPT2, False, False), "command-r": (DIGITS_GPT2, True, False),
    "llama-bpe": ([LLAMA3], False, True), "qwen2": ([QWEN2], True, False),
    "deepseek-r1-qwen": ([QWEN2], False, False), "qwen35": ([QWEN35], True, False),
    "deepseek-llm": (DEEPSEEK_LLM, False, False), "deepseek-coder": (DEEPSEEK_CODER, False, False),
    "deepseek-v3": (DEEPSEEK3, False, False), "gpt-4o": ([GPT4O], False, False),
    "tekken": ([TEKKEN], False, True),
    "falcon": (["punctuation", GPT2, "[0-9][0-9][0-9]"], False, False)}


def write_gguf(path, keys):
    """A GGUF file of keys only. Values: bool, int (u32), float (f32), str or bytes (string), bytearray
    (array of u8), or a list of one kind of these (ints become i32)."""
    def string(s):
        b = s if isinstance(s, bytes) else s.encode()
        return struct.pack("<Q", len(b)) + b

    def value(v):
        if isinstance(v, bool):
            return 7, struct.pack("<?", v)
        if isinstance(v, int):
            return 4, struct.pack("<I", v)
        if isinstance(v, float):
            return 6, struct.pack("<f", v)
        if isinstance(v, (str, bytes)):
            return 8, string(v)
        if isinstance(v, bytearray):
            return 9, struct.pack("<IQ", 0, len(v)) + v
        if v and isinstance(v[0], (str, bytes)):
            return 9, struct.pack("<IQ", 8, len(v)) + b"".join(map(string, v))
        if v and isinstance(v[0], float):
            return 9, struct.pack(f"<IQ{len(v)}f", 6, len(v), *v)
        return 9, struct.pack(f"<IQ{len(v)}i", 5, len(v), *v)

    with open(path, "wb") as f:
        f.write(b"GGUF" + struct.pack("<IQQ", 3, 0, len(keys)))
        for key, v in keys.items():
            kind, body = value(v)
            f.write(string(key) + struct.pack("<I", kind) + body)


def read_gguf(path):
    """tokenizer.ggml.* of a file, without the prefix; strings are str."""
    import gguf
    return {k[len("tokenizer.ggml."):]: f.contents() for k, f in gguf.GGUFReader(path).fields.items()
            if k.startswith("tokenizer.ggml.")}


def byte_alphabet():
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in plain]
    return {**{b: chr(b) for b in plain}, **{b: chr(256 + i) for i, b in enumerate(rest)}}


def tiktoken_merges(ranks):
    """The merge list of a tiktoken table, which joins any two tokens whose whole is a token, by its rank."""
    merges = []
    for token, _ in sorted(ranks.items(), key=lambda x: x[1]):
        cuts = [(token[:i], token[i:]) for i in range(1, len(token))]
        cuts = [(a, b) for a, b in cuts if a in ranks and b in ranks]
        merges += sorted(cuts, key=lambda c: (ranks[c[0]], ranks[c[1]]))
    return merges


def unreachable(ranks):
    """Tokens of a tiktoken table that joining pairs never makes. tiktoken gives them to a word that
    equals one; a list of merges cannot."""
    out = []
    for token in ranks:
        parts = [token[i:i + 1] for i in range(len(token))]
        while len(parts) > 1:
            pairs = [(ranks.get(parts[i] + parts[i + 1]), i) for i in range(len(parts) - 1)]
            best = min((p for p in pairs if p[0] is not None), default=None)
            if best is None:
                out.append(token)
                break
            parts[best[1]:best[1] + 2] = [parts[best[1]] + parts[best[1] + 1]]
    return out


def looks_like_tag(s):
    return len(s) >= 2 and ((s[0] == "<" and s[-1] == ">") or (s[0] == "[" and s[-1] == "]")
                            or "<|" in s or "|>" in s or "｜" in s)


def hf_bpe(tokens, types, merges, pre):
    """The reference for a byte-level vocabulary, on text that nobody trusts: control tokens are left
    out, and so are user-defined ones that look like tags."""
    from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers
    splits, nfc, ignore_merges = SCHEMES[pre]
    vocab = {t: i for i, (t, k) in enumerate(zip(tokens, types)) if k == NORMAL}
    tok = Tokenizer(models.BPE(vocab=vocab, merges=merges, ignore_merges=ignore_merges))
    steps = {"digits": lambda: pre_tokenizers.Digits(individual_digits=True),
             "punctuation": lambda: pre_tokenizers.Punctuation("contiguous")}
    tok.pre_tokenizer = pre_tokenizers.Sequence(
        [steps[s]() if s in steps else pre_tokenizers.Split(Regex(s), "isolated") for s in splits]
        + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    if nfc:
        tok.normalizer = normalizers.NFC()
    user = [(t, i) for i, (t, k) in enumerate(zip(tokens, types)) if k == USER and not looks_like_tag(t)]
    if not user:
        return lambda texts: [e.ids for e in tok.encode_batch(texts, add_special_tokens=False)]
    tok.add_tokens([AddedToken(t, normalized=False) for t, _ in user])
    back = {tok.token_to_id(t): i for t, i in user}
    return lambda texts: [[back.get(i, i) for i in e.ids]
                          for e in tok.encode_batch(texts, add_special_tokens=False)]


def sp_proto(tokens, scores, types, unigram, prefix, squeeze, charsmap, unk):
    """A SentencePiece model file, written field by field."""
    def varint(n):
        out = b""
        while n > 127:
            out += bytes([n & 127 | 128])
            n >>= 7
        return out + bytes([n])

    def field(n, v):
        if isinstance(v, bytes):
            return varint(n << 3 | 2) + varint(len(v)) + v
        if isinstance(v, float):
            return varint(n << 3 | 5) + struct.pack("<f", v)
        return varint(n << 3) + varint(int(v))

    out = b""
    for i, (t, s, k) in enumerate(zip(tokens, scores, types)):
        text = t.replace(" ", "▁") if k == USER else t
        out += field(1, field(1, text.encode()) + field(2, float(s)) + field(3, UNKNOWN if i == unk else k))
    fallback = types.count(BYTE) == 256
    out += field(2, field(3, 1 if unigram else 2) + field(35, fallback) + field(40, unk))
    return out + field(3, field(2, bytes(charsmap)) + field(3, prefix) + field(4, squeeze) + field(5, True))


def sp_reference(proto):
    import sentencepiece
    sp = sentencepiece.SentencePieceProcessor(model_proto=proto)
    return lambda texts: [sp.encode(t) for t in texts]


def nfc(text):
    return unicodedata.normalize("NFC", text)
