#!/bin/sh
# Configures the build folder once and builds. Usage: tools/build.sh BUILD [meson options]
set -eu
cd "$(dirname "$0")/.."
build=$1
shift
if [ ! -f "$build/build.ninja" ]; then
    meson setup "$build" "$@" >"$build.log" 2>&1 || { cat "$build.log" >&2; rm -f "$build.log"; exit 1; }
    rm -f "$build.log"
fi
if [ -t 1 ]; then exec ninja -C "$build"; else exec ninja -C "$build" --quiet; fi
