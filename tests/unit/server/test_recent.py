"""A memory of bounded size."""

from hypothesis import given
from hypothesis import strategies as st

from vault_server.recent import Recent


@given(names=st.lists(st.integers(0, 6), max_size=30), most=st.integers(1, 4))
def test_what_was_set_last_stays(names: list[int], most: int) -> None:
    """However often each name was set, the last few are there with what they were set to last, oldest first."""
    recent = Recent[int, int](most)
    for place, name in enumerate(names):
        recent[name] = place
    last = {name: place for place, name in enumerate(names)}
    assert list(recent.items()) == sorted(last.items(), key=lambda item: item[1])[-most:]
