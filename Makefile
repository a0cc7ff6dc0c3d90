# Everything runs in .venv, which the first target that needs it makes.
PYTHON ?= python3.11
BIN := .venv/bin
HOURS ?= 1

.PHONY: demo test torture lint bench bench-scale sample-audio lecture clean
.DELETE_ON_ERROR:

demo: .venv/installed
	$(BIN)/nmfsep split sample_audio/song.wav -k 4 -o separated

test: .venv/tested
	$(BIN)/python -m pytest -n auto

# Every system call of every command made to fail, with strace.
torture: .venv/tested
	$(BIN)/python -m pytest -n auto -m torture

lint: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict nmfsep

bench: .venv/tested
	$(BIN)/python -m pytest tests/benchmarks -o python_files='bench_*.py' -o python_functions='bench_*' -W default --benchmark-group-by=group --benchmark-columns=median,min,rounds
	$(BIN)/python tests/benchmarks/table.py
	$(BIN)/python tests/benchmarks/growth.py
	$(BIN)/python tests/benchmarks/learning.py

# make bench-scale HOURS="1 10" measures files of these lengths; ROWS="jobs cluster" only these rows.
bench-scale: .venv/tested
	$(BIN)/python tests/benchmarks/scale.py $(ROWS) --hours $(HOURS)

sample-audio: .venv/tested
	$(BIN)/python sample_audio/make.py

lecture: .venv/tested
	$(BIN)/python tests/lecture/make.py

clean:
	rm -rf .venv separated .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks

.venv/bin/python:
	$(PYTHON) -m venv .venv

# The package is installed in place, so that a change of the code needs no new installation.
.venv/installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/tested: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@ .venv/installed
