# A small front for Meson: make, make chat, make check, make bench, make oracle, make install.
BUILD ?= build
PREFIX ?= /usr/local
DATA ?= ../shared/data

.PHONY: all setup chat check bench oracle fuzz install clean

all: setup
	@tools/build.sh $(BUILD)

setup:
	@tools/setup.sh

chat: all
	@$(BUILD)/fikr run

check: setup
	@tools/setup.sh check
	@python3 tools/check.py

# The peers come as Python packages into .venv (several GB, some minutes to build).
bench: all
	@tools/setup.sh oracle
	@tools/get_smollm2.sh $(BUILD)
	@.venv/bin/python bench/bench.py --build $(BUILD)

oracle: all
	@tools/setup.sh oracle
	@tools/get_smollm2.sh $(BUILD)
	@.venv/bin/python tools/oracle.py --build $(BUILD) --data $(DATA)

fuzz:
	@tools/setup.sh fuzz
	@python3 tests/fuzz/run.py all

install: all
	@meson configure $(BUILD) -Dprefix=$(PREFIX) >/dev/null
	@meson install -C $(BUILD)

clean:
	rm -rf build build-*
