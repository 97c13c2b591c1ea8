#!/bin/sh
# Installs into an empty folder, builds examples/chat.c with pkg-config against it, and runs it where a
# model is at hand (FIKR_SMOLLM2). Usage: installed_test.sh BUILD SOURCE
set -eu
build=$1 source=$2
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
DESTDIR=$root meson install -C "$build" --no-rebuild --quiet
prefix=$(meson introspect "$build" --buildoptions |
    python3 -c 'import json,sys; print({o["name"]: o["value"] for o in json.load(sys.stdin)}["prefix"])')
pc=$(find "$root" -name fikr.pc)
[ -n "$pc" ] || { echo "fikr.pc is not installed"; exit 1; }
PKG_CONFIG_PATH=$(dirname "$pc")
PKG_CONFIG_SYSROOT_DIR=$root
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
cc -std=c99 -Wall -Wextra -Werror "$source/examples/chat.c" $(pkg-config --cflags --libs fikr) -o "$root/chat"
libs=$(dirname "$(find "$root" -name 'libfikr.so' | head -n 1)")
LD_LIBRARY_PATH=$libs "$root/chat" 2>/dev/null && exit 1
LD_LIBRARY_PATH=$libs "$root/chat" /nonexistent hello 2>"$root/err" && exit 1
grep -q nonexistent "$root/err"
"$root$prefix/bin/fikr" --help >/dev/null
if [ -n "${FIKR_SMOLLM2:-}" ]; then
    LD_LIBRARY_PATH=$libs "$root/chat" "$FIKR_SMOLLM2" "What is the capital of France?" | grep -q .
    echo "the example answers"
fi
echo "installed, built and run"
