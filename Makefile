# From a fresh clone, with Python >= 3.11 and make only: `make study`, `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# pytest-xdist runs one process per core: more threads inside each would only compete.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

.PHONY: study test lint types tests notebooks slow gpu bench clean

study: $(VENV)/installed
	$(BIN)/cimsim study device-noise -o results/device-noise
	$(BIN)/cimsim study adc-bits -o results/adc-bits

test: lint types tests

lint: $(VENV)/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/installed-dev
	$(BIN)/mypy

tests: $(VENV)/installed-dev
	$(ONE_THREAD) $(BIN)/pytest -n 2 --dist worksteal

notebooks: $(VENV)/installed-dev
	$(ONE_THREAD) $(BIN)/pytest -n 2 tests/test_notebooks.py -m "slow or not slow"

slow: $(VENV)/installed-dev
	$(BIN)/pytest -m "slow and not gpu and not benchmark"

gpu: $(VENV)/installed-dev
	$(BIN)/pytest -m gpu

bench: $(VENV)/installed-dev
	$(BIN)/pytest tests/benchmarks -m "benchmark and not gpu" --benchmark-enable --benchmark-only

clean:
	rm -rf $(VENV) results dist build .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps: newer than pyproject.toml means installed as it says. Modules are compiled as they are first imported,
# which halves the installation.
$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --no-compile --editable .
	touch $@

$(VENV)/installed-dev: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --no-compile --editable ".[dev]"
	touch $(VENV)/installed $@
