"""One holder an upload, and the newest claim wins."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryman_server.claims import Claim, Claims, Intent, NotYet, Wish

ONE, OTHER = "one", "other"


@pytest.fixture
def claims() -> Claims:
    """Nobody claims anything yet."""
    return Claims()


class Claimant:
    """A request that takes a claim in a task of its own, and holds it until told to let go."""

    def __init__(self, claims: Claims, wish: Wish, upload_id: str = ONE) -> None:
        self.claim: Claim | None = None  # once it holds the upload
        self.superseded_on_entry = False
        self._let_go = asyncio.Event()
        self._task = asyncio.create_task(self._run(claims, wish, upload_id))

    @property
    def holds(self) -> bool:
        """Whether it is its turn and it has not let go."""
        return self.claim is not None and not self._task.done()

    async def let_go(self) -> None:
        """End the request properly."""
        self._let_go.set()
        await self._task
        await settle()

    async def cancel(self) -> None:
        """End the request wherever it is."""
        self._task.cancel()
        await asyncio.wait([self._task])
        await settle()

    async def _run(self, claims: Claims, wish: Wish, upload_id: str) -> None:
        async with claims.take(upload_id, wish) as claim:
            self.claim, self.superseded_on_entry = claim, claim.superseded
            await self._let_go.wait()


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def claimed(claims: Claims, *wishes: Wish) -> list[Claimant]:
    """Claims that came in this order."""
    found = []
    for wish in wishes:
        found.append(Claimant(claims, wish))
        await settle()
    return found


async def test_a_free_upload_is_held_at_once(claims: Claims) -> None:
    """Nobody is before the first claim; afterwards the upload is free again."""
    async with claims.take(ONE, 0) as claim:
        assert claims.busy(ONE)
        assert claims.holder(ONE) is claim
        assert not claim.superseded
    assert not claims.busy(ONE)
    assert claims.holder(ONE) is None


async def test_uploads_do_not_stand_in_each_others_way(claims: Claims) -> None:
    """Each upload has a line of its own."""
    async with claims.take(ONE, 0) as claim, claims.take(OTHER, 0):
        assert not claim.superseded


async def test_a_newer_claim_waits_until_the_holder_lets_go(claims: Claims) -> None:
    """The holder is asked to stop at once, and may take the time it needs to stop."""
    older, newer = await claimed(claims, 0, 7)
    assert older.claim is not None
    assert older.claim.superseded
    assert older.holds
    assert not newer.holds
    await older.let_go()
    assert newer.holds
    assert not newer.superseded_on_entry
    await newer.let_go()
    assert not claims.busy(ONE)


async def test_a_claim_that_waits_is_told_when_a_newer_one_comes(claims: Claims) -> None:
    """Whoever gets its turn after a newer claim arrived finds that out first thing."""
    older, between, newest = await claimed(claims, 0, 1, 2)
    await older.let_go()
    assert between.holds
    assert between.superseded_on_entry
    await between.let_go()
    assert newest.holds
    assert not newest.superseded_on_entry
    await newest.let_go()


async def test_the_holder_is_called_when_a_newer_claim_arrives(claims: Claims) -> None:
    """Once for each newer claim, and never after it asked not to be."""
    calls: list[str] = []
    async with claims.take(ONE, 0) as claim:
        claim.on_superseded(lambda: calls.append("stop"))
        assert calls == []
        waiting = await claimed(claims, 1, 2)
        assert calls == ["stop", "stop"]
        claim.on_superseded(None)
        waiting += await claimed(claims, 3)
        assert calls == ["stop", "stop"]
    for one in waiting:
        await one.let_go()


async def test_a_holder_that_asks_late_is_called_at_once(claims: Claims) -> None:
    """Between the claim and the first byte a newer one may have come already."""
    calls: list[str] = []
    async with claims.take(ONE, 0) as claim:
        (newer,) = await claimed(claims, 1)
        claim.on_superseded(lambda: calls.append("stop"))
        assert calls == ["stop"]
    await newer.let_go()


@pytest.mark.parametrize(
    ("wish", "committed", "drops"),
    [
        (100, 100, True),  # the newer request brings the same bytes again
        (100, 0, False),  # it goes on from what has arrived, perhaps
        (0, 100, False),
        (Intent.LOOK, 0, False),
        (Intent.LOOK, 100, False),
        (Intent.DELETE, 0, True),
        (Intent.DELETE, 100, True),
    ],
)
async def test_what_is_kept_depends_on_what_the_newer_request_wants(
    claims: Claims, wish: Wish, committed: int, drops: bool
) -> None:
    """DESIGN §4: at exactly the committed offset, and for a deletion, uncommitted bytes are dropped; else kept."""
    async with claims.take(ONE, 0) as claim:
        assert not claim.drops(committed), "nobody wants anything yet"
        (newer,) = await claimed(claims, wish)
        assert claim.drops(committed) is drops
    await newer.let_go()


async def test_the_newest_of_several_claims_decides_what_is_kept(claims: Claims) -> None:
    """Those between will be refused: what they wanted does not matter."""
    async with claims.take(ONE, 0) as claim:
        waiting = await claimed(claims, 0)
        assert claim.drops(0)
        waiting += await claimed(claims, Intent.LOOK)
        assert not claim.drops(0)
    for one in waiting:
        await one.let_go()


async def test_a_waiting_claim_that_is_cancelled_leaves_the_line(claims: Claims) -> None:
    """Its client went away: the others are served as if it had never been there."""
    older, cancelled, newest = await claimed(claims, 0, 1, 2)
    await cancelled.cancel()
    assert older.holds
    await older.let_go()
    assert newest.holds
    await newest.let_go()
    assert not claims.busy(ONE)


async def test_a_holder_that_fails_or_is_cancelled_passes_the_upload_on(claims: Claims) -> None:
    """However a request ends, the next one gets its turn."""
    older, newer = await claimed(claims, 0, 1)
    await older.cancel()
    assert newer.holds
    await newer.let_go()
    with pytest.raises(RuntimeError):
        async with claims.take(ONE, 0):
            raise RuntimeError
    assert not claims.busy(ONE)


async def test_take_if_free_disturbs_nobody(claims: Claims) -> None:
    """It gets the upload when nobody has it, else nothing, and the holder is not asked to stop."""
    async with claims.take_if_free(ONE) as claim:
        assert claims.holder(ONE) is claim is not None
    async with claims.take(ONE, 0) as holder:
        async with claims.take_if_free(ONE) as none:
            assert none is None
        assert not holder.superseded
        assert claims.busy(ONE)
    assert not claims.busy(ONE)


async def test_settled_waits_until_the_line_is_empty(claims: Claims) -> None:
    """Also for those that come while it waits; and it asks nobody to stop."""
    await claims.settled(ONE)
    older, newer = await claimed(claims, 0, 1)
    waiting = asyncio.create_task(claims.settled(ONE))
    await settle()
    await older.let_go()
    assert not waiting.done()
    (last,) = await claimed(claims, 2)
    await newer.let_go()
    assert not waiting.done()
    assert last.claim is not None
    assert not last.claim.superseded
    await last.let_go()
    await asyncio.wait_for(waiting, 5)


async def test_take_overs_are_counted() -> None:
    """One for each claim that finds others before it."""
    counted: list[int] = []
    claims = Claims(on_takeover=lambda: counted.append(1))
    for one in await claimed(claims, 0, 1, Intent.LOOK):
        await one.let_go()
    assert len(counted) == 2


async def test_waits_are_told() -> None:
    """Of each claim that did not have its turn at once, also of one that gave up."""
    waited: list[tuple[str, bool]] = []
    claims = Claims(on_waited=lambda upload_id, seconds: waited.append((upload_id, seconds >= 0.0)))
    async with claims.take(ONE, 0):
        with pytest.raises(NotYet):
            async with claims.take(ONE, 0, patience=0.01):
                pass
        assert waited == [(ONE, True)]
    async with claims.take(ONE, 0):
        assert len(waited) == 1


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("claim"), st.sampled_from([ONE, OTHER]), st.sampled_from([0, 5, *Intent])),
        st.tuples(st.sampled_from(["let go", "cancel"]), st.integers(0, 9), st.none()),
    ),
    max_size=30,
)


@given(steps=STEPS)
def test_whatever_happens_there_is_one_holder_and_nothing_is_left(
    steps: list[tuple[str, str | int, Wish | None]],
) -> None:
    """Any number of claims, releases and cancellations in any order: never two holders, never a line for nobody."""
    asyncio.run(play(steps))


async def play(steps: list[tuple[str, str | int, Wish | None]]) -> None:
    """Follow the steps and check after each."""
    claims = Claims()
    alive: list[tuple[str, Claimant]] = []
    async with AsyncExitStack() as stack:
        for step, which, wish in steps:
            if step == "claim":
                assert isinstance(which, str)
                assert wish is not None
                claimant = Claimant(claims, wish, which)
                stack.push_async_callback(claimant.cancel)
                alive.append((which, claimant))
                await settle()
            elif alive:
                assert isinstance(which, int)
                _, claimant = alive.pop(which % len(alive))
                await (claimant.let_go() if step == "let go" and claimant.holds else claimant.cancel())
            check(claims, alive)
    assert not claims.busy(ONE)
    assert not claims.busy(OTHER)


def check(claims: Claims, alive: list[tuple[str, Claimant]]) -> None:
    """The invariants."""
    for upload_id in (ONE, OTHER):
        mine = [claimant for name, claimant in alive if name == upload_id]
        holders = [claimant for claimant in mine if claimant.holds]
        assert claims.busy(upload_id) is bool(mine)
        assert len(holders) == bool(mine)
        if holders:
            assert holders == mine[:1], "the oldest one that is left holds it"
            assert claims.holder(upload_id) is holders[0].claim


def test_an_upload_that_nobody_holds_is_held_at_once(claims: Claims) -> None:
    """Without waiting, until it is left; while somebody holds it, nobody else gets it so."""
    claim = claims.take_at_once(ONE, 0)
    assert claim is not None
    assert claims.holder(ONE) is claim
    assert claims.take_at_once(ONE, 0) is None
    assert not claim.superseded, "only a claim that waits asks for the upload"
    assert claims.take_at_once(OTHER, 0) is not None
    claims.leave(ONE, claim)
    assert not claims.busy(ONE)


async def test_a_holder_that_did_not_wait_gives_way_like_any_other(claims: Claims) -> None:
    """Newer claims stand behind it, ask it to stop, and have their turn when it leaves."""
    claim = claims.take_at_once(ONE, 0)
    assert claim is not None
    newer = Claimant(claims, 5)
    await settle()
    assert claim.superseded
    assert not newer.holds
    claims.leave(ONE, claim)
    await settle()
    assert newer.holds
    await newer.let_go()
