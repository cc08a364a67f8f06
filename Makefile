# The README's two commands are `make demo` and `make test`; each does all its own set-up.
.PHONY: setup demo test crash lint bench vectors clean
BIN := .venv/bin

setup: .venv/.ready

.venv/.ready: pyproject.toml uv.lock scripts/setup
	@scripts/setup
	@touch $@

demo: setup
	@$(BIN)/coffre demo $(ARGS)

test: setup
	@$(BIN)/python -m pytest --numprocesses auto --dist loadfile $(ARGS)

crash: setup
	@$(BIN)/python -m tests.crash $(ARGS)

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: setup
	@$(BIN)/python -m bench $(ARGS)

vectors: setup
	@$(BIN)/python tests/vectors/generate.py

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
