# Two doors: `make demo` and `make test`. Both set up what they need and nothing twice.
# Paths are the shell's, in quotes: make itself would take a folder's name apart at a space.
PYTHON ?= python3
override SOURCE := $(value SOURCE)
export SOURCE
# An environment that is there keeps its Python, unless another is named.
NAMED := $(if $(filter file,$(origin PYTHON)),,--this-python)
RUN := PATH="$$PWD/.venv/bin:$$PATH" AMENT_PREFIX_PATH="$$PWD/.venv$${AMENT_PREFIX_PATH:+:$$AMENT_PREFIX_PATH}" \
	LD_LIBRARY_PATH="$$PWD/.venv/lib$${LD_LIBRARY_PATH:+:$$LD_LIBRARY_PATH}"

.PHONY: help setup demo bench tables test lint clean

help:
	@echo "make demo [SOURCE=path]  three nodes, four goals, on a real walk or your bag, folder or video;"
	@echo "                         SOURCE=camera (camera:1, /dev/video2) takes a webcam for 20 seconds"
	@echo "make bench               where a frame's time goes, beside torchvision's detectors (under 10 minutes)"
	@echo "make tables              the papers' tables, ours beside theirs, from the results that are there"
	@echo "make test                all tests"
	@echo "make lint                ruff and mypy"
	@echo "make setup [PYTHON=...]  only what the others need (about 3 minutes the first time)"
	@echo "make clean               remove everything that was made here"

setup:
	@"$(PYTHON)" tools/setup.py $(NAMED)

demo: setup
	@$(RUN) .venv/bin/python -m tasktp_ros.cli.main demo $${SOURCE:+--source "$$SOURCE"}

# Nano as robots run it, on one core; the published size on all of them.
bench: setup
	@$(RUN) .venv/bin/python -m tasktp_ros.cli.main bench --table --size coco-nano --threads 1
	@echo
	@$(RUN) .venv/bin/python -m tasktp_ros.cli.main bench --table --size deit_tiny

tables: setup
	@$(RUN) .venv/bin/python -m tasktp_ros.cli.main tables

# Two processes, one for what starts nodes (test/conftest.py); a plain `python -m pytest` runs them in one.
test: setup
	@$(RUN) .venv/bin/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder

lint: setup
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy

# An environment of someone else's, or behind a link, was not made here.
clean:
	@if [ -L .venv ] || { [ -e .venv ] && [ ! -d .venv/.setup ]; }; then \
		echo ".venv is not this checkout's own: it stays"; else rm -rf .venv; fi
	rm -rf build demo tasktp_ros.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
