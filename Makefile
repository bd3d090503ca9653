# make demo    a virtual environment, numr, and the main job on real data
# make test    a virtual environment, everything the tests need, and all checks
# make bench   numr beside its peers, which get an environment of their own
# make bench-derivatives   what derivatives cost beside their functions; the tables go into
#                  docs/performance.md
# make bench-export   exported functions, called from C, beside CasADi's generated C
# make bench-webgpu   numr beside hand-written WGSL on the first adapter
# make test-gpu    the tests that need an NVIDIA GPU, which "make test" leaves out
# make bench-cuda  numr on an NVIDIA GPU beside peers in an environment of their own, made here;
#                  BENCH_ARGS="--into docs/performance.md" puts the table into the document
# make clean   removes what these made
#
# Needs make, Python >= 3.11 and a reachable package index; PYTHON=... picks an interpreter.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14 python; do \
	if "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
	then echo "$$p"; break; fi; done)
BENCH_ARGS ?=
PIP = pip --disable-pip-version-check
bin = .venv/bin
peers = .venv-bench/bin
cuda_peers = .venv-bench-cuda/bin

.PHONY: help demo test test-gpu driver browser compilers lint bench bench-export bench-webgpu bench-cuda clean
help:
	@sed -n 's/^# //p' Makefile

demo: .venv/.demo
	$(bin)/python examples/logistic_newton.py

test: .venv/.test driver browser compilers
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/mypy numr
	$(bin)/python -m pytest -n auto --dist worksteal

test-gpu: .venv/.cuda
	$(bin)/python -m pytest -m gpu -n 1

lint: .venv/.test
	$(bin)/ruff check --fix .
	$(bin)/ruff format .

bench: .venv/.bench .venv-bench/.peers
	$(bin)/python benchmarks/run.py --peer-python $(peers)/python $(BENCH_ARGS)

bench-derivatives: .venv/.bench
	$(bin)/python -m benchmarks.derivatives --into docs/performance.md $(BENCH_ARGS)

bench-export: .venv/.bench .venv-bench/.peers
	$(bin)/python -m benchmarks.export --peer-python $(peers)/python $(BENCH_ARGS)

bench-webgpu: .venv/.test driver
	$(bin)/python -m benchmarks.webgpu $(BENCH_ARGS)

bench-cuda: .venv/.cuda .venv-bench-cuda/.peers
	$(bin)/python -m benchmarks.cuda --peer-python $(cuda_peers)/python $(BENCH_ARGS)

# Debian ships Python without ensurepip; virtualenv, or pip from outside the environment, does then.
define make_venv
	@test -n "$(PYTHON)" || { echo "no Python >= 3.11 found; say PYTHON=/path/to/python"; exit 1; }
	@echo "making $(1) with $(PYTHON)"
	@rm -rf $(1)
	@"$(PYTHON)" -m venv $(1) >/dev/null 2>&1 \
		|| { rm -rf $(1); "$(PYTHON)" -m virtualenv -q $(1) 2>/dev/null; } \
		|| { "$(PYTHON)" -m venv --without-pip $(1) && "$(PYTHON)" -m pip --python $(1)/bin/python install -q pip; } \
		|| { echo "cannot make a virtual environment: install python3-venv"; rm -rf $(1); exit 1; }
endef

.venv/bin/python:
	$(call make_venv,.venv)

.venv-bench/bin/python:
	$(call make_venv,.venv-bench)

.venv-bench-cuda/bin/python:
	$(call make_venv,.venv-bench-cuda)

.venv/.demo: pyproject.toml | .venv/bin/python
	$(bin)/python -m $(PIP) install -q -e '.[examples]'
	@touch $@

.venv/.test: pyproject.toml | .venv/bin/python
	$(bin)/python -m $(PIP) install -q -e '.[test]'
	@touch $@

.venv/.cuda: pyproject.toml | .venv/bin/python
	$(bin)/python -m $(PIP) install -q -e '.[test,cuda]'
	@touch $@

.venv/.bench: pyproject.toml | .venv/bin/python
	$(bin)/python -m $(PIP) install -q -e '.[bench]'
	@touch $@

.venv-bench/.peers: benchmarks/requirements.txt | .venv-bench/bin/python
	$(peers)/python -m $(PIP) install -q -r benchmarks/requirements.txt
	@touch $@

.venv-bench-cuda/.peers: benchmarks/requirements-cuda.txt | .venv-bench-cuda/bin/python
	$(cuda_peers)/python -m $(PIP) install -q -r benchmarks/requirements-cuda.txt
	@touch $@

# The tests run kernels through WebGPU, 64-bit numbers included, for which Mesa has a driver that needs
# no graphics hardware.
adapter = import sys, wgpu; a = wgpu.gpu.request_adapter_sync(); \
	sys.exit(not {"shader-f64", "shader-int64"} <= set(a.features))
driver: .venv/.test
	@$(bin)/python -c '$(adapter)' >/dev/null 2>&1 \
		|| { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
			&& echo "installing Mesa's Vulkan driver" && apt-get update -qq \
			&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq mesa-vulkan-drivers libvulkan1 >/dev/null; } \
		|| { echo "no WebGPU adapter: install a graphics driver with Vulkan, Metal or Direct3D 12; on"; \
			echo "Debian or Ubuntu: sudo apt-get install mesa-vulkan-drivers libvulkan1"; exit 1; }

# Exported web pages run in a browser without a window, their modules in Node, and TypeScript checks their types.
browsing = chromium chromium-driver nodejs node-typescript
browser:
	@{ command -v chromedriver && command -v node && command -v tsc; } >/dev/null \
		|| { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
			&& echo "installing $(browsing)" && apt-get update -qq \
			&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(browsing) >/dev/null; } \
		|| { echo "no browser for the tests: install chromedriver with Chromium, Node, and TypeScript; on Debian:"; \
			echo "sudo apt-get install $(browsing)"; exit 1; }

# The tests build what numr exports, with both compilers, and run it under valgrind.
compilers:
	@{ for tool in gcc g++ clang valgrind; do command -v $$tool >/dev/null || exit 1; done; \
		printf '#include <cblas.h>\nint main(void) { return 0; }' | gcc -xc - -lblas -o /dev/null 2>/dev/null; } \
		|| { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
			&& echo "installing gcc, clang, valgrind and a BLAS" && apt-get update -qq \
			&& DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends gcc g++ libc6-dev clang valgrind libblas-dev >/dev/null; } \
		|| { echo "no C compilers for the tests: install gcc, g++, clang, valgrind and a BLAS with cblas.h; on"; \
			echo "Debian or Ubuntu: sudo apt-get install gcc g++ libc6-dev clang valgrind libblas-dev"; exit 1; }

clean:
	rm -rf .venv .venv-bench .venv-bench-cuda .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist \
		benchmarks/results examples/output
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
