# Every target sets up what it needs; `make` lists the targets.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RUNS   := $(VENV)/.runs
READY  := $(VENV)/.ready
INSTALL := $(BIN)/python -m pip --disable-pip-version-check install --quiet
NPM    := $(shell command -v npm)
unexport PYTHONDONTWRITEBYTECODE  # each process of the tests would compile all modules again
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)

.DEFAULT_GOAL := help
.PHONY: help install bundle deploy deploy-check undeploy rehearsal replay test test-quick test-brief test-all test-ends conformance browser payloads bench lint format lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-12s %s\n", $$1, $$2}'

install: $(READY) ## set up .venv for development, from hash-locked requirements

# Recreated whenever a lock changes, so that no package stays that is not locked any more.
$(RUNS): requirements/run.txt requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "PYTHON=$(PYTHON) is not Python 3.10 to 3.13 ($$($(PYTHON) --version 2>&1 | head -n 1)); pass one, such as PYTHON=python3.11"; exit 1; }
	@names=$$(sed -n 's/==.*//p' requirements/run.txt | sort -u); set -- $$names; \
	  echo "Setting up $(VENV) with the packages that scf-local needs (about 15 s, once)."; \
	  echo "At most $$# packages, some 90 MB with pip:"; echo $$names | fold -s -w 78
	@$(PYTHON) -m venv --clear $(VENV) || \
	  { echo "This Python cannot create virtual environments; install its venv package (Debian: python3-venv)"; exit 1; }
	@$(INSTALL) --require-hashes -r requirements/run.txt
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(READY): $(RUNS)
	@echo "Adding the packages for tests and builds to $(VENV) (about 10 s, once)"
	@$(INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@

replay: $(RUNS) ## replay events/ against the emulated cloud
	@$(BIN)/scf-local replay events

# Not in addopts, since a few tests take less time than starting processes. By file, so that no
# fixture of a module is set up twice.
PARALLEL = -n auto --dist loadfile

test: $(READY) ## run the tests in parallel, with coverage of handler/
	$(BIN)/pytest $(PARALLEL) --cov --cov-report=
	@$(BIN)/coverage report --fail-under=100

test-quick: $(READY) ## run the tests in parallel, without coverage
	$(BIN)/pytest $(PARALLEL)

# Some of all that depends on the Python: parsers, processes, tracebacks, debuggers, HTTP and TLS.
BRIEF = tests/unit $(filter-out %/test_deploying.py %/test_strict_api.py %_prompts.py %_rights.py %_live_check.py, \
  $(wildcard tests/deploy/test_*.py)) tests/function/test_function.py tests/cloud/test_server.py \
  tests/cloud/test_proxy.py $(patsubst %,tests/commands/test_%.py,debug end_to_end invoke logs table)

test-brief: $(READY) ## run some of the tests that depend on the Python, with fewer made-up examples
	HYPOTHESIS_PROFILE=brief $(BIN)/pytest $(PARALLEL) $(BRIEF)

test-all: ## run the tests on each installed Python, 3.10 to 3.13, or on VERSIONS="3.10 3.13"
	@$(PYTHON) tests/matrix.py $(VERSIONS)

test-ends: $(READY) ## run test-brief on the oldest and the newest installed Python, unless that is .venv's
	@$(BIN)/python tests/matrix.py --ends

conformance: $(READY) .conformance/.venv $(if $(NPM),.conformance/.node) ## test the emulated cloud with tccli, the Node.js SDK and other clients
	$(if $(NPM),,@echo "npm was not found; skipping the Node.js SDK")
	$(BIN)/pytest tests/conformance/test_tccli.py tests/conformance/test_scf_tccli.py tests/conformance/test_python_clients.py $(if $(NPM),tests/conformance/test_node_sdk.py)

# Not in .venv, since tccli installs the SDKs of all products: some 375 MB.
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

browser: $(READY) .browser/.site ## test the report of a replay and the page of a plan in Chromium
	@test -n "$(CHROMIUM)" || \
	  { echo "Chromium was not found; install it (Debian: chromium), or run make browser CHROMIUM=/path/to/it"; exit 1; }
	PYTHONPATH=.browser/site CHROMIUM="$(CHROMIUM)" $(BIN)/pytest tests/browser

# Not in .venv, since the driver is some 160 MB.
.browser/.site: requirements/browser.txt | $(READY)
	rm -rf .browser
	$(INSTALL) --no-compile --require-hashes --target .browser/site -r $<
	@touch $@

payloads: $(READY) ## write build/deploy/*.json: the API calls that deploy serverless.yml, for tccli
	@$(BIN)/python deploy/payloads.py

bundle: $(READY) ## write build/function.zip for the runtime in serverless.yml, or for RUNTIME=3.11
	@$(BIN)/python deploy/bundle.py

# Options for scf-deploy: make deploy ARGS="--profile work"
ARGS =

deploy: bundle ## deploy serverless.yml to your account, after you have agreed to the plan
	@$(BIN)/scf-deploy apply $(ARGS)

deploy-check: bundle ## check the deployed function by reading and by dry runs
	@$(BIN)/scf-deploy check $(ARGS)

undeploy: $(READY) $(if $(wildcard build/function),,bundle) ## delete the function and its role; buckets stay, with the journal
	@$(BIN)/scf-deploy destroy $(ARGS)

rehearsal: $(READY) ## play it all on the emulated cloud: deploy, upload, log, replay, undo, timer, undeploy
	@$(BIN)/python tests/rehearsal.py

bench: $(READY) ## measure what is promised about speed and memory; fails if a promise is broken
	@$(BIN)/python tests/bench

lint: $(READY) ## check format, rules, types and imports
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --cache-dir .mypy_cache/importlinter

format: $(READY) ## format the code, and fix what ruff can fix
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

# run and function are constrained by dev, so that the versions that run are those that are tested.
COMPILE = $(BIN)/uv pip compile --quiet --no-strip-extras --universal --python-version 3.10 --generate-hashes --no-header --no-annotate
lock: $(READY) ## upgrade the locked requirements
	$(INSTALL) uv
	for name in dev conformance browser; do \
	  $(COMPILE) --upgrade requirements/$$name.in -o requirements/$$name.txt || exit 1; done
	for name in run function; do \
	  $(COMPILE) --upgrade -c requirements/dev.txt requirements/$$name.in -o requirements/$$name.txt || exit 1; done
	$(if $(NPM),cd requirements/node && npm update --silent --package-lock-only)

clean: ## remove everything that make has created
	rm -rf .venv .conformance .browser build .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
