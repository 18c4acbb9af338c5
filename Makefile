# make serve   start the service with the models of model_store/ (HOST=, PORT= change the address)
# make test    lint, type check and run all tests that are not slow
# make help    the rest

PYTHON ?= python3
VENV ?= .venv
HOST ?= 127.0.0.1
PORT ?= 8080

# torch is wanted as its CPU build. Where the package index at hand does not carry it, TORCH_INDEX names one that does.
# TORCH_BUILD= (empty) takes whatever build the index offers.
TORCH_INDEX ?=
BUILD_REQUIRES := $(shell sed -n 's/^requires = \["\(.*\)"\]/\1/p' pyproject.toml)
TORCH_VERSION := $(shell sed -n 's/^torch==//p' constraints.txt)
TORCH_BUILD ?= $(if $(filter Linux-x86_64,$(shell uname -sm | tr ' ' -)),+cpu)

# For `docker build` in docker-test, e.g. --network=host, or --build-arg=PIP_INDEX_URL=…
DOCKER_BUILD_ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCKED_EXTRAS := cpu,dev,export,files,ipadic,jumanpp,otel,ray,train,unidic-lite

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help serve test lint types pytest test-slow test-gpu docker-test format lock clean

help:
	@echo "make serve [HOST=$(HOST)] [PORT=$(PORT)]  start the service"
	@echo "make test                            lint, type check and run all tests that are not slow"
	@echo "make test-gpu                        run the tests that need a GPU, in an environment of their own"
	@echo "make lint | types | pytest           one of the three"
	@echo "make docker-test                     build the cpu image and try it with the Docker engine at hand"
	@echo "make test-slow                       the tests that take minutes: a soak, fuzzing, kills, a Ray cluster"
	@echo "make format                          let ruff rewrite the code"
	@echo "make lock                            resolve constraints.txt again"
	@echo "make clean                           remove the virtual environment and caches"

serve: $(VENV)/.stamp-serve
	@exec $(BIN)/nagayomi serve --host $(HOST) --port $(PORT)

test: lint types pytest

lint: $(VENV)/.stamp-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.stamp-dev
	$(BIN)/mypy

# No test may fetch anything from a model hub. Two processes, each with whole files, for fixtures that files share inside; then
# Ray alone, whose dozen processes starve next to others.
pytest: $(VENV)/.stamp-dev
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -m 'not slow' -n 2 --dist loadfile --no-loadscope-reorder --ignore tests/app/ray
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -m 'not slow' tests/app/ray

test-slow: $(VENV)/.stamp-dev
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -m slow

# The CPU's and the GPU's ONNX Runtime exclude each other, so this has an environment of its own, without torch.
test-gpu: $(VENV)-gpu/.stamp
	$(VENV)-gpu/bin/python -m pytest -m gpu tests/gpu

$(VENV)-gpu/.stamp: pyproject.toml constraints.txt
	@$(PYTHON) -m venv $(VENV)-gpu
	@$(VENV)-gpu/bin/python -m pip --disable-pip-version-check --quiet install --constraint constraints.txt \
	  --editable '.[gpu,tensorrt,files,dev]'
	@touch $@

docker-test: $(VENV)/.stamp-dev
	DOCKER_BUILD_ARGS='$(DOCKER_BUILD_ARGS)' $(BIN)/python -m pytest tests/docker -m docker

format: $(VENV)/.stamp-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The stamps live inside the environment, so that removing it removes them. Nothing is installed, and no network is
# needed, while they are newer than what was asked for.
$(VENV)/.stamp-venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Nagayomi needs Python 3.11 or newer; name one with PYTHON=, e.g. make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Creating $(VENV)"
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "python -m venv failed; on Debian and Ubuntu, install the package python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/.stamp-serve: pyproject.toml constraints.txt | $(VENV)/.stamp-venv
	@echo "Installing what serving needs (under 90 seconds)"
	@$(PIP) install --constraint constraints.txt --editable '.[cpu,files]'
	@touch $@

# torch first and alone: an index for torch must not be asked for anything else.
$(VENV)/.stamp-dev: pyproject.toml constraints.txt | $(VENV)/.stamp-venv
	@echo "Installing the development set, torch included (a few minutes at most)"
	@$(PIP) install --no-deps $(if $(TORCH_INDEX),--index-url '$(TORCH_INDEX)') 'torch==$(TORCH_VERSION)$(TORCH_BUILD)' || { \
	  echo "The package index has no torch $(TORCH_VERSION)$(TORCH_BUILD). Give PyTorch's CPU index with TORCH_INDEX= (see CONTRIBUTING.md)," >&2; \
	  echo "or take any build with TORCH_BUILD= (on Linux that is CUDA, several GB)." >&2; exit 1; }
	@$(PIP) install --constraint constraints.txt --editable '.[$(LOCKED_EXTRAS)]'
	@touch $@ $(VENV)/.stamp-serve

# Three resolutions, because the runtimes exclude each other; nothing is installed. The first asks for the dev set with the CPU
# runtime; the others, held to the first, add what only the GPU's and OpenVINO's bring.
lock: $(VENV)/.stamp-venv
	$(PIP) install --dry-run --ignore-installed $(if $(TORCH_INDEX),--extra-index-url '$(TORCH_INDEX)') \
	  --report $(VENV)/lock-cpu.json '.[$(LOCKED_EXTRAS)]' '$(BUILD_REQUIRES)' 'torch==$(TORCH_VERSION)$(TORCH_BUILD)'
	$(BIN)/python -c "$$WRITE_LOCK" $(VENV)/lock-cpu.json > $(VENV)/lock.txt
	$(PIP) install --dry-run --ignore-installed --constraint $(VENV)/lock.txt --report $(VENV)/lock-gpu.json '.[gpu]'
	$(PIP) install --dry-run --ignore-installed --constraint $(VENV)/lock.txt --report $(VENV)/lock-openvino.json '.[openvino]'
	$(BIN)/python -c "$$WRITE_LOCK" $(VENV)/lock-gpu.json $(VENV)/lock-openvino.json $(VENV)/lock-cpu.json > $(VENV)/lock.txt
	mv $(VENV)/lock.txt constraints.txt

define WRITE_LOCK
import json, sys
pins = {}
for path in sys.argv[1:]:
    for item in json.load(open(path, encoding="utf-8"))["install"]:
        name = item["metadata"]["name"].lower().replace("_", "-")
        pins[name] = item["metadata"]["version"].partition("+")[0]
pins.pop("nagayomi")
print("# Exact versions of everything the extras bring in. Written by make lock.")
print("\n".join(f"{name}=={pins[name]}" for name in sorted(pins)))
endef
export WRITE_LOCK

clean:
	rm -rf $(VENV) $(VENV)-gpu .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
