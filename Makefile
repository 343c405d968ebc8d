# make demo   the main job, against both simulated providers on this machine
# make test   everything that has to pass
# make bench  what it takes, beside peers measured in the same run
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test lint unit bench clean

demo: $(READY)
	@$(BIN)/python samples/demo.py

test: lint unit

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

unit: $(READY)
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

bench: $(READY)
	$(BIN)/python -m benchmarks

# Installed again only when what it is made from has changed.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "batchcredit needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv .venv
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,fast]'
	@touch $(READY)

clean:
	rm -rf .venv .demo
