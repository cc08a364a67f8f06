"""The vault API against a model of it, in whatever order things are asked."""

from collections.abc import Callable

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.wire.effort import examples
from tests.wire.vault_machine import VaultMachine

STEPS = settings(examples(8), stateful_step_count=25)


def test_the_vault_does_what_the_model_says(record_property: Callable[[str, object], None]) -> None:
    """Every outcome, every size of a log, every leaf and everybody's lists are those that the model foretells."""
    VaultMachine.steps = 0
    run_state_machine_as_test(VaultMachine, settings=STEPS)
    record_property("steps of the vault API's state machine", VaultMachine.steps)


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("vault_server.rules.check_answerable", lambda *_: None),
        ("vault_server.records.Records.check_holder", None),
    ],
)
def test_a_vault_that_does_otherwise_is_noticed(
    monkeypatch: pytest.MonkeyPatch, name: str, broken: Callable[..., None] | None
) -> None:
    """Without a rule, of what may be opened or of who may look, the machine comes upon the difference."""

    async def nothing(*_: object) -> None:
        return None

    monkeypatch.setattr(name, broken or nothing)
    with pytest.raises(BaseException):  # noqa: B017, PT011 - an assertion, or a refusal that did not come
        run_state_machine_as_test(
            VaultMachine, settings=settings(STEPS, phases=[Phase.generate], max_examples=10)
        )
