# The README's two commands are `make demo` and `make test`; each does all its own set-up.
.PHONY: setup demo test model crash fuzz soak lint coverage mutation bench vectors clean
BIN := .venv/bin

setup: .venv/.ready

.venv/.ready: pyproject.toml uv.lock scripts/setup
	@scripts/setup
	@touch $@

demo: setup
	@$(BIN)/coffre demo $(ARGS)

test: setup
	@$(BIN)/python -m pytest --numprocesses auto --dist loadfile $(ARGS)

model: setup
	@$(BIN)/python -m tests.model

crash: setup
	@$(BIN)/python -m tests.crash $(ARGS)

fuzz: setup
	@COFFRE_EFFORT=$${COFFRE_EFFORT:-10} $(BIN)/python -m pytest tests/wire $(ARGS)

soak: setup
	@$(BIN)/python -m tests.wire.soak $(ARGS)

# What decides without I/O, and the tests that reach all of it: those of crypto, and of what client and server believe.
PURE := tests/unit/crypto tests/unit/test_trust.py tests/unit/test_believed_chains.py \
	$(addprefix tests/unit/test_,$(addsuffix .py,checkpoint content log_vectors merkle own_vectors passphrase pieces receipt tiles)) \
	tests/unit/server/test_rules_of_answers.py tests/unit/server/test_limits_and_rules.py \
	$(addprefix tests/architecture/test_layout.py::test_,key_material_does_not_print a_secret_body_is_not_shown_by_rich)

coverage: setup
	@$(BIN)/python -m pytest --numprocesses auto --dist loadfile $(PURE) $(ARGS) --cov

mutation: setup
	@$(BIN)/python -m tests.mutation $(ARGS) --tests $(PURE)

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
