# Hefu 合符. `make help` lists the targets; every one sets up what it needs.

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
# Where pip has been given an index of its own, uv uses the same.
UV = index="$${PIP_INDEX_URL:-$$($(BIN)/python -m pip config get global.index-url 2>/dev/null || true)}"; \
     if [ -n "$$index" ]; then export UV_DEFAULT_INDEX="$$index"; fi; \
     UV_NO_PROGRESS=1 UV_PYTHON=$(BIN)/python $(BIN)/uv
PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet
SOURCES := ledger/hefu_ledger platform/hefu flows/hefu_flows ui/hefu_ui

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast check lint bench bench-peers lock clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-12s %s\n", $$1, $$2 }'

setup: $(STAMPS)/warm  ## virtual environment, locked dependencies, compiled kernels

demo: setup  ## the whole system on this machine; ARGS="--once --rows 1000" and the like
	@$(BIN)/hefu demo $(ARGS)

test: setup  ## all tests; HEFU_REQUIRE_ALL=1 lets an absent outside program fail
	@$(BIN)/python tests/run_all.py $(ARGS)

test-fast: setup  ## the tests that need no server and no browser, under a minute
	@$(BIN)/python -m pytest -m "not server and not slow and not browser" $(ARGS)

check: lint  ## format, lint, types, import layers, lock file
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python .ci/check_lock.py

lint: $(STAMPS)/project  ## format and lint only
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

bench: setup  ## every benchmark beside its peers (see `make bench-peers`), and reconciliation; takes half an hour
	@$(BIN)/python -m bench engine $(ARGS)
	@$(BIN)/python -m bench pir $(ARGS)
	@$(BIN)/python bench/reconcile.py --rows 1000000

bench-peers: $(STAMPS)/environment  ## the other programs to measure against, each in an environment of its own: 2 GB
	@$(BIN)/python bench/peers/install.py $(ARGS)

lock: $(STAMPS)/bootstrap  ## resolve pyproject.toml anew into requirements.lock
	@$(UV) pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --no-strip-extras --no-header --quiet -o requirements.lock

clean:  ## remove the environment and all caches; the state in .hefu/ stays
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(SOURCES) tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMPS)/environment:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "Hefu needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1 || echo absent)." \
	         "Choose another one: make PYTHON=python3.12 setup" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) || { \
	    echo "$(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/bootstrap: $(STAMPS)/environment requirements-bootstrap.lock
	@$(PIP) install --require-hashes --no-deps -r requirements-bootstrap.lock \
	    || echo "uv is not to be had; pip does the work (slower)" >&2
	@touch $@

$(STAMPS)/packages: $(STAMPS)/bootstrap requirements.lock
	@echo "installing the locked dependencies"
	@if [ -x $(BIN)/uv ]; then $(UV) pip install --quiet --require-hashes --no-deps -r requirements.lock; else false; fi \
	    || $(PIP) install --require-hashes --no-deps -r requirements.lock
	@touch $@

$(STAMPS)/project: $(STAMPS)/packages pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation --no-index --editable .
	@touch $@

$(STAMPS)/warm: $(STAMPS)/project $(wildcard platform/hefu/engine/*.py platform/hefu/engine/*/*.py)
	@$(BIN)/hefu warmup
	@touch $@
