# Xunhu: `make run` does the main job, `make test` proves it. Both bring what they need.
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python

help: ## what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: ## start broker, gateway, API, console and virtual terminals; prints the address
	@tools/setup.sh run
	@$(PYTHON) -m xunhu up --demo

setup: ## bring everything that `run` and `test` need
	@tools/setup.sh test

check: setup ## style, types, the import rule, device code
	@tools/check.sh

test: setup ## every check and every test
	@tools/test.sh

bench: setup ## measure; JSON on the last line of each, also in bench/results/
	@$(PYTHON) -m bench

soak: setup ## the long runs: a million mutated frames, the whole district
	@$(PYTHON) -m bench soak

clean: ## remove what was built and fetched; var/ (your data) stays
	rm -rf .venv .tools .cache console/node_modules console/dist bench/results
	find . -name __pycache__ -prune -exec rm -rf {} +

.PHONY: help run setup check test bench soak clean
