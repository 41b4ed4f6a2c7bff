# Xunhu: `make run` does the main job, `make test` proves it. Both bring what they need.
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python

help: ## what can be made
	@sed -nE 's/^([a-z]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

run: ## start broker, gateway, API, console and virtual terminals; prints the address
	@tools/setup.sh run
	@$(PYTHON) -m xunhu up --demo

setup: ## bring everything that `run` and `test` need
	@tools/setup.sh test

check: setup ## style, types, the import rule, device code
	@tools/check.sh

test: setup ## every check and every test
	@tools/test.sh

bench: setup ## measure all, or NAMES="wire sos"; JSON on the last line, also in bench/results/
	@$(PYTHON) -m bench $(NAMES)

soak: setup ## the long runs: a million mutated frames and the like
	@$(PYTHON) -m bench soak

clean: ## remove what was built and fetched; var/ (your data) stays
	rm -rf .venv .tools console/node_modules console/dist bench/results
	find . -name __pycache__ -prune -exec rm -rf {} +

.PHONY: help run setup check test bench soak clean
