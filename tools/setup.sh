#!/bin/sh
# Installs what is missing on Debian or Ubuntu. Prints what and how many MB before it asks for rights,
# once. Running it again does nothing. Usage: tools/setup.sh [check|oracle|fuzz]
set -eu
cd "$(dirname "$0")/.."
tier=${1:-build}

# command-or-header : Debian package
need_build='
meson:meson
ninja:ninja-build
pkg-config:pkg-config
python3:python3
@pip:python3-pip
/usr/include/pcre2.h:libpcre2-dev
/usr/include/utf8proc.h:libutf8proc-dev
/usr/include/jansson.h:libjansson-dev
/usr/include/histedit.h:libedit-dev
@openblas:libopenblas-dev
@curl:libcurl4-gnutls-dev
/usr/include/gnutls/gnutls.h:libgnutls28-dev
'
need_check='
/usr/include/cmocka.h:libcmocka-dev
g++:g++
aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu
/usr/aarch64-linux-gnu/include/stdio.h:libc6-dev-arm64-cross
qemu-aarch64:qemu-user
'
need_fuzz='
clang:clang
@fuzzer:libclang-rt-14-dev
'
need_oracle='
@venv:python3-venv
cmake:cmake
g++:g++
'

# GCC 12 drops part of llama.cpp's configuration of AMX tiles, whose first load is an illegal instruction
# then; clang does not.
peer_args=-DGGML_NATIVE=ON
if grep -qsw amx_int8 /proc/cpuinfo; then
    need_oracle="$need_oracle
clang:clang
@omp:libomp-dev
"
    peer_args="$peer_args -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++"
fi

has() {
    case $1 in
    @pip) python3 -m pip --version >/dev/null 2>&1 ;;
    @venv) python3 -c 'import ensurepip' >/dev/null 2>&1 ;;
    @openblas) pkg-config --exists openblas 2>/dev/null ;;
    @curl) pkg-config --exists libcurl 2>/dev/null ;;
    @fuzzer) ls /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a >/dev/null 2>&1 ;;
    @omp) ls /usr/lib/llvm-*/lib/libomp.so >/dev/null 2>&1 ;;
    /*) [ -e "$1" ] ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

missing() {
    for row in $1; do
        has "${row%%:*}" || printf '%s ' "${row#*:}"
    done
}

install_packages() {
    packages=$1
    [ -n "$packages" ] || return 0
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "fikr needs these packages (Debian's names): $packages" >&2
        echo "Please install them and type the command again." >&2
        exit 1
    fi
    if [ "$(id -u)" = 0 ]; then as_root=; else as_root=sudo; fi
    # A machine that never ran apt-get update knows no sizes and no packages.
    if ! apt-cache show $packages >/dev/null 2>&1; then
        echo "Reading the list of packages${as_root:+ (asks for your password)} ..." >&2
        $as_root apt-get update -qq
    fi
    size=$(apt-get install --no-install-recommends --print-uris -qq -y $packages 2>/dev/null |
        awk '{s += $3} END {printf "%.0f", s / 1e6}')
    echo "fikr needs: $packages" >&2
    echo "That downloads about ${size:-?} MB${as_root:+; sudo asks for your password}." >&2
    if [ -t 0 ] && [ "${CI:-}" != true ] && [ -n "$as_root" ]; then
        printf 'Go on? [Y/n] ' >&2
        read -r answer
        case $answer in [nN]*) exit 1 ;; esac
    fi
    DEBIAN_FRONTEND=noninteractive $as_root apt-get install --no-install-recommends -y -qq $packages \
        >/dev/null || {
        $as_root apt-get update -qq
        DEBIAN_FRONTEND=noninteractive $as_root apt-get install --no-install-recommends -y -qq $packages >/dev/null
    }
}

want=$(missing "$need_build")
case $tier in
check) want="$want$(missing "$need_check")" ;;
fuzz) want="$want$(missing "$need_fuzz")" ;;
oracle) want="$want$(missing "$need_oracle")" ;;
build) ;;
*) echo "usage: tools/setup.sh [check|oracle|fuzz]" >&2; exit 2 ;;
esac
install_packages "$want"

if [ "$tier" = oracle ] && [ ! -f .venv/.complete ]; then
    echo "Making .venv with torch, transformers and llama-cpp-python (several GB; builds for minutes)." >&2
    python3 -m venv .venv
    .venv/bin/python -m pip install -q --upgrade pip
    .venv/bin/python -m pip install -q -r tools/requirements-oracle.txt
    CMAKE_ARGS="$peer_args" .venv/bin/python -m pip install -q --no-binary llama-cpp-python \
        llama-cpp-python
    touch .venv/.complete
fi
