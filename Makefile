# Everything below needs Python 3.11 or newer with pip, and the package index; uv and the rest go into .venv.
PYTHON ?= python3
RUN = .venv/bin/python -m
# A published ResNet-20 for make bench; without the file it measures fresh weights.
CHECKPOINT ?= ../shared/checkpoints/resnet20_cifar10_akamaster.th

# Set by many containers; without bytecode, each of the suite's processes compiles torch and the rest for ten seconds.
export PYTHONDONTWRITEBYTECODE =

.PHONY: run test test-page test-cluster test-ray crash lint tables docs bench install clean

run: install ## install, then the quickstart: embedded data, a minute on 2 cores
	$(RUN) ood_bench experiment=quickstart

test: install ## install, then the whole test suite
	$(RUN) pytest -q -n 2 --dist loadscope --max-worker-restart=0

test-page: install ## the page in a headless Chromium, with axe-core from npm; as root on Debian or Ubuntu it installs what is missing
	PYTEST="$(RUN) pytest" scripts/page_tests.sh

test-cluster: install ## a sweep on a SLURM of one node, this machine, which is started for it; needs root, Debian or Ubuntu
	scripts/one_node_slurm.sh start
	$(RUN) pytest -q -m cluster tests/cluster

test-ray: install ## a sweep on a Ray of this machine, which is started for it, in an environment of its own (.venv-ray)
	UV="$(RUN) uv" scripts/local_ray.sh

crash: install ## 100 runs killed at random moments, every kind of stored file damaged in every way; an hour on 2 cores
	OOD_BENCH_KILLS=25 OOD_BENCH_CRASH=full $(RUN) pytest -q -o faulthandler_timeout=7200 tests/crash

lint: install ## formatting, lint and types
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy

tables: install ## tables, page, plots and README block again, from results/records
	$(RUN) ood_bench.report --results results --readme README.md

docs: install .venv-docs/.installed ## runs the code on the pages, then builds them as a site in outputs/site; a dead link is an error
	.venv/bin/python scripts/run_docs.py
	.venv-docs/bin/python scripts/docs_site.py
	.venv-docs/bin/python -m zensical build --clean --strict

.venv-docs/.installed: pyproject.toml uv.lock
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check uv
	UV_PROJECT_ENVIRONMENT=.venv-docs .venv-docs/bin/python -m uv sync --quiet --locked --only-group docs --inexact
	touch $@

bench: install ## ratios to the bare forward pass, ours beside pytorch-ood's; BENCH=--quick needs no data, OODEEL=PYTHON adds oodeel
	$(RUN) benchmarks $(if $(wildcard $(CHECKPOINT)),--checkpoint $(CHECKPOINT)) $(BENCH)
	$(if $(OODEEL),$(RUN) benchmarks.oodeel --python $(OODEEL) --checkpoint $(CHECKPOINT))
	$(RUN) benchmarks.backends $(if $(findstring --quick,$(BENCH)),--networks resnet20 --images 64 --rounds 1)
	$(RUN) benchmarks.start $(if $(findstring --quick,$(BENCH)),--rounds 1)
	$(RUN) benchmarks.records $(if $(findstring --quick,$(BENCH)),--scale 0.02)
	$(RUN) benchmarks.growth $(if $(findstring --quick,$(BENCH)),--quick)
	$(RUN) benchmarks.explain $(if $(findstring --quick,$(BENCH)),--rows 2400 --rounds 1)

install: .venv/.installed

.venv/.installed: pyproject.toml uv.lock
	$(PYTHON) -c 'import sys; sys.exit("ood-bench needs Python 3.11 or newer: make PYTHON=python3.11 ...") if sys.version_info < (3, 11) else None'
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	$(RUN) pip install --quiet --disable-pip-version-check uv
	UV_PROJECT_ENVIRONMENT=.venv $(RUN) uv sync --quiet --locked --inexact
	touch $@

clean:
	rm -rf .venv .venv-ray .venv-docs .axe outputs .mypy_cache .ruff_cache .pytest_cache
