# Each target sets up what it needs: .venv from requirements.lock, .env, the databases.
.DEFAULT_GOAL := help
.PHONY: help setup develop demo test up check rules types definitions docs bench spark images materials audit clean lock
SHELL := /bin/bash
BIN := .venv/bin
PYTHON ?= $(shell for p in python3.12 python3.11 python3; do "$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null && echo "$$p" && break; done)

help:
	@grep -hE '^[a-z]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 10

# A stamp is written last: a set-up that was cut short is done again.
.venv/.ready: requirements.lock pyproject.toml deploy/install.py
	@test -n "$(PYTHON)" || { echo "movierec needs Python 3.11 or 3.12 (or say: make PYTHON=/path/to/python3.11)" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no venv with pip. Debian and Ubuntu keep it in a package of its own: apt install $$(basename "$(PYTHON)")-venv (or say: make PYTHON=/path/to/another)" >&2; exit 1; }
	"$(PYTHON)" -m venv --clear .venv
	$(BIN)/python deploy/install.py requirements.lock
	@touch .venv/.ready

# The tests, the checks and the documents need more than the platform does.
.venv/.ready-dev: .venv/.ready requirements-dev.lock
	$(BIN)/python deploy/install.py requirements-dev.lock
	@touch .venv/.ready-dev

setup: .venv/.ready
	@$(BIN)/movierec setup

develop: .venv/.ready-dev
	@$(BIN)/movierec setup

demo: setup ## real MovieLens ratings, from the first day to a reload under load
	@$(BIN)/python -m demo

# Memory holds the tests' homes where it may: they write files down to the disk thousands of times.
SHM = $(shell [ "$$(df --output=avail /dev/shm 2>/dev/null | tail -1)" -gt 4000000 ] 2>/dev/null && ! grep -qE '^\S+ /dev/shm .*noexec' /proc/mounts && echo TMPDIR=/dev/shm)
test: .venv/.ready-dev ## the tests, on real components
	$(SHM) $(BIN)/python -m pytest -n $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --dist loadfile --no-loadscope-reorder

up: .venv/.ready ## Dagster's UI and daemon, the endpoint and MLflow's UI, until Ctrl-C
	@$(BIN)/movierec up

# Parts of it may run beside each other: make --jobs=2 --output-sync check
check: types rules definitions docs ## ruff, mypy, import rules, workflows, Dagster's definitions, the documents

rules: .venv/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/zizmor --quiet --offline .github/workflows
	$(BIN)/kubernetes-validate --quiet --strict deploy/kubernetes/endpoint.yaml

types: .venv/.ready-dev
	$(BIN)/mypy

definitions: develop
	$(BIN)/dg check defs

docs: .venv/.ready-dev ## the documents, into site/; a warning is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "documents: $(CURDIR)/site/index.html"

bench: develop ## the benchmarks; one of them: make bench ONLY=name
	$(BIN)/python -m bench $(ONLY)

spark: develop ## pyspark, which is in no lock, and the tests that need it
	$(BIN)/uv pip install --python $(BIN)/python --extra spark --requirement pyproject.toml
	$(BIN)/python -m pytest tests/assets/test_spark.py

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header
lock: .venv/.ready ## the lock files anew from pyproject.toml
	$(LOCK) --extra assets --extra setup --output-file requirements.lock pyproject.toml
	$(LOCK) --constraint requirements.lock --extra assets --extra setup --extra dev --extra docs --output-file requirements-dev.lock pyproject.toml
	$(LOCK) --constraint requirements.lock --extra postgres --extra setup --output-file deploy/serving.lock pyproject.toml

images: $(if $(MODEL),setup) ## the container images, by buildah; one with a version in it: make images MODEL=15
	@"$(PYTHON)" -m deploy.images $(if $(MODEL),serving)
	@$(if $(MODEL),$(BIN)/python -m deploy.bake $(MODEL))

# Tools of their own, pinned here, since neither the platform nor its tests need them.
materials: setup ## what the platform is made of, in build/: CycloneDX, and the licences
	@mkdir -p build
	$(BIN)/uv tool run --from cyclonedx-bom==7.5.0 cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file build/movierec.cdx.json .venv
	$(BIN)/uv tool run pip-licenses==5.5.5 --python $(BIN)/python --format csv --with-urls --output-file build/licences.csv

audit: setup ## packages with known vulnerabilities; it fails where no advisories can be reached
	$(BIN)/uv tool run pip-audit==2.10.1 --strict --requirement requirements.lock --no-deps --disable-pip

clean: ## remove what set-up and tools made; the warehouse is kept
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build site
	find movierec_assets movierec_serving tests bench demo docs -name __pycache__ -type d -prune -exec rm -rf {} +
