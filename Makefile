# movierec: `make run` serves it, `make test` proves it.
SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
.PHONY: help run demo test test-browser lint css docs bench worker clean

help: ## List what can be done
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/installed ## Serve at http://localhost:5000 (install, migrate, data, Valkey, worker, web)
	@exec $(BIN)/python -m movierec.supervisor

demo: .venv/installed ## The same with three throw-away accounts and a filled history
	@exec $(BIN)/python -m movierec.supervisor --demo

test: .venv/installed-dev lint ## Install what tests need and run them all
	@$(BIN)/python -m pytest -n 2 --dist loadfile

test-browser: .venv/installed-dev ## Only the tests in a real browser
	@$(BIN)/python -m pytest tests/browser

lint: .venv/installed-dev ## ruff and mypy
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

css: ## Build movierec/static/app.css from movierec/static/src (needs Node.js; the result is committed)
	@npm ci --silent && npx @tailwindcss/cli -i movierec/static/src/theme.css -o movierec/static/app.css --minify

docs: .venv/installed ## Write settings and figures of the engines into README.md and docs/engines.md
	@$(BIN)/python tools/engine_docs.py

bench: .venv/installed-dev ## List the benchmarks and their commands; RUN="search.py 10000" runs one
	@if [ -n "$(RUN)" ]; then exec $(BIN)/python benchmarks/$(RUN); fi; \
	awk 'FNR == 1 {sub(/^"""/, ""); sub(/"""$$/, ""); print "\n  " $$0} FNR > 1 && /^python benchmarks/ {print "    " $$0}' benchmarks/*.py

worker: .venv/installed ## One more training worker
	@exec $(BIN)/flask worker

clean: ## Remove the virtual environment (data, models and instance stay)
	rm -rf .venv node_modules

.venv/python: # a usable interpreter, or one clear sentence
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "movierec needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make run PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "The folder $$(pwd)/.venv can't be made: is the folder writable, is the disk full, is python3-venv installed?" >&2; exit 1; }
	@touch .venv/python

.venv/installed: requirements.txt .venv/python
	@echo "Installing what movierec needs (about 1.5 GB, a minute or two, once)..." >&2
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt || { \
	  echo "Installing failed, the lines above say why: is the package index reachable, are 3 GB of disk free? Then run it again." >&2; exit 1; }
	@touch $@

.venv/installed-dev: requirements-dev.txt requirements.txt .venv/installed
	@$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
