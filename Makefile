# Everything sets up what it needs in .venv and does nothing twice.
#
#   make demo     a vision model becomes more human, in an embedded world
#   make test     the tests, in two processes
#   make test-slow  those of many programs: several processes, sweeps
#   make faults   damaged, lying and foreign inputs of every command
#   make parity   models against PyTorch, in an environment of its own
#   make browser  the collection page in a real browser; where there is no
#                 Chromium and sudo asks nothing, apt-get installs it
#   make export   SavedModel and ONNX files, in an environment of its own
#   make lint     ruff and pyink, nothing changed
#   make format   ruff and pyink, mending what they can
#   make bench    the benchmarks that need no data, short (BENCH= for long)
#   make wheel-check  build, install elsewhere, run from there
#
# PYTHON names the Python 3.11 or newer to use, OUT the folder of results.

PYTHON ?= python3
OUT ?= out
BENCH ?= --quick
PYTEST_ARGS ?=
FAULTS_ARGS ?=

VENV := .venv/bin

.PHONY: demo test test-slow faults parity export browser lint format bench wheel-check environment environment-dev

demo: environment
	$(VENV)/alignet run demo --out=$(OUT)/demo

# Compiled once, then read, by the other process and from the second run.
test test-slow: export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/out/cache/jax
test test-slow: export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS ?= 0.1
test: environment-dev
	$(VENV)/python -m pytest -q -n 2 --dist loadfile $(PYTEST_ARGS)

test-slow: environment-dev
	$(VENV)/python -m pytest -q -m slow $(PYTEST_ARGS)

faults: environment-dev
	$(VENV)/python -m tests.faults.run $(FAULTS_ARGS)
	$(VENV)/python -m pytest -q tests/training/test_workdirs.py

parity:
	@PYTHON=$(PYTHON) .ci/parity

export:
	@PYTHON=$(PYTHON) .ci/export

browser: environment-dev
	@.ci/browser

lint: environment-dev
	$(VENV)/ruff check .
	$(VENV)/pyink --quiet --check --diff .

format: environment-dev
	$(VENV)/ruff check --fix .
	$(VENV)/pyink --quiet .

bench: environment-dev
	@set -e; for name in sample respond npz extract evaluate; do \
	  script=benchmarks/$$name.py; echo "$$script $(BENCH)"; \
	  $(VENV)/python $$script $(BENCH); \
	done

wheel-check: environment-dev
	$(VENV)/python .ci/wheel_check.py

environment:
	@$(PYTHON) .ci/environment.py run

environment-dev:
	@$(PYTHON) .ci/environment.py dev
