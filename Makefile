# Everything a checkout needs sets itself up: a virtual environment from uv.lock, and the devcluster's servers, built once into a cache.
# Needs Python >= 3.11, make and git. `make` alone explains the targets.

VENV := .venv
PY := $(VENV)/bin/python
SYNCED := $(VENV)/.synced

# make test PYTEST_ARGS="-k latch tests/apiserver": pytest's arguments, instead of all tests.
PYTEST_ARGS ?=
# How many processes share the tests on real parts, each with a control plane and a Prometheus of its own; most of them wait.
TEST_PROCESSES ?= 3
# The least branch coverage of rampgate_operator.core, in per cent.
CORE_COVERAGE ?= 95
# How many cases make fuzz runs.
FUZZ_CASES ?= 1000000
# make bench-guardrails BENCH_ARGS="--by-product 2000": most ramps through the twin, in minutes.
BENCH_ARGS ?=
# make demo KEEP=1: leave it running, with its URLs and things to try.
KEEP ?=
# make demo UNTIMED=1: tell the measured seconds, but fail for none of them.
UNTIMED ?=

# Whatever the environment says, bytecode is kept, and in the virtual environment alone: tests start some thousand processes, and each of
# them would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/$(VENV)/bytecode

.DEFAULT_GOAL := help
.PHONY: help demo test cluster-test kind-test fuzz bench-scale bench-rollback bench-sdk bench-propagation bench-guardrails lint crds docs image build clean

help: ## Say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(SYNCED) ## Show the main job on real parts, some 80 seconds once built (KEEP=1 leaves it running)
	@$(PY) -m tools.devcluster build --for demo
	$(PY) -m tools.demo $(if $(KEEP),--keep) $(if $(UNTIMED),--untimed)

test: $(SYNCED) build ## Run all tests on a real API server and a real Prometheus (PYTEST_ARGS="-k latch")
ifdef PYTEST_ARGS
	$(PY) -m pytest $(PYTEST_ARGS)
else
	$(PY) -m coverage run -m pytest tests/core
	$(PY) -m coverage report --include='*/rampgate_operator/core/*' --fail-under=$(CORE_COVERAGE)
	$(PY) -m pytest --ignore=tests/core --ignore=tests/node --ignore=tests/cluster -n $(TEST_PROCESSES) --dist worksteal
endif

cluster-test: $(SYNCED) ## Run the suite with real pods: on a node made here (root, Linux), or KUBECONFIG=… RAMPGATE_IMAGE=… on yours
	@$(PY) -m tools.devcluster build $(if $(RAMPGATE_IMAGE),helm4,--for node)
	$(if $(RAMPGATE_IMAGE),,$(PY) -m pytest tests/node)
	$(PY) -m pytest tests/cluster --durations=10 $(PYTEST_ARGS)

kind-test: $(SYNCED) ## Run the same suite on a new cluster of kind's (docker, kind; KIND_NODE_IMAGE=kindest/node:v1.34.0)
	@PYTEST_ARGS="$(PYTEST_ARGS)" tools/kind.sh

fuzz: $(SYNCED) ## Evaluate a million mutilated entries and odd contexts (FUZZ_CASES=…; some ten minutes)
	$(PY) -m tests.sdk.fuzz $(FUZZ_CASES)

bench-sdk: $(SYNCED) ## Measure the SDK beside Eppo, flagd and an inline if, and write benchmarks/results/sdk.json (some minutes)
	UV_PROJECT_ENVIRONMENT=.venv-bench $(PY) -m uv sync --quiet --locked --no-default-groups --group bench --extra prometheus --extra openfeature --python $(PY)
	$(PY) -m benchmarks.sdk --record

lint: $(SYNCED) ## Check style, types, import contracts, and that what is generated is up to date
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	$(VENV)/bin/lint-imports
	$(PY) -m tools.docs --check

bench-scale: $(SYNCED) build ## Measure 1,000 Experiments on a real API server, and write benchmarks/results/scale.json (some minutes)
	$(PY) -m benchmarks.scale --record

bench-rollback: $(SYNCED) build ## Measure the time from a fault to its rollback, and write benchmarks/results/rollback.json (some minutes)
	$(PY) -m benchmarks.rollback --record

bench-propagation: $(SYNCED) build ## Measure how soon pods are told of a kill, and obey it, and write benchmarks/results/propagation.json (root; half an hour)
	$(PY) -m benchmarks.propagation --record $(BENCH_ARGS)

bench-guardrails: $(SYNCED) build ## Simulate 10,000 ramps of each kind, check what is promised, and write benchmarks/results/guardrails.json (half an hour)
	$(PY) -m benchmarks.guardrails --record $(BENCH_ARGS)

crds: $(SYNCED) ## Generate crds/ from the models
	$(PY) -m tools.crds

docs: $(SYNCED) ## Generate the pages of docs/ that are made from the code
	$(PY) -m tools.docs

image: $(SYNCED) ## Build the image with docker, or as root with buildah, and say where its archive is (1 minute; the first time 3)
	@$(PY) -m tools.image

build: $(SYNCED) ## Build the devcluster's servers into the cache, once per version (some minutes)
	@$(PY) -m tools.devcluster build

clean: ## Remove the virtual environment and the tools' caches; the built servers stay
	rm -rf $(VENV) .venv-bench .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage

$(SYNCED): pyproject.toml uv.lock tools/bootstrap.sh
	@PYTHON="$(PYTHON)" tools/bootstrap.sh
	@touch $@
