# What a newcomer needs is `make up` and `make test`; `make help` lists the rest. Python 3.11 (and for the tests Java 17 with Maven, and Node 20) is all they start from.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
RUN := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
PYTEST ?= $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
UP ?= --demo

.DEFAULT_GOAL := help
.PHONY: help install up test clients soak bench check lint types imports fix docs docs-check lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(RUN) ## install what `testamur` needs into .venv, from the lock

up: $(RUN) ## install, then run everything with the sample world (another data directory: make up UP="--demo --data-dir D")
	@exec $(BIN)/testamur up $(UP)

test: $(DEV) clients ## install, then every test against real Postgres and real Kafka
	$(PYTEST)

clients: $(DEV) ## what the tests of others' clients need: npm packages in .cache, and Chromium where this is root's Debian
	@$(BIN)/python -m tests.clients.installed

soak: $(DEV) clients ## the same checks at full size
	TESTAMUR_SOAK=1 $(PYTEST)
	TESTAMUR_SOAK=1 $(BIN)/python -m tests.bench pair system

bench: $(DEV) ## measurements
	$(BIN)/python -m tests.bench

check: lint types imports docs-check ## lint, types, import rules, generated documents

lint: $(DEV)
	$(BIN)/ruff check services schemas tests docs

types: $(DEV)
	$(BIN)/mypy

imports: $(DEV)
	$(BIN)/lint-imports

fix: $(DEV) ## mend what the linter can mend by itself
	$(BIN)/ruff check --fix services schemas tests docs

docs: $(DEV) ## write the generated documents anew
	$(BIN)/python -m docs.generate

docs-check: $(DEV)
	$(BIN)/python -m docs.generate --check

lock: $(DEV) ## resolve the locks anew from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --group build --universal --generate-hashes --no-emit-index-url --no-header --quiet --upgrade -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --generate-hashes --no-emit-index-url --no-header --quiet --upgrade -c requirements.lock -o requirements-dev.lock
	cd tests/clients && npm update --package-lock-only

clean: ## remove what was installed and built (data directories stay)
	rm -rf $(VENV) .cache build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Testamur needs Python 3.11 or later; name one with: make PYTHON=…" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(RUN): requirements.lock pyproject.toml | $(BIN)/python
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): requirements-dev.lock $(RUN)
	$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@
