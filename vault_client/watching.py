"""Watching: a look at each notice, and at random moments anyway, since no notice is proof that nothing happened.

For each look the profile is opened, and closed again: other programs can use it in between. Every look checks all it is shown, as any other command does. What is said beside what it finds: that looking failed, that
no head of the log was confirmed for too long, and that the service did not tell of what happened.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from random import SystemRandom
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

from crypto.checkpoint import TEN_MINUTES
from crypto.durations import DAY
from crypto.errors import CoffreError, Distrusted, Unauthenticated
from vault_client.device_store import DeviceStore
from vault_client.service import Service

# Seconds between two looks at least, doubled, up to the most, as long as notices come and nothing has happened.
LEAST_REST, LONGEST_REST = 2, 60
# Seconds after which is looked without a notice: somewhere in between, so that nobody knows when.
POLLED = (30, 90)
# Seconds within which a notice of what was found without one must come. A stream that died unseen is noticed sooner.
TOLD_WITHIN = 90
# Seconds since the newest confirmation of a head: an idle log gets one every five minutes.
SILENT = 390

Remarked = Literal["failed", "silent", "stale", "silent for a day", "back", "untold"]
What = TypeVar("What")
What_co = TypeVar("What_co", covariant=True)


class Member(Protocol):
    """Whose profile it is."""

    @property
    def service(self) -> Service:
        """The server that is watched too."""
        ...


Owner = TypeVar("Owner", bound=Member)
Owner_contra = TypeVar("Owner_contra", bound=Member, contravariant=True)

_RANDOM = SystemRandom()


class Remark(NamedTuple):
    """Something to say about the service. ``since``: of the newest confirmed head. ``error``: why looking failed."""

    kind: Remarked
    since: int = 0
    error: CoffreError | None = None


class Watched(Protocol[Owner_contra, What_co]):
    """What is watched: by looks at it, each of which leaves news. What was seen is remembered from look to look."""

    def origin(self, owner: Owner_contra) -> str:
        """The log whose heads must go on being confirmed."""
        ...

    async def look(self, owner: Owner_contra, store: DeviceStore) -> None:
        """Fetch and check what is new. Raises what stands in the way."""
        ...

    def news(self, owner: Owner_contra, store: DeviceStore) -> Sequence[What_co]:
        """What was found since this was last asked, also by a look that failed."""
        ...


class Listening(Protocol):
    """Who is told (``Notices``)."""

    is_open: bool

    async def rest(self, seconds: float) -> None:
        """Let ``seconds`` pass."""
        ...

    async def wait(self, seconds: float) -> bool:
        """Whether a notice came, or comes within ``seconds``."""
        ...


class Watch(Generic[Owner, What]):
    """Watches until it is stopped.

    ``visit`` opens the profile. ``say`` is given whose it is while it is open, and None where it could not be opened: then
    there are remarks only.
    """

    def __init__(
        self,
        visit: Callable[[], AbstractAsyncContextManager[tuple[Owner, DeviceStore]]],
        watched: Watched[Owner, What],
        notices: Listening,
        say: Callable[[Owner | None, Sequence[What | Remark]], None],
        clock: Callable[[], int],
    ) -> None:
        self._visit = visit
        self._watched = watched
        self._notices = notices
        self._say = say
        self._clock = clock
        self._since = 0
        self._rest: float = LEAST_REST
        self._failed = ""
        self._level: Remarked | None = None
        self._day = 0
        self._untold_since: int | None = None
        self._said_untold = False

    async def run(self) -> None:
        """Look, say what came of it, and wait, for ever. Raises Distrusted or Unauthenticated: then nothing is seen any more."""
        told = True  # what was there before is no omission
        while True:
            await self._look(told=told)
            await self._notices.rest(self._rest)
            told = await self._notices.wait(_RANDOM.uniform(*POLLED))

    async def _look(self, *, told: bool) -> None:
        async with AsyncExitStack() as held:
            try:
                owner, store = await held.enter_async_context(self._visit())
            except (Distrusted, Unauthenticated):
                raise
            except CoffreError as error:
                self._rest = LEAST_REST
                if said := [*self._failure(error), *self._silence()]:
                    self._say(None, said)
                return
            await self._look_at(owner, store, told=told)

    async def _look_at(self, owner: Owner, store: DeviceStore, *, told: bool) -> None:
        said: list[What | Remark] = []
        try:
            await self._watched.look(owner, store)
        except (Distrusted, Unauthenticated):
            self._say(owner, self._watched.news(owner, store))
            raise
        except CoffreError as error:
            said += self._failure(error)
        else:
            self._failed = ""
        self._since = owner.service.believed(self._watched.origin(owner)).time
        found = self._watched.news(owner, store)
        self._rest = min(2 * self._rest, LONGEST_REST) if told and not found else LEAST_REST
        said += [*found, *self._untold(told=told, found=bool(found)), *self._silence()]
        if said:
            self._say(owner, said)

    def _failure(self, error: CoffreError) -> list[Remark]:
        """That looking failed, once for each cause."""
        words = "".join(each for each in str(error) if not each.isdigit())  # it can count the minutes
        is_new, self._failed = words != self._failed, words
        return [Remark("failed", error=error)] if is_new else []

    def _untold(self, *, told: bool, found: bool) -> list[Remark]:
        """Once: that what was found without a notice was not told afterwards either, on a stream that was open."""
        now = self._clock()
        if told or not self._notices.is_open or self._said_untold:
            self._untold_since = None
        elif self._untold_since is None:
            self._untold_since = now if found else None
        elif now - self._untold_since > TOLD_WITHIN:
            self._said_untold = True
            return [Remark("untold")]
        return []

    def _silence(self) -> list[Remark]:
        """That the newest head is older than any should be, once for each degree, and again every day."""
        since = self._since
        age = self._clock() - since
        level, day = _level(age), age // DAY
        if since == 0 or (level, day) == (self._level, self._day):
            return []
        self._level, self._day = level, day
        return [Remark(level or "back", since=since)]


def _level(age: int) -> Remarked | None:
    if age > DAY:
        return "silent for a day"
    if age > TEN_MINUTES:
        return "stale"
    return "silent" if age > SILENT else None
