# Two doors: `make demo` and `make test`. Both set up what they need and nothing twice.
PYTHON ?= python3
SOURCE ?=
VENV := $(CURDIR)/.venv
RUN := PATH="$(VENV)/bin:$$PATH" AMENT_PREFIX_PATH="$(VENV)$${AMENT_PREFIX_PATH:+:$$AMENT_PREFIX_PATH}" \
	LD_LIBRARY_PATH="$(VENV)/lib$${LD_LIBRARY_PATH:+:$$LD_LIBRARY_PATH}"

.PHONY: help setup demo test lint clean

help:
	@echo "make demo [SOURCE=path]  three nodes, three tasks, on a sample walk or your bag, folder or video"
	@echo "make test                all tests"
	@echo "make lint                ruff and mypy"
	@echo "make setup               only what the others need (about 3 minutes the first time)"
	@echo "make clean               remove everything that was made here"

setup:
	@$(PYTHON) tools/setup.py

demo: setup
	@$(RUN) $(VENV)/bin/python -m tasktp_ros.cli.main demo $(if $(SOURCE),--source "$(SOURCE)")

test: setup
	@$(RUN) $(VENV)/bin/python -m pytest

lint: setup
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy

clean:
	rm -rf .venv build demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
