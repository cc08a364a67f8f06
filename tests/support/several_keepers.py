"""Several real keepers in one process, on one service with its logs in memory: each opened, stopped and robbed by itself."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from io import StringIO
from pathlib import Path

from crypto.errors import Unreachable
from crypto.trust_root import Keeper as Named
from crypto.wire.keeper_api import FurtherEndsQuery, HeadsAnswer, HeadsQuery, KeeperCard
from tests.support.keeper_story import Time
from tests.support.people import LOG
from tests.support.small_log import LoggedService
from vault_server.keeper.event_log import EventLog
from vault_server.keeper.founding import found
from vault_server.keeper.keeper import Keeper


class SeveralKeepers:
    """Keepers by number; None is down. ``answers`` changes what one shows to another that lost its store."""

    def __init__(self, folder: Path, cards: list[KeeperCard], k: int, n: int) -> None:
        self.folder, self.cards, self.time = folder, cards, Time()
        self.service = LoggedService(cards[0], k, n)
        self.service.set_root(keepers=tuple(map(self.named, range(n))))
        self.keepers: list[Keeper | None] = [None] * len(cards)
        self.answers: dict[int, Callable[[HeadsAnswer], HeadsAnswer]] = {}
        self.asked: list[tuple[int, HeadsQuery | FurtherEndsQuery]] = []
        self.output = [StringIO() for _ in cards]
        self._open = [AsyncExitStack() for _ in cards]

    def named(self, number: int) -> Named:
        """One keeper, as a trust root names it."""
        card = self.cards[number]
        return Named(
            name=card.name,
            cosigning_key=card.cosigning_key,
            sealing_key=card.sealing_key,
            url=card.url,
            operator=card.operator,
            independent=True,
            retired_until=None,
        )

    def data(self, number: int) -> Path:
        """The folder of one keeper."""
        return self.folder / f"keeper-{number}"

    async def open(self, number: int) -> Keeper:
        """Start one."""
        opening = Keeper.open(
            self.data(number),
            self.service.card,
            self.service,
            events=EventLog(self.output[number]),
            clock=self.time.clock,
            meet=lambda named: _Reached(self, self._number(named)),
        )
        keeper = await self._open[number].enter_async_context(opening)
        self.keepers[number] = keeper
        await keeper.refresh_trust()
        return keeper

    async def close(self, number: int) -> None:
        """Stop one."""
        await self._open[number].aclose()
        self.keepers[number] = None

    async def lose(self, number: int) -> Keeper:
        """Stop one, take its store away, and start it."""
        await self.close(number)
        for path in self.data(number).glob("keeper.db*"):
            path.unlink()
        return await self.open(number)

    async def publish(self, origin: str = LOG, *, to: list[int] | None = None) -> bytes:
        """Have those keepers that are up, or only some, cosign the newest head of a log, and publish it."""
        log = self.service.logs[origin]
        note = log.note()
        for number, keeper in enumerate(self.keepers):
            if keeper is not None and (to is None or number in to) and not keeper.is_silent:
                row = keeper._logs.get(origin)
                request = log.extension(row.row.size if row else 0)
                note += await keeper.add_checkpoint(request.encode())
        self.service.published[origin] = note
        self.service.cosigned[origin] = len(log.leaves)
        return note

    def _number(self, named: Named) -> int:
        numbers = [number for number, card in enumerate(self.cards) if card.sealing_key == named.sealing_key]
        return numbers[0] if numbers else -1


class _Reached:
    """One keeper, as another one reaches it."""

    def __init__(self, several: SeveralKeepers, number: int) -> None:
        self._several, self._number = several, number

    async def known_heads(self, query: HeadsQuery) -> HeadsAnswer:
        """What it shows."""
        return await self._shown("known_heads", query)

    async def further_ends(self, query: FurtherEndsQuery) -> HeadsAnswer:
        """What else it shows."""
        return await self._shown("further_ends", query)

    async def _shown(self, operation: str, query: HeadsQuery | FurtherEndsQuery) -> HeadsAnswer:
        self._several.asked.append((self._number, query))
        keeper = self._several.keepers[self._number] if self._number >= 0 else None
        if keeper is None:
            raise Unreachable("It is down.")
        answer: HeadsAnswer = await getattr(keeper, operation)(query)
        change = self._several.answers.get(self._number)
        return answer if change is None else change(answer)


@asynccontextmanager
async def several_keepers(folder: Path, k: int, n: int, *, more: int = 0) -> AsyncIterator[SeveralKeepers]:
    """``n`` keepers, all up, that follow the empty logs of one service; and ``more``, which it does not name, not up yet."""
    cards = []
    for number in range(n + more):
        url, name = f"http://127.0.0.1:{8800 + number}", f"keeper-{number}"
        cards.append(await found(folder / name, url=url, name=name, operator=f"operator {number}"))
    several = SeveralKeepers(folder, cards, k, n)
    try:
        for number in range(n):
            await several.open(number)
        yield several
    finally:
        for number in range(n + more):
            await several.close(number)
