# Needs only make and Python >= 3.11 with venv (Debian: apt-get install make python3-venv).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
LOCK := requirements.lock
# Processes that the tests are shared out to; each has database servers of its own.
WORKERS ?= 2
COMMUNITY := tests/community/node_modules/.package-lock.json

.DEFAULT_GOAL := help
.PHONY: help setup run test lint types format check chaos bench lock clean

help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

setup: $(VENV)/.ready ## Make the virtual environment from the lock file

$(VENV)/.ready: $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Arceaux needs Python 3.11 or newer; set PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	  { echo "Python's venv is not complete; on Debian: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r $(LOCK)
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --no-index --editable .
	@touch $@

run: setup ## Run the whole city on this machine: broker, database, service, sensors
	@exec $(BIN)/arceaux demo

test: setup $(COMMUNITY) ## Run every test; parts that are missing are skipped, with the reason
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

# TimescaleDB's Community edition for the migrations' tests; without npm those are skipped.
$(COMMUNITY): tests/community/package-lock.json
	@if command -v npm >/dev/null; then npm ci --silent --no-audit --no-fund --prefix tests/community; \
	  else echo "npm is missing: the migrations are not tested on TimescaleDB's Community edition"; fi

lint: setup ## Check style
	@$(BIN)/ruff check --output-format concise . && $(BIN)/ruff format --check --quiet .

format: setup ## Format the code
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

types: setup ## Check types, strictly
	@$(BIN)/mypy

check: lint types test ## Everything that has to be green

chaos: setup ## Run the faults in their long form; ONLY='word,word' and SEED=number choose
	@PYTHONPATH=tests $(BIN)/python -m chaos $(if $(ONLY),--only '$(ONLY)') $(if $(SEED),--seed $(SEED))

bench: setup ## Measure messages a second and CPU a message
	@$(BIN)/arceaux bench

lock: setup ## Renew the lock file from pyproject.toml
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-header --no-annotate --all-extras --upgrade -o $(LOCK) pyproject.toml

clean: ## Remove the virtual environment and the demo's data
	rm -rf $(VENV) .demo build *.egg-info
