# `make help` lists the targets. PYTHON=... picks the interpreter, ARGS=... is handed to the command behind run, test, bench.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
QUEUES ?= 8
SUITE ?= testing
ARGS ?=
# Tests side by side, one process a CPU (-n 0 in ARGS: all in one); tests/conftest.py shares them out.
PYTEST := $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder --durations=10

# ruff takes the packages by their paths below src/: only there it sees their true module names.
LINTED := src $(wildcard src/zcframe/*/) tests benchmarks examples

.DEFAULT_GOAL := help
.PHONY: help run test test-quick test-newest test-all check check-style check-types check-imports check-abi check-kernel bench bench-lab bench-live kernel lab lab-debug clean
.DELETE_ON_ERROR:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.has-code ## capture: 8 queues, the bundled trace through the software NIC, a live view
	@$(BIN)/zcframe run --queues $(QUEUES) $(ARGS)

test: $(VENV)/.has-test ## every test that this machine can run; ARGS="tests/unit/test_x.py -k name" for one
	@MAKEFLAGS= $(PYTEST) $(ARGS) || { code=$$?; [ $$code -ne 5 ] || echo "not one test was collected" >&2; exit $$code; }

test-quick: override ARGS += -m 'not long' tests/unit tests/property
test-quick: test ## unit and property tests that do not take seconds each, in two minutes

test-newest: $(VENV)/.has-test ## make run and make test-quick on Debian's testing and its Python; SUITE=trixie: on that one (root, Debian)
	@MAKEFLAGS= $(BIN)/python -m tests.lab.release $(SUITE) $(ARGS)

test-all: override ARGS += --whole
test-all: test ## every test as thoroughly as it can be: each instruction, ten times the examples

# Independent of each other: make -j2 runs two at a time. Each says its seconds.
CHECKS := check-types check-kernel check-style check-imports check-abi
check: $(CHECKS) ## ruff, mypy (strict on the code), import-linter, the ABI against the header, check-kernel

# Run $(1), and say how long it took. (A make that is called by a Python program shares no jobs with this one.)
timed = @echo '$(1)'; start=$$(date +%s); $(1) && echo "$@: $$(($$(date +%s) - start)) s"

check-style: $(VENV)/.has-dev
	$(call timed,$(BIN)/ruff check $(LINTED) && $(BIN)/ruff format --check $(LINTED))

check-types: $(VENV)/.has-dev
	$(call timed,$(BIN)/mypy && $(BIN)/mypy --config-file tests/mypy.ini benchmarks tests)

check-imports: $(VENV)/.has-dev
	$(call timed,$(BIN)/lint-imports --no-cache)

check-abi: $(VENV)/.has-dev
	$(call timed,$(BIN)/python -m pytest -q tests/unit/test_abi.py)

check-kernel: $(VENV)/.has-dev ## sparse, W=1, checkpatch, kernel-doc over kernel/, as far as they are here; KDIR=... as in kernel
	$(call timed,MAKEFLAGS= $(BIN)/python -m tests.lab.static $(if $(filter true,$(CI)),--required))

bench: $(VENV)/.has-bench ## the figures, as a table with machine and versions
	@$(BIN)/python -m benchmarks $(ARGS)

kernel: ## build the kernel modules; KDIR=... names another kernel's headers
	@$(MAKE) -C kernel modules

lab: $(VENV)/.has-test ## boot the modules on an emulated 82576 and prove them (root, Debian; docs/lab.md)
	@$(BIN)/python -m tests.lab $(ARGS)

lab-debug: $(VENV)/.has-test ## the same on a kernel with KASAN, lockdep, kmemleak, fault injection; builds it once
	@$(BIN)/python -m tests.lab --debug $(ARGS)

bench-lab: $(VENV)/.has-test ## PF_ZEROCOPY against libpcap and AF_XDP on the emulated 82576 (root, Debian)
	@$(BIN)/python -m benchmarks.lab $(ARGS)

bench-live: $(VENV)/.has-bench ## the live sources against libpcap and Python's bindings of it, on a veth pair (root, two CPUs)
	@$(BIN)/python -m benchmarks.live $(ARGS)

clean: ## remove .venv and everything that was built
	rm -rf $(VENV) build dist .coverage .coverage.* htmlcov .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	rm -rf src/*.egg-info
	find . -path ./.git -prune -o -type d -name __pycache__ -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' || \
	    { echo "zcframe needs Python 3.11 to 3.14; call make with PYTHON=python3.12, for instance" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

# What the run compiles goes to the user's cache, and that of the other plugins with it; sources that change do it anew.
PLUGINS := flows sizes talkers dns synflood
# Of this pcapng, a pcap is made: what reads them is compiled for each form by itself.
TRACE := framework/sources/trace/bundled.pcapng
$(VENV)/.has-code: $(VENV)/.has-run $(shell find framework plugins affinity -name '*.py')
	@echo "compiling zcframe and its plugins, once" >&2
	@$(BIN)/zcframe run --queues $(QUEUES) --loop 1 $(PLUGINS:%=--plugin %) >/dev/null 2>&1 && \
	    $(BIN)/zcframe dump -r $(TRACE) -c 1 -w $(VENV)/one.pcap >/dev/null 2>&1 && \
	    $(BIN)/zcframe run --queues $(QUEUES) --loop 1 --read $(VENV)/one.pcap >/dev/null 2>&1 && touch $@ || true

# One stamp an extra: a second call finds it and starts at once. dev holds the other two.
$(VENV)/.has-%: setup.cfg pyproject.toml | $(BIN)/python
	@echo "installing zcframe into $(VENV) ($*), once" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.$(if $(filter-out run,$*),[$*])'
	@touch $@ $(if $(filter dev,$*),$(VENV)/.has-test $(VENV)/.has-run)
