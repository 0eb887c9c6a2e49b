# The first line of every target is what `make help` says about it.
# `demo` and `up` need the base packages only; TensorFlow comes with `setup-train` or `setup-dev`.

PYTHON ?= python3
STUDIES ?=
FUZZ ?= -runs=20000

VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python
HASHED := --compile-bytecode --require-hashes
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
ROOMS := cli worker web models pipeline migrations benchmarks tests

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup setup-train setup-dev demo up test test-fast test-api chaos fuzz check sbom lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: setup ## Start everything, read generated radiographs (or STUDIES=folder), keep serving
	@$(BIN)/overread demo $(if $(STUDIES),--studies "$(STUDIES)")

up: setup ## Start the service on this machine and print a login link
	@$(BIN)/overread up

setup: $(VENV)/.base ## Install what serving needs
setup-train: $(VENV)/.train ## Install TensorFlow too, for training
setup-dev: $(VENV)/.dev ## Install everything, for tests and checks

# The tests of a file share servers, so each file runs in one process, in order.
test: setup-dev ## Run every test
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST)

# Pure pipeline, models on SQLite, and the portal by its test client.
test-fast: setup-dev ## Run the tests that need no server, browser or TensorFlow (a few minutes)
	$(BIN)/pytest -n 2 --dist loadfile tests/pipeline tests/models tests/web \
		-m "not (tensorflow or processes or browser or postgresql or shared)" $(PYTEST)

test-api: setup-dev ## Send 15,000 generated requests to the API; answers must be as described
	API_EXAMPLES=$(or $(API_EXAMPLES),100) $(BIN)/pytest tests/web/test_openapi_requests.py $(PYTEST)

chaos: setup-dev ## Send 2,000 images through at least 50 faults on each database; count losses
	$(BIN)/python -m tests.chaos $(CHAOS)

fuzz: $(VENV)/.fuzz ## Fuzz decoders, zip and tables with coverage (FUZZ="-runs=100000")
	@for target in files archives tables; do \
		echo "$$target"; $(BIN)/python -m tests.fuzz.atheris_run $$target $(FUZZ) || exit 1; done

check: setup-dev ## Lint, type check, import contracts, lock files, vulnerabilities, licences, compose file, Dockerfiles
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@# Lock files hold versions and hashes; an address would tie them to one registry.
	! grep -nE 'https?://|file:|--(extra-)?index|--find-links' requirements/*.in requirements/*.txt
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(BIN)/hadolint Dockerfile Dockerfile.train
	$(BIN)/python .ci/audit.py requirements/dev.txt
	$(BIN)/python .ci/licences.py

# CycloneDX from the lock files: the same files give the same bytes. The licences are those of all that
# is installed for development, which serving and training are a part of.
sbom: setup-dev ## Write what serving and training install to build/ (CycloneDX), and all licences
	@mkdir -p build
	@for group in base train; do PYTHONWARNINGS=ignore $(BIN)/cyclonedx-py requirements \
		requirements/$$group.txt --pyproject pyproject.toml --output-reproducible \
		--output-file build/sbom-$$group.cdx.json || exit 1; done
	@$(BIN)/pip-licenses --from=mixed --format=csv --output-file=build/licences.csv

lock: $(VENV)/.uv ## Update all lock files; each larger group is constrained by the smaller one
	$(COMPILE) --upgrade requirements/uv.in -o requirements/uv.txt
	$(COMPILE) --upgrade requirements/base.in -o requirements/base.txt
	$(COMPILE) --upgrade -c requirements/base.txt requirements/train.in -o requirements/train.txt
	$(COMPILE) --upgrade -c requirements/train.txt requirements/dev.in -o requirements/dev.txt
	$(COMPILE) --upgrade -c requirements/dev.txt requirements/fuzz.in -o requirements/fuzz.txt

clean: ## Remove the virtual environment and caches; the data folder stays
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find $(ROOMS) -name __pycache__ -type d -prune -exec rm -rf {} +

# On platforms without a wheel of uv, pip installs the same files, slower.
$(VENV)/.uv: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "Python lacks venv: apt-get install python3-venv"; exit 1; }
	@echo "Making $(VENV)" >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $< \
		|| echo "uv cannot be installed; pip is used instead" >&2
	@touch $@

$(VENV)/.base $(VENV)/.train $(VENV)/.dev $(VENV)/.fuzz: $(VENV)/.%: requirements/%.txt pyproject.toml $(VENV)/.uv
	@echo "Installing packages: $*" >&2
	@set -e; if [ -x $(BIN)/uv ]; then \
		$(INSTALL) $(HASHED) -r $<; \
		$(INSTALL) --no-deps --no-build-isolation --editable .; \
	else \
		$(BIN)/python -m pip install --quiet --require-hashes -r $<; \
		$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .; \
	fi
	@touch $@
