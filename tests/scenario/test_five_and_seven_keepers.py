"""Services with five and seven keepers, each a program of its own: as many may be away as the policy says, and not one more."""

from pathlib import Path

import pytest

from crypto.errors import Unreachable
from crypto.trust_root import policy_of
from tests.scenario.test_several_keepers import Consultation
from tests.support.instance import running
from tests.support.memory import folder_in_memory


@pytest.mark.parametrize("count", [5, 7])
async def test_as_many_may_be_away_as_the_policy_says(count: int, tmp_path: Path) -> None:
    """Granted, read and ended with n - k of n stopped; with one more a reading is refused in words, and goes on afterwards."""
    with folder_in_memory(tmp_path) as folder, running(folder / "data", keepers=count) as instance:
        async with (
            await instance.patient(folder / "patient") as patient,
            await instance.practitioner(folder / "reader") as reader,
        ):
            story = Consultation(instance, folder, patient, reader)
            policy = patient.service.root.policy
            assert (policy.n, policy.k) == (count, policy_of(count).k)
            for keeper in story.keepers:
                keeper.wait_until_ready()
            away = story.keepers[: policy.n - policy.k]
            for keeper in away:
                keeper.stop()
            await story.do_all()
            await story.give()
            last = story.keepers[-1]
            last.stop()
            with pytest.raises(Unreachable, match="Too few keepers"):
                await story.read()
            last.start()
            last.wait_until_ready()
            await story.read()
            assert (await patient.log()).alarms == ()
