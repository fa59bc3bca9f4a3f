# make demo: the main job, end to end.  make test: everything that CI checks.
# Both make .venv and install into it what is pinned in constraints.txt; a second run installs only what has changed.

PYTHON ?= python3
BIN := .venv/bin
BUILD_TOOLS := scikit-build-core nanobind cmake ninja
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt

.PHONY: demo test test-all check clean

demo: .venv/.installed
	$(BIN)/elman demo

test: check
	$(BIN)/pytest

test-all: check
	$(BIN)/pytest -m "slow or not slow"

check: .venv/.installed-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

clean:
	rm -rf .venv build

.venv/.created:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("elman needs Python 3.11 or newer, but $(PYTHON) is " + sys.version.split()[0] + "; name another one: make PYTHON=python3.12")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo 'This Python cannot make virtual environments (on Debian and Ubuntu: apt install python3-venv).' >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

# The build tools lie in .venv too, so that a change in csrc/ compiles only what it touches.
.venv/.build-tools: .venv/.created constraints.txt
	$(INSTALL) $(BUILD_TOOLS)
	@touch $@

.venv/.installed: .venv/.build-tools pyproject.toml CMakeLists.txt $(wildcard csrc/*)
	$(INSTALL) --no-build-isolation -e .
	@touch $@

# After a change in csrc/ the first of the two has done everything.
.venv/.installed-test: pyproject.toml constraints.txt | .venv/.installed
	$(INSTALL) --no-build-isolation -e '.[test]'
	@touch $@
