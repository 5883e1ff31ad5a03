# Two commands on a fresh machine with Python >= 3.11, pip and make: `make run` and `make test`.
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run psql migrate migration schema-docs dashboards lock check format test test-unit \
	status-page cookbook dataframes torture \
	coverage clean

PYTHON ?= python3
BIN := .venv/bin
FRAMES := tests/dataframes/.venv
PIP := $(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check
UV_COMPILE := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-annotate --no-header --quiet

help: ## Show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-12s %s\n", $$1, $$2}'

# A venv without pip needs no ensurepip, which some systems package apart; the system's pip installs into it.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv --without-pip .venv

.venv/.run: requirements/run.txt pyproject.toml | $(BIN)/python
	$(PIP) --require-hashes --only-binary :all: --requirement requirements/run.txt
	$(PIP) --no-deps --no-build-isolation --no-index --editable .
	@touch $@

.venv/.dev: requirements/dev.txt .venv/.run
	$(PIP) --require-hashes --only-binary :all: --requirement requirements/dev.txt
	@touch $@

setup: .venv/.run ## Make .venv with the hash-locked dependencies and .venv/bin/poller

setup-dev: .venv/.dev ## The same, with what checks and tests need

run: setup ## Start the database, upgrade the schema and record: Ctrl-C ends it
	@exec $(BIN)/poller run --migrate

psql: setup ## Open psql on the database
	@exec $(BIN)/poller psql

migrate: setup ## Upgrade the schema of the configured database
	@exec $(BIN)/poller migrate

migration: setup-dev ## New migration: make migration m="create funding"
	$(BIN)/python -m tests.support.new_migration "$(m)"

schema-docs: setup-dev ## Write docs/schema.md from the comments of a database at the newest revision
	$(BIN)/python -m tests.support.dictionary

dashboards: setup-dev ## Write the dashboards and alerts of grafana/ from grafana/generator
	$(BIN)/python -m grafana.generator

lock: setup-dev ## Lock the newest allowed dependencies with hashes
	$(UV_COMPILE) --upgrade --extra embedded --group build pyproject.toml --output-file requirements/run.txt
	$(UV_COMPILE) --upgrade --extra embedded --group build --group dev --constraint requirements/run.txt pyproject.toml \
		--output-file requirements/dev.txt
	$(UV_COMPILE) --upgrade tests/dataframes/requirements.in --output-file tests/dataframes/requirements.txt

check: setup-dev ## Lint, types, layers, lock
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m tests.support.lock

format: setup-dev ## Let ruff format and fix
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

test: setup-dev ## The whole suite
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test-unit: setup-dev ## What needs neither database nor socket
	$(BIN)/python -m pytest tests/unit

status-page: setup-dev ## Take the pictures of the status page anew; it needs Chromium
	$(BIN)/python -m tests.support.pictures

cookbook: setup-dev ## Write the answers in docs/cookbook.md anew
	$(BIN)/python -m tests.support.cookbook

# What reads the history into frames has a venv of its own: it is large, and must not change what is tested.
$(FRAMES)/.installed: tests/dataframes/requirements.txt
	$(PYTHON) -m venv --clear --without-pip $(FRAMES)
	$(PYTHON) -m pip --python $(FRAMES)/bin/python install --quiet --disable-pip-version-check --require-hashes \
		--only-binary :all: --requirement tests/dataframes/requirements.txt
	@touch $@

dataframes: setup-dev $(FRAMES)/.installed ## What docs/dataframes.md says of pandas, Polars and DuckDB
	$(BIN)/python -m pytest tests/dataframes

torture: setup-dev ## Kill, freeze and starve everything: make torture SEED=7
	$(BIN)/python -m tests.torture $(if $(SEED),--seed $(SEED))

coverage: setup-dev ## The whole suite with branch coverage
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage report

clean: ## Remove .venv and caches; var/ holds data and stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis
