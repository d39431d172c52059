# Each target makes .venv and installs what it needs; a fresh machine needs Python 3.11+ and make.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-all bench lint docs figures clean

demo: .venv/installed
	$(BIN)/limitlaw figure one-step-samples --scale quick -o demo

test: .venv/installed
	$(BIN)/python -m pytest -q -m "not slow" -n 2 --dist loadfile --durations=40

test-all: .venv/installed
	$(BIN)/python -m pytest -q --hypothesis-profile explore -n 2 --dist loadfile

bench: .venv/installed
	failed=0; for script in benchmarks/*.py; do echo $$script; $(BIN)/python $$script || failed=1; done; exit $$failed

lint: .venv/installed
	$(BIN)/ruff format --check src tests benchmarks docs/tables
	$(BIN)/ruff check src tests benchmarks docs/tables
	$(BIN)/lint-imports
	$(BIN)/pyright

figures: .venv/installed
	for name in $$($(BIN)/limitlaw figures --names); do $(BIN)/limitlaw figure $$name --scale quick -o figures || exit 1; done

docs: .venv/installed
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[docs]"
	$(BIN)/sphinx-build -q -W -b html docs docs/_build/html

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "limitlaw needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

clean:
	rm -rf .venv demo figures docs/_build
