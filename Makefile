# What a developer or a curious newcomer types. All of it needs Python 3.11 or newer, pip, make and git.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
PROJECTS := pyproject.toml plugins/ibm/pyproject.toml plugins/local/pyproject.toml plugins/qiskit/pyproject.toml

# Three workers, also on two cores: the suite waits a good deal for deadlines and processes. `make test JOBS=0` runs it in one.
JOBS ?= 3
PYTEST := $(BIN)/python -m pytest -n $(JOBS)

.PHONY: help demo tutorial notebook test check vendors bench stress clean

help:
	@echo "make demo      list backends of two vendors, choose, run a circuit"
	@echo "make tutorial  IBM's tutorial of the retired provider, on an emulated service"
	@echo "make notebook  the same as a notebook, in a fresh kernel"
	@echo "make test      run the tests, but for those that take long"
	@echo "make check     ruff, mypy and all tests, with coverage"
	@echo "make vendors   run vendors' packages through the adapter, each in an environment of its own"
	@echo "make bench     run the benchmarks"
	@echo "make stress    1,000 jobs under faults and kill -9; takes some ten minutes"
	@echo "make clean     remove .venv and all that was built"

demo: $(INSTALLED)
	@$(BIN)/python examples/demo.py

tutorial: $(INSTALLED)
	@$(BIN)/python examples/tutorial.py

notebook: $(INSTALLED)
	@$(BIN)/python examples/run_notebook.py

test: $(INSTALLED)
	@$(PYTEST) -m "not slow"

check: $(INSTALLED)
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(PYTEST) --cov --cov-report=term

# All of them take half an hour and 10 GB; `make vendors VENDORS="aqt iqm"` runs these, `VENDORS=--quick` the three quick ones.
vendors:
	@$(PYTHON) tools/vendors/run.py $(VENDORS)

# `make bench BENCH="--only ibm"` for some lines, `BENCH=--quick` for a look; the figures go to build/benchmarks.json.
bench: $(INSTALLED)
	@$(BIN)/python -m benchmarks $(BENCH)

stress: $(INSTALLED)
	@$(BIN)/python benchmarks/stress_jobs.py

clean:
	rm -rf .venv .vendors .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.* htmlcov build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The distributions, editable, in one environment; again when what they ask for has changed.
$(INSTALLED): $(PROJECTS) constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "This needs Python 3.11 or newer, and $(PYTHON) is not. Name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "Creating .venv"; $(PYTHON) -m venv --clear .venv; }
	@echo "Installing qprovider and what it needs into .venv"
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	  --editable '.[dev]' --editable 'plugins/ibm[emulator]' --editable plugins/local --editable plugins/qiskit
	@$(BIN)/python -m compileall -q -x _template/ qprovider_core plugins/*/qprovider_*  # as pip does with what is not editable
	@touch $@
