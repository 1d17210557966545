# Every target sets up what it needs; `make` alone lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RUNS   := $(VENV)/.runs
READY  := $(VENV)/.ready
INSTALL := $(BIN)/python -m pip --disable-pip-version-check install --quiet
NPM    := $(shell command -v npm)
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)

.DEFAULT_GOAL := help
.PHONY: help install bundle replay test test-quick test-all test-ends conformance browser payloads bench lint format lock clean

help: ## what can be made
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-12s %s\n", $$1, $$2}'

install: $(READY) ## .venv with everything, from hash-locked requirements

# After any new lock from an empty folder: what it names no longer must not stay behind.
$(RUNS): requirements/run.txt requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "Python 3.10 to 3.13 is needed, $$($(PYTHON) --version) was found: make PYTHON=python3.11 …"; exit 1; }
	@echo "Setting up $(VENV) with what running needs (about 15 s, once)"
	@$(PYTHON) -m venv --clear $(VENV) || \
	  { echo "This Python cannot make virtual environments: install its venv package (Debian: python3-venv)"; exit 1; }
	@$(INSTALL) --require-hashes -r requirements/run.txt
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(READY): $(RUNS)
	@echo "Adding to $(VENV) what tests and builds need (about 10 s, once)"
	@$(INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@

replay: $(RUNS) ## replay all of events/ on the embedded cloud
	@$(BIN)/scf-local replay events

# Not in addopts: to start processes takes longer than a few tests do.
PARALLEL = -n auto --dist worksteal

test: $(READY) ## run the tests in parallel, with coverage
	$(BIN)/pytest $(PARALLEL) --cov --cov-report=
	@$(BIN)/coverage report --include='handler/*' --fail-under=100
	@echo "tests/scf_local: $$($(BIN)/coverage report --include='tests/scf_local/*' --format=total) % (no gate)"

test-quick: $(READY) ## run the tests in parallel, without coverage
	$(BIN)/pytest $(PARALLEL)

test-all: ## run the tests on each installed Python, 3.10 to 3.13, or on VERSIONS="3.10 3.13"
	@$(PYTHON) tests/matrix.py $(VERSIONS)

test-ends: $(READY) ## run the tests on the oldest and the newest installed Python, unless that is .venv's
	@$(BIN)/python tests/matrix.py --ends

conformance: $(READY) .conformance/.venv $(if $(NPM),.conformance/.node) ## the emulated cloud, asked by tccli and the Node.js SDK
	$(if $(NPM),,@echo "npm is not here: the Node.js SDK is left out")
	$(BIN)/pytest tests/conformance/test_tccli.py $(if $(NPM),tests/conformance/test_node_sdk.py)

# Not part of .venv: tccli brings every product's SDK, some 375 MB.
.conformance/.venv: requirements/conformance.txt
	$(PYTHON) -m venv --clear .conformance/venv
	.conformance/venv/bin/python -m pip --disable-pip-version-check install --quiet --no-compile --require-hashes -r $<
	@touch $@

.conformance/.node: requirements/node/package-lock.json
	rm -rf .conformance/node
	mkdir -p .conformance
	cp -R requirements/node .conformance/node
	cd .conformance/node && npm ci --silent
	@touch $@

browser: $(READY) .browser/.site ## the report of a replay, opened in Chromium
	@test -n "$(CHROMIUM)" || \
	  { echo "Chromium was not found: install it (Debian: chromium), or make browser CHROMIUM=/path/to/it"; exit 1; }
	PYTHONPATH=.browser/site CHROMIUM="$(CHROMIUM)" $(BIN)/pytest tests/browser/test_report.py

# Not part of .venv: the driver is some 160 MB.
.browser/.site: requirements/browser.txt | $(READY)
	rm -rf .browser
	$(INSTALL) --no-compile --require-hashes --target .browser/site -r $<
	@touch $@

payloads: $(READY) ## build/deploy/*.json: the API calls that serverless.yml amounts to, for tccli
	@$(BIN)/python deploy/payloads.py

bundle: $(READY) ## build/function.zip for the runtime in serverless.yml (RUNTIME=3.11: for another)
	@$(BIN)/python deploy/bundle.py

bench: $(READY) ## measure every promise about speed; fails if one is broken
	@$(BIN)/python tests/bench

lint: $(READY) ## format, rules, types, who imports whom
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --cache-dir .mypy_cache/importlinter

format: $(READY) ## mend what can be mended by machine
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

# One resolution, of which the others are parts: whatever runs is what was tested.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-header --no-annotate
lock: $(READY) ## renew the locked requirements
	$(INSTALL) uv
	for name in dev conformance browser; do \
	  $(COMPILE) --upgrade requirements/$$name.in -o requirements/$$name.txt || exit 1; done
	for name in run function; do \
	  $(COMPILE) --upgrade -c requirements/dev.txt requirements/$$name.in -o requirements/$$name.txt || exit 1; done
	$(if $(NPM),cd requirements/node && npm update --silent --package-lock-only)

clean: ## remove everything that was made
	rm -rf .venv .conformance .browser build .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
