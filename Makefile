# Run these in a virtual environment.

.DEFAULT_GOAL := help
.PHONY: help setup test check docs

help: ## list the targets
	@grep -E '^[a-z]+: ## ' Makefile | sed 's/: ## /\t/'

setup: ## install ganzoo from here, with all that the other targets need
	python -m pip install -e ".[dev]"

test: ## run the tests
	python -m pytest

check: ## check style, formatting and types
	python -m ruff check . && python -m ruff format --check .
	python -m mypy

docs: ## build the site into build/site; a broken link is an error
	python -m mkdocs build --strict
