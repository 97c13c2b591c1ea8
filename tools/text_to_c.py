#!/usr/bin/env python3
"""text_to_c.py IN OUT NAME - a file as C source: const char NAME[] and const size_t NAME_bytes."""
import sys

data = open(sys.argv[1], "rb").read()
name = sys.argv[3]
with open(sys.argv[2], "w") as f:
    f.write("#include <stddef.h>\n")
    f.write(f"extern const char {name}[];\nextern const size_t {name}_bytes;\n")
    f.write(f"const char {name}[] = {{\n")
    for i in range(0, len(data), 24):
        f.write(",".join(str(b - 256 if b > 127 else b) for b in data[i:i + 24]) + ",\n")
    f.write(f"0}};\nconst size_t {name}_bytes = {len(data)};\n")
