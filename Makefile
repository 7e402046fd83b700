# Everything below needs Python 3.11 or newer with pip, and the package index; uv and the rest go into .venv.
PYTHON ?= python3
RUN = .venv/bin/python -m

.PHONY: run test lint tables bench install clean

run: install ## install, then the quickstart: embedded data, a minute on 2 cores
	$(RUN) ood_bench experiment=quickstart

test: install ## install, then the whole test suite
	$(RUN) pytest -q -n 2

lint: install ## formatting, lint and types
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy

tables: install ## tables, page, plots and README block again, from results/records
	$(RUN) ood_bench.report --results results --readme README.md

bench: install ## ratios to the bare forward pass, measured in one interleaved run
	$(RUN) ood_bench.bench

install: .venv/.installed

.venv/.installed: pyproject.toml uv.lock
	$(PYTHON) -c 'import sys; sys.exit("ood-bench needs Python 3.11 or newer: make PYTHON=python3.11 ...") if sys.version_info < (3, 11) else None'
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	$(RUN) pip install --quiet --disable-pip-version-check uv
	UV_PROJECT_ENVIRONMENT=.venv $(RUN) uv sync --quiet --locked --inexact
	touch $@

clean:
	rm -rf .venv outputs .mypy_cache .ruff_cache .pytest_cache
