# Every target sets up what it needs; `make` alone lists them.
PYTHON ?= python3
BIN    := .venv/bin
READY  := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help install replay test bench lint format lock clean

help: ## what can be made
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-10s %s\n", $$1, $$2}'

install: $(READY) ## .venv with everything, from hash-locked requirements

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "Python 3.10 to 3.13 is needed, $$($(PYTHON) --version) was found: make PYTHON=python3.11 …"; exit 1; }
	@$(PYTHON) -m venv --clear .venv || \
	  { echo "This Python cannot make virtual environments: install its venv package (Debian: python3-venv)"; exit 1; }
	$(BIN)/python -m pip --disable-pip-version-check install --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

replay: $(READY) ## replay all of events/ on the embedded cloud
	@$(BIN)/scf-local replay events

test: $(READY) ## the tests, with coverage
	$(BIN)/pytest --cov --cov-report=term

bench: $(READY) ## measure every promise about speed; fails if one is broken
	@$(BIN)/python tests/bench

lint: $(READY) ## format, rules, types
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

format: $(READY) ## mend what can be mended by machine
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

lock: $(READY) ## renew the locked requirements
	$(BIN)/python -m pip --disable-pip-version-check install --quiet uv
	for name in function dev; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.10 --upgrade --generate-hashes \
	    --no-header --no-annotate requirements/$$name.in -o requirements/$$name.txt; done

clean: ## remove everything that was made
	rm -rf .venv build .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
