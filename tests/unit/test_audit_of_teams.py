"""The patient's audit of readings by members of a team."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from crypto import labels
from crypto.identity_chain import Known
from crypto.identity_links import AddMember
from crypto.signing import sign
from crypto.statements import Head
from tests.support.grants import GrantedDocument, GrantMaker, request_for
from tests.support.people import Person, Service, fresh
from tests.support.vaults import Vault
from vault_client.alarms import Alarms
from vault_client.audit_readings import Readings

SERVICE = Service()
READER, STRANGER, TEAM = Person(SERVICE), Person(SERVICE), Person(SERVICE, "team")
TEAM.add(AddMember(identity=READER.identity))
MADE = GrantMaker(Vault(SERVICE, [Person(SERVICE)]), TEAM).event(DOCUMENT := GrantedDocument.fresh())


class Shown:
    """Stands in for the keys that the service shows: those of ``people``."""

    def __init__(self, *people: Person) -> None:
        self._people = {person.identity: person for person in people}

    async def known(self, identity: bytes, at: Head) -> Known | None:
        """As ``ReaderKeys.known``."""
        person = self._people.get(identity)
        return person.known(at.size) if person is not None else None


@pytest.mark.parametrize(
    ("reader", "team", "shown", "alarms"),
    [
        (READER, TEAM.identity, (READER, TEAM), []),
        (STRANGER, TEAM.identity, (STRANGER, TEAM), ["FORGED_READ"]),
        (READER, TEAM.identity, (READER,), ["KEY_NOT_VALID"]),
        (READER, fresh(), (READER, TEAM), ["KEY_NOT_VALID"]),
        (READER, None, (READER,), []),
    ],
    ids=["a member", "no member", "a team that is not shown", "a team of nobody's", "for oneself"],
)
async def test_a_reading_for_a_team_is_its_members(
    reader: Person, team: bytes | None, shown: tuple[Person, ...], alarms: list[str]
) -> None:
    """A member's reading is proven by both chains; whoever is none, or acts for a team that is not shown, is an alarm."""
    raised = Alarms()
    unused: Any = None
    readers: Any = Shown(*shown)
    request = request_for(reader, MADE, DOCUMENT, team=team)
    opening: Any = SimpleNamespace(envelope=sign(labels.ACCESS_REQUEST, request, reader.device.signing))
    judging = Readings(unused, unused, unused, readers, unused, raised)
    assert await judging._check_reader(_leaf(), opening, request, False) is (alarms == [])
    assert [each.alarm.code for each in raised.raised] == alarms


def _leaf() -> Any:
    return SimpleNamespace(index=0, leaf=SimpleNamespace(to_bytes=lambda: b""))


@pytest.mark.parametrize(
    ("left_out", "alarms"),
    [((READER.identity,), ["OUT_OF_SCOPE"]), ((STRANGER.identity, TEAM.identity), [])],
    ids=["the member that reads", "others"],
)
def test_a_member_that_is_left_out_is_an_alarm(left_out: tuple[bytes, ...], alarms: list[str]) -> None:
    """A reading for a team that the grant is for is in scope, unless the grant leaves out the member that reads."""
    raised, unused = Alarms(), cast(Any, None)
    nothing_kept: Any = SimpleNamespace(get=lambda *_: None, scan=lambda *_: [])
    request = request_for(READER, MADE, DOCUMENT, team=TEAM.identity, act="list")
    opening: Any = SimpleNamespace(
        envelope=sign(labels.ACCESS_REQUEST, request, READER.device.signing),
        part=SimpleNamespace(time=MADE.body.expiry - 1),
    )
    grant: Any = SimpleNamespace(
        entry=SimpleNamespace(gid=request.gid, recipient=TEAM.identity),
        acts=MADE.body.acts,
        expiry=MADE.body.expiry,
        excluded=left_out,
    )
    judging = Readings(nothing_kept, unused, unused, unused, unused, raised)
    judging._check_scope(_leaf(), opening, request, grant)
    assert [each.alarm.code for each in raised.raised] == alarms
