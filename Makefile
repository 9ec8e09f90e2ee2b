# Each target does all of its own set-up: a fresh clone needs Python 3.11, make and a C library, nothing else.
#
#   make demo    load real images through every scheme, print a table, write a contact sheet
#   make test    run the tests                            (PYTEST_ARGS="-k geometry" to choose)
#   make check   ruff, mypy --strict, codespell, the documentation without a warning
#   make bench   measure against other libraries          (BENCH_ARGS="..." to choose)
#   make docs    build the documentation into docs/_build/html
#
#   make constraints   choose the exact versions anew; UPGRADE=1 moves them all to the newest
#   make clean         remove what the targets made, the environment included
#
# UV=uv uses a uv of your own, PYTHON=python3.12 another interpreter.

PYTHON ?= python3
UV ?= .tools/bin/uv

BIN := .venv/bin
PLUGINS := plugins/nifti plugins/wado plugins/web
PYPROJECTS := pyproject.toml core/pyproject.toml $(PLUGINS:%=%/pyproject.toml)
GROUPS := test check docs bench
INSTALL = $(UV) pip install --quiet --python $(BIN)/python --constraints constraints.txt \
	--build-constraints constraints.txt --editable 'core[cli,progress]' \
	$(foreach plugin,$(PLUGINS:%/wado=%/wado[demo]),--editable '$(plugin)')

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types spelling docs bench constraints clean

help:
	@sed -n '/^#  /s/^# *//p' Makefile

demo: .venv/ready-demo
	$(BIN)/loadstone demo $(DEMO_ARGS)

test: .venv/ready-test
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: lint types spelling docs

lint: .venv/ready-check
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .venv/ready-check
	$(BIN)/mypy

spelling: .venv/ready-check
	$(BIN)/codespell

docs: .venv/ready-docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs docs/_build/html

bench: .venv/ready-bench
	$(BIN)/python -m tests.bench $(BENCH_ARGS)

# What each target needs beyond the four packages themselves. `check` reads all the code, so it needs every library.
.venv/ready-test: groups := test
.venv/ready-check: groups := test check docs bench
.venv/ready-docs: groups := docs
.venv/ready-bench: groups := bench

.venv/ready-%: $(BIN)/python constraints.txt $(PYPROJECTS)
	$(INSTALL) $(groups:%=--group %)
	@touch $@

# An order-only prerequisite: a newer uv is no reason to make the environment again.
$(BIN)/python: | $(filter .tools/bin/uv,$(UV))
	$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv

# uv has an environment of its own, so that nothing done to .venv can remove it.
.tools/bin/uv:
	$(PYTHON) -m venv .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv

constraints: | $(filter .tools/bin/uv,$(UV))
	$(UV) pip compile --quiet --python-version 3.11 --all-extras $(GROUPS:%=--group %) \
		--no-emit-index-url --no-header --no-annotate \
		--no-emit-package loadstone $(PLUGINS:plugins/%=--no-emit-package loadstone-%) \
		$(if $(UPGRADE),--upgrade) --output-file constraints.txt $(PYPROJECTS)

clean:
	rm -rf .venv .tools docs/_build .mypy_cache .pytest_cache .ruff_cache .hypothesis dist
