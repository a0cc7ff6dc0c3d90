# Everything runs in .venv, which the first target that needs it makes.
PYTHON ?= python3
BIN := .venv/bin
HOURS ?= 1
PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal
QUICK := smoke or not (browser or cluster or estimator or faults or lecture or long or many or readme or slow or torture)

.PHONY: demo test test-rest test-all torture lint bench bench-scale sample-audio picture lecture clean
.DELETE_ON_ERROR:

demo: .venv/installed
	$(BIN)/nmfsep split sample_audio/song.wav -k 4 -o separated
	$(BIN)/nmfsep evaluate sample_audio/stems/song separated/song --mixture sample_audio/song.wav --match best

# Every part of the program within two minutes or so.
test: .venv/tested
	$(PYTEST) -m '$(QUICK)'

# What test leaves out.
test-rest: .venv/tested
	$(PYTEST) -m 'not ($(QUICK)) and not torture'

test-all: .venv/tested
	$(PYTEST) -m 'not torture'

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

# The picture of the README.
picture: .venv/tested
	$(BIN)/python sample_audio/picture.py

lecture: .venv/tested
	$(BIN)/python tests/lecture/make.py

clean:
	rm -rf .venv separated .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nmfsep needs Python 3.11 or later; this is %s: make PYTHON=python3.X" % sys.version.split()[0])'
	$(PYTHON) -m venv .venv

# The package is installed in place, so that a change of the code needs no new installation.
.venv/installed: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/tested: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@ .venv/installed
