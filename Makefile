# Two commands matter: `make demo` and `make test`. Both make what they need and work from any directory
# (make -C PATH demo), twice in a row, and behind a package mirror (pip's own settings are used).
HERE := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
VENV ?= $(HERE)/.venv
BIN := $(VENV)/bin
# Where the demo leaves a project to play with.
DEMO ?= $(HERE)/demo
JOBS ?= 2

.PHONY: demo test test-heavy lint types contracts check bench format clean

demo:
	@$(HERE)/scripts/venv "$(VENV)" example
	@PATH="$(BIN):$$PATH" "$(BIN)/python" "$(HERE)/examples/digits/demo.py" "$(DEMO)"

test:
	@$(HERE)/scripts/venv "$(VENV)" example,test
	cd "$(HERE)" && "$(BIN)/python" -m pytest -n $(JOBS) -m "not heavy" tests

test-heavy:
	@$(HERE)/scripts/venv "$(VENV)" example,test,test-heavy
	cd "$(HERE)" && TEST_FURTHER=1 "$(BIN)/python" -m pytest -n $(JOBS) -m heavy --timeout 3600 tests
	cd "$(HERE)" && TEST_FURTHER=1 "$(BIN)/python" -m pytest -n $(JOBS) -m "not heavy" tests/property

lint:
	@$(HERE)/scripts/venv "$(VENV)" dev,example,test
	cd "$(HERE)" && "$(BIN)/ruff" check . && "$(BIN)/ruff" format --check . && "$(BIN)/vulture"

types:
	@$(HERE)/scripts/venv "$(VENV)" dev,example,test
	cd "$(HERE)" && "$(BIN)/mypy"

contracts:
	@$(HERE)/scripts/venv "$(VENV)" dev,example,test
	cd "$(HERE)" && PYTHONPATH=src "$(BIN)/lint-imports"

check: lint types contracts test

bench:
	@$(HERE)/scripts/venv "$(VENV)" example,test
	cd "$(HERE)" && "$(BIN)/python" benchmarks/run_all.py

format:
	@$(HERE)/scripts/venv "$(VENV)" dev,example,test
	cd "$(HERE)" && "$(BIN)/ruff" check --fix . ; "$(BIN)/ruff" format .

clean:
	rm -rf "$(HERE)/.venv" "$(DEMO)" "$(HERE)/build" "$(HERE)/dist"
