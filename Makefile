# Every verb is one line; the work is in tools/, pytest and the vivant command.
PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell command -v $(name) 2>/dev/null)))
BIN := .venv/bin
SOURCES := pyproject.toml tools/bootstrap.py $(wildcard requirements/*.txt)
ARGS ?=

.PHONY: install run camera test check bench bench-check fuzz audit train requirements clean

install: .venv/.runtime

.venv/.runtime: $(SOURCES)
	$(PYTHON) tools/bootstrap.py && touch $@

.venv/.dev: $(SOURCES)
	$(PYTHON) tools/bootstrap.py --dev --browser && touch $@ .venv/.runtime

run: .venv/.runtime
	$(BIN)/vivant serve $(ARGS)

camera: .venv/.runtime
	$(BIN)/python -m server.face_tracker

test: .venv/.dev
	$(BIN)/python tools/test.py $(ARGS)

check: .venv/.dev
	$(BIN)/python tools/check.py

bench: .venv/.dev
	$(BIN)/python -m benchmarks $(ARGS)

bench-check: .venv/.dev
	$(BIN)/python -m benchmarks --check $(ARGS)

fuzz: .venv/.dev
	$(BIN)/python -m tools.fuzz $(ARGS)

audit: .venv/.dev
	$(BIN)/python tools/audit.py $(ARGS)

train: .venv/.dev
	$(BIN)/python -m training motion $(ARGS)

requirements:
	$(PYTHON) tools/requirements.py

clean:
	rm -rf .venv build dist artifacts .mypy_cache .ruff_cache .pytest_cache
