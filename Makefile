.PHONY: check format test ci

check:
	ruff check
	ruff format --check
	mypy

format:
	ruff check --fix
	ruff format

test:
	pytest

ci:
	.ci/run
