#!/bin/sh
# Builds checkkern for aarch64 (kernels, tensor and checkkern only: no library) and runs it under
# qemu-user for the masks ref, neon and dotprod.
#   run_qemu.sh SOURCE_ROOT BUILD_FOLDER
# Ends with 77 and a reason when the cross compiler or qemu is absent.
set -eu
root=$1 out=$2/checkkern-aarch64
cc=${AARCH64_CC:-aarch64-linux-gnu-gcc} qemu=${QEMU_AARCH64:-qemu-aarch64}
for tool in "$cc" "$qemu"; do
    if ! command -v "$tool" >/dev/null 2>&1; then
        echo "skipped: $tool is not installed (gcc-aarch64-linux-gnu, qemu-user)"
        exit 77
    fi
done
mkdir -p "$out"
cd "$root"
flags="-std=gnu11 -O2 -D_GNU_SOURCE -I. -Iinclude -ffp-contract=off -fno-math-errno -Wall -Wextra
 -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes"
objects=
for file in src/kernels/*.c src/kernels/ref/*.c src/kernels/arm/*.c src/tensor/*.c src/base/crc32c.c \
    tests/checkkern/*.c; do
    case $file in
    *_dotprod.c) isa=-march=armv8.2-a+dotprod ;;
    *) isa= ;;
    esac
    object=$out/$(echo "$file" | tr / _).o
    # shellcheck disable=SC2086
    $cc $flags $isa -c "$file" -o "$object"
    objects="$objects $object"
done
# shellcheck disable=SC2086
$cc -static -o "$out/checkkern" $objects -lm
for mask in ref neon dotprod; do
    "$qemu" -cpu max "$out/checkkern" --mask "$mask"
done
# A CPU without the dot product: an SDOT that slipped into a baseline kernel ends in SIGILL.
"$qemu" -cpu cortex-a53 "$out/checkkern" --mask neon
