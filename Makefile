# What a developer does here. Each target sets up what it needs first, and a set-up that is already there costs nothing.
#
#   PYTHON=/path/to/python3   the Python that makes .venv (default: the system's own, from 3.11 on;
#                             else the newest on the PATH)
#   ARGS="…"                  arguments for `make run`, `make dev`, `make test`, `make soak` and `make bench`

.DEFAULT_GOAL := help
.PHONY: help env run dev test soak lint bench lock clean dev-env test-tools js-packages

# Downloads are kept in one place outside the clone, so that a fresh clone is quick and one `rm` takes them away.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/ferryman
export PIP_CACHE_DIR ?= $(CACHE)/pip
export UV_CACHE_DIR ?= $(CACHE)/uv
export npm_config_cache ?= $(CACHE)/npm

# Either one would bring packages of the machine into our environment.
unexport PYTHONPATH PYTHONHOME

# The programs that the tests start, beside Python and Node.
TEST_TOOLS := curl chromium cc zip 7z bsdtar
# … and the one that makes the bench's own programs.
BENCH_TOOLS := cc

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-6s  %s\n", $$1, $$2}' Makefile

env: dev-env ## make .venv, with everything a developer needs

run: ## start Ferryman on embedded defaults (ARGS="--port 9000 --data DIR")
	@scripts/env run
	@exec .venv/bin/ferryman serve $(ARGS)

dev: dev-env ## start Ferryman beside a MinIO: docker-compose.yml without Docker (ARGS="SERVICE…": only these)
	@scripts/tools curl
	@.venv/bin/python -m dev $(ARGS)

test: lint test-tools ## every check and every test (ARGS="-k name" chooses among the tests)
	.venv/bin/pytest $(or $(ARGS),-n 3 --dist loadfile --no-loadscope-reorder)

soak: dev-env test-tools ## crashes, power cuts and fuzzing, ten minutes each (ARGS="--seed N --steps M": one crash run again)
	.venv/bin/python -m tests.crash $(ARGS)
	$(if $(ARGS),,.venv/bin/python -m tests.power --minutes 10)
	$(if $(ARGS),,FUZZ_SECONDS=600 .venv/bin/pytest tests/fuzz)

lint: dev-env js-packages ## style, types, import contract, types of the JavaScript
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo
	client_js/node_modules/.bin/tsc -p client_js

bench: dev-env ## measure Ferryman beside other servers (ARGS="--quick" is a short look)
	@scripts/tools $(BENCH_TOOLS)
	@scripts/js-packages bench || echo "Going on without @tus/server."
	@.venv/bin/python -m bench $(ARGS)

lock: dev-env ## write the lock files anew (ARGS="--upgrade" takes newer versions)
	scripts/lock $(ARGS)

clean: ## remove what these targets made here; uploads in ./data and the downloads cache stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	rm -rf client_js/node_modules tests/e2e/node_modules bench/node_modules tests/zips/node/node_modules
	find . -path ./data -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

dev-env:
	@scripts/env dev

# MinIO and the film here and not in the tests: they are timed, and the first time it is built, and the film downloaded.
test-tools: dev-env
	@scripts/tools $(TEST_TOOLS)
	@scripts/minio >/dev/null
	@scripts/film

js-packages:
	@scripts/js-packages
	@scripts/js-packages tests/zips/node
