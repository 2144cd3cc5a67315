# make demo | test | check : each sets up .venv by itself
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check clean

demo: .venv/.installed
	$(BIN)/python extract.py
	$(BIN)/python evaluate.py -m intervention=scale intervention.factor=0,0.5,1,1.25 \
	    benchmark.dataset.n_texts=4 controls.repeats=2

test: .venv/.installed-dev
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n 2 --dist loadfile

check: .venv/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy src
	$(BIN)/lint-imports

clean:
	rm -rf .venv outputs

.venv/.installed: pyproject.toml constraints.txt requirements/no-deps.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -c constraints.txt -e '.[embedded]'
	$(BIN)/pip install --quiet --no-deps -r requirements/no-deps.txt
	touch $@

.venv/.installed-dev: .venv/.installed
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev,embedded]'
	touch $@
