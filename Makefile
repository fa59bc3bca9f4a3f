# make demo: the main job, end to end.  make test: everything that CI checks.
# Both make .venv and install into it what is pinned in constraints.txt; a second run installs only what has changed.

PYTHON ?= python3
BIN := .venv/bin
BUILD_TOOLS := scikit-build-core nanobind cmake ninja
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt

SITE = $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

.PHONY: demo test test-all check sanitize cross wheel-test hotspots viewer clean

demo: .venv/.installed
	$(BIN)/elman demo

# A process for each core, each on one thread: tests that need more ask for them.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --maxprocesses 4

test: check cross sanitize
	$(PYTEST)

test-all: check cross sanitize wheel-test
	$(PYTEST) -m "slow or not slow"

check: .venv/.installed-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# The kernel tests once more, with every access to memory watched by ASan and UBSan. Python itself knows nothing of them, so
# they have to be loaded first, and their reports need the true stderr. The ordinary elman is in .venv, so the tests run outside
# of it, on what is installed there.
# Left out is what says nothing about the kernels' memory and takes long: rules of autograd, which run in the reference.
sanitize: build/sanitized/.installed
	LD_PRELOAD="$$(c++ -print-file-name=libasan.so) $$(c++ -print-file-name=libstdc++.so.6)" \
	ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1 OMP_NUM_THREADS=1 \
	PYTHONPATH=build/sanitized:$(SITE) \
	$$($(BIN)/python -c 'import sys; print(sys._base_executable)') -S -m pytest -q -n auto --maxprocesses 4 -p no:cacheprovider --capture=sys tests/kernels tests/compiled \
	--ignore tests/kernels/test_fused.py --ignore tests/kernels/test_library.py --ignore tests/kernels/test_reference.py \
	--ignore tests/kernels/test_door.py --ignore tests/kernels/test_walls.py \
	-k "not (opcheck or gradcheck or gradgradcheck or derivatives or forward_mode or vmap or door or reference_s)"

build/sanitized/.installed: .venv/.installed-test CMakeLists.txt $(wildcard csrc/*) $(shell find src -name '*.py*')
	$(INSTALL) --no-build-isolation --no-deps --upgrade --target build/sanitized -C build-dir=build/sanitize -C install.strip=false \
	-C cmake.build-type=RelWithDebInfo -C cmake.define.ELMAN_SANITIZE=address,undefined .
	@touch $@

# The kernels for another processor, with warnings as errors; where an emulator of it is at hand, tests/kernels/smoke.cpp too.
cross: .venv/.build-tools
	@command -v aarch64-linux-gnu-g++ >/dev/null || { echo 'cross: skipped, there is no aarch64-linux-gnu-g++ (on Debian and Ubuntu: apt install g++-aarch64-linux-gnu)'; exit 0; }; set -e; \
	$(BIN)/cmake -S . -B build/aarch64 -G Ninja -DELMAN_PYTHON=OFF -DCMAKE_BUILD_TYPE=Release -DCMAKE_SYSTEM_NAME=Linux \
	-DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ -DCMAKE_MAKE_PROGRAM="$(CURDIR)/$(BIN)/ninja"; \
	$(BIN)/cmake --build build/aarch64; \
	command -v qemu-aarch64 >/dev/null || { echo 'cross: compiled, but not run, there is no qemu-aarch64 (apt install qemu-user)'; exit 0; }; \
	qemu-aarch64 build/aarch64/smoke

# The wheel in an empty environment without a compiler. What it is built of was compiled for .venv already.
WHEEL := $(CURDIR)/build/wheel
BARE := PATH=$(WHEEL)/venv/bin CC=/bin/false CXX=/bin/false
wheel-test: .venv/.installed
	rm -rf $(WHEEL)
	$(BIN)/python -m pip wheel --disable-pip-version-check --quiet --no-build-isolation --no-deps -w $(WHEEL) .
	$(BIN)/python -m venv $(WHEEL)/venv
	$(BARE) python -m pip install --disable-pip-version-check --quiet --only-binary :all: -c constraints.txt $(WHEEL)/*.whl
	cd $(WHEEL) && env -i HOME="$$HOME" $(BARE) python $(CURDIR)/tests/installed.py && env -i HOME="$$HOME" $(BARE) elman doctor

# Where the time goes, by samples: needs perf, and kernels that know their source lines, in an environment of their own.
hotspots: build/profiled/.installed
	ELMAN_PROFILED=1 build/profiled/bin/python benchmarks/hotspots.py --json docs/benchmarks/hotspots.json

build/profiled/.installed: .venv/.installed-test CMakeLists.txt $(wildcard csrc/*)
	$(BIN)/python -m venv --without-pip build/profiled
	rm -rf $$(echo build/profiled/lib/python*/site-packages)/elman*
	echo $(SITE) > $$(echo build/profiled/lib/python*/site-packages)/rest.pth
	$(INSTALL) --no-build-isolation --no-deps --upgrade --target $$(echo build/profiled/lib/python*/site-packages) -C build-dir=build/profile \
	-C install.strip=false -C cmake.build-type=RelWithDebInfo -C "cmake.define.CMAKE_CXX_FLAGS_RELWITHDEBINFO=-O3 -g -DNDEBUG" .
	@touch $@

# The page's JavaScript and CSS, from viewer/src into the package. Only who changes these sources needs node.
viewer: viewer/node_modules/.installed
	node viewer/build.mjs

viewer/node_modules/.installed: viewer/package.json viewer/package-lock.json
	npm --prefix viewer ci --no-audit --no-fund
	@touch $@

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
