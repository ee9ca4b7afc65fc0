PYTHON ?= python3
PYTEST_ARGS ?=
FUZZ ?= 200
FUZZ_MINUTES ?= 5
BENCH ?= fires scheduler_overhead end_to_end bulk_writes label_row_reads api_throughput pages schedule_list
RUNS ?= 5
UPGRADE ?=
MINUTES ?= 10
SEED ?=
FAULTS ?=
LOSSES ?=

# Each process that a test or a benchmark starts would otherwise compile its imports anew.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
COMPILE := ../$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate $(UPGRADE)

.DEFAULT_GOAL := help
.PHONY: help run test unit check fuzz fuzz-api test-benchmarks test-browser test-compose chaos bench bench-cron bench-compose bench-outages screenshots requirements clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/installed-devstack ## Start the whole stack: PostgreSQL, Redis, worker, scheduler, API (PORT, DATA_DIR, TEST_DATA, DATABASE_URL, REDIS_URL)
	@exec $(BIN)/python -m devstack

test: $(VENV)/installed-dev ## Run the tests in four processes, since most tests wait (PYTEST_ARGS="-k words"; 4 minutes)
	@exec $(BIN)/python -m pytest --numprocesses 4 --dist worksteal $(PYTEST_ARGS)

unit: $(VENV)/installed-dev ## Run the tests that need no server (20 seconds)
	@exec $(BIN)/python -m pytest --numprocesses 2 --dist worksteal tests/unit $(PYTEST_ARGS)

fuzz: $(VENV)/installed-dev ## Compare cron and the validation trigger with a reference model on new random examples (FUZZ=200 times as many as make test; 7 minutes)
	@exec $(BIN)/python -m pytest --fuzz $(FUZZ) --timeout 3600 tests/unit/core/cron/test_daylight_saving.py tests/integration/sql/test_validation_trigger_fuzz.py $(PYTEST_ARGS)

fuzz-api: $(VENV)/installed-dev ## Send new random requests to the API, valid and invalid by its contract (FUZZ_MINUTES=5)
	@exec $(BIN)/python -m pytest --minutes $(FUZZ_MINUTES) --timeout 36000 -rP tests/contract/test_schemathesis.py $(PYTEST_ARGS)

test-benchmarks: $(VENV)/installed-dev ## Test the benchmarks, each on a small scale (1 minute)
	@exec $(BIN)/python -m pytest --numprocesses 2 -m benchmark tests/integration/benchmarks $(PYTEST_ARGS)

test-browser: $(VENV)/installed-dev ## Test the pages in a real browser (needs Chromium; 1 minute)
	@exec $(BIN)/python -m pytest --numprocesses 2 -m browser tests/browser $(PYTEST_ARGS)

test-compose: $(VENV)/installed-dev ## Test the containers: build, start, scale, kill, restore (needs Docker; 3 minutes)
	@exec $(BIN)/python -m pytest -m compose tests/compose $(PYTEST_ARGS)

check: $(VENV)/installed-dev ## Check format, lint, types and imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

chaos: $(VENV)/installed-dev ## Inject random faults for MINUTES=10, then verify all results (SEED=1 repeats a run; FAULTS=junk selects faults; LOSSES=1 also loses data)
	@MINUTES="$(MINUTES)" SEED="$(SEED)" FAULTS="$(FAULTS)" LOSSES="$(LOSSES)" exec $(BIN)/python -m tests.chaos

bench: $(VENV)/installed-dev ## Benchmark fires, scheduler overhead, the path to the results, bulk writes, label reads, API, pages, list (28 minutes; BENCH=fires runs one)
	@for name in $(BENCH); do $(BIN)/python -m benchmarks.$$name || exit 1; done

bench-cron: $(VENV)/installed-dev ## Benchmark cron expressions and the validation trigger (12 minutes)
	@exec $(BIN)/python -m benchmarks.cron

bench-compose: $(VENV)/installed-dev ## Measure the images and the start time of the containers, and list the contents of the images (needs Docker; 1 minute)
	@exec $(BIN)/python -m benchmarks.containers

bench-outages: $(VENV)/installed-dev ## Measure the recovery after failures of leader, worker, PostgreSQL, Redis (RUNS=5; 7 minutes)
	@exec $(BIN)/python -m benchmarks.outages $(RUNS)

screenshots: $(VENV)/installed-dev ## Save screenshots of the pages in .local/screenshots, and the one of the README (needs Chromium)
	@$(BIN)/python -m tests.browser.screenshots .local/screenshots
	@cp .local/screenshots/overview-light-wide.png docs/overview.png

requirements: $(VENV)/installed-dev ## Pin the requirements of requirements/*.in (UPGRADE=--upgrade for newer versions)
	cd requirements && $(COMPILE) dev.in -o dev.txt
	cd requirements && for name in api scheduler worker database devstack; do \
		$(COMPILE) -c dev.txt $$name.in -o $$name.txt || exit 1; done

clean: ## Remove the virtual environment and the caches, and keep the data in .local
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name .local -prune -o -name __pycache__ -prune -exec rm -rf {} +

# The processes of the tests would otherwise all compile the same modules at their first start.
$(VENV)/installed-dev: UV_OPTIONS := --compile-bytecode

# Installation only adds packages, so that run and test share one environment.
$(VENV)/installed-%: requirements/%.txt $(VENV)/made
	@echo "Installing $<"
	@{ test -x $(BIN)/uv && $(BIN)/uv pip install -q $(UV_OPTIONS) --python $(BIN)/python --require-hashes -r $<; } \
		|| $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r $<
	@touch $@

# uv is optional, and faster: without it, pip installs everything.
$(VENV)/made:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: install Python 3.11 or newer" >&2; exit 1; }
	@$(PYTHON) devstack/python_version.py
	@$(PYTHON) -c "import ensurepip, venv" 2>/dev/null \
		|| { echo "$(PYTHON) has no venv module: install it (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@sed -n '/^uv==/,/[^\\]$$/p' requirements/dev.txt > $(VENV)/uv.txt
	-@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r $(VENV)/uv.txt
	@touch $@
