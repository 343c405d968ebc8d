# make demo   the main job, against both simulated providers on this machine
# make test   everything that has to pass
# make soak   simulated runs in which everything goes wrong, two hours of them; SEEDS=100000
# make torture    kill -9, stops and freezes in the thick of it, ten minutes and more; ROUNDS=16 SEED=
# make soak-real  one run for an hour, whose memory, descriptors and threads have to stay flat; MINUTES=60
# make fuzz   hostile answers and hostile files, for SECONDS=300 or as long as you like
# make docs   the documents as a site in site/, which needs no network
# make pictures   its pictures, drawn again; it takes tmux and a Chromium
# make cli-docs   docs/cli.md, written again from the commands and flags
# make audit  known weaknesses of what is installed; it needs a network, and fails without
# make package       wheel and sdist in dist/, checked; `make test` does that, and tries the wheel, too
# make package-long  the same by pipx and uv, each extra by itself, and the tests of the sdist
# make bench  what it takes, beside peers measured in the same run; ARGS=--quick for a few minutes
# make bench-senders  several senders on one PostgreSQL; ARGS=ROWS
# make bench-peers  the two peers that bring much with them, Apache Beam and Newman, in folders of their own
PYTHON ?= python3
SECONDS ?= 300
SEEDS ?= 100000
BIN := .venv/bin
READY := .venv/.ready
BENCH_READY := .venv/.bench-ready

.PHONY: demo test lint unit browser package package-long soak torture soak-real fuzz docs pictures cli-docs audit bench bench-senders bench-peers clean

demo: $(READY)
	@$(BIN)/python samples/demo.py

test: lint unit

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

unit: $(READY) browser
	$(BIN)/python -m pytest -q -n 3 --dist worksteal

# The pages are tried in a real browser: this machine's, or Debian's, installed where we may.
browser: $(READY)
	@$(BIN)/python tests/browser/chromium.py

package: $(READY)
	rm -rf dist
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null || echo 1767225600) $(BIN)/python -m build --no-isolation --outdir dist .
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/python -m check_wheel_contents dist/*.whl

package-long: package
	$(BIN)/python -m pytest -q -m torture tests/packaging

soak: $(READY)
	$(BIN)/python tests/simulation/soak.py --seeds $(SEEDS)

torture: $(READY)
	TORTURE_ROUNDS=$(ROUNDS) TORTURE_SEED=$(SEED) $(BIN)/python -m pytest -q -m torture tests/torture/test_torture.py tests/torture/test_torture_senders.py \
		tests/acceptance/test_senders_held_up.py tests/acceptance/test_live_view.py tests/distributed/test_distributed_torture.py

soak-real: $(READY)
	SOAK_MINUTES=$(MINUTES) $(BIN)/python -m pytest -q -m torture tests/torture/test_soak.py

fuzz: $(READY)
	$(BIN)/python tests/fuzz/long_fuzz.py $(SECONDS)

docs: $(READY)
	$(BIN)/python -m sphinx -b html -W --keep-going -q -d build/doctrees docs site
	@echo "site/index.html"

pictures: $(READY)
	$(BIN)/python docs/make_pictures.py

cli-docs: $(READY)
	$(BIN)/python docs/make_reference.py

audit: .venv-audit/.ready $(READY)
	$(BIN)/python -m pip check
	.venv-audit/bin/pip-audit --strict --disable-pip --no-deps --requirement constraints.txt

.venv-audit/.ready: Makefile
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	@touch $@

bench-senders: $(READY)
	$(BIN)/python -m benchmarks.senders $(ARGS)

bench: $(BENCH_READY)
	$(BIN)/python -m benchmarks $(ARGS)

bench-peers: .venv-beam/.ready .newman/.ready

.venv-beam/.ready: Makefile
	$(PYTHON) -m venv .venv-beam
	.venv-beam/bin/python -m pip install --quiet --disable-pip-version-check apache-beam==2.77.0 google-api-core requests
	@touch $@

.newman/.ready: Makefile
	npm install --prefix .newman --no-fund --no-audit --loglevel=error newman@6.2.2
	@touch $@

# Installed again only when what it is made from has changed. What is never imported is not compiled.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "batchcredit needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv .venv
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --editable '.[dev,fast]'
	@touch $(READY)

$(BENCH_READY): $(READY)
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,fast,bench]'
	@touch $(BENCH_READY)

clean:
	rm -rf build dist site .venv .venv-audit .venv-beam .newman .demo .bench .fuzz
