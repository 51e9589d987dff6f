"""What every state backend promises about the listing of media; part of :class:`LibraryTests`."""

from typing import Any

import pytest

from ferryman_server.state.base import State
from ferryman_server.state.media import Edit, Selection, Sort
from ferryman_server.state.testing_media_records import published_file, slugs, walk_media
from ferryman_server.state.testing_selection import place_of

NUMBERS: tuple[Sort, ...] = ("date", "size", "duration", "rating", "views")
"""The orders by a number."""


async def furnished(state: State) -> None:
    """Seven media that are alike in some ways and differ in others."""
    kinds = ("video", "audio", "image")
    for number, title in enumerate(("Clip 10", "clip 9", "Älter", "alt 100", "Zoo", "Clip 10", "clip 9b")):
        told = await published_file(
            state,
            f"{number}.bin",
            float(number // 2),
            title=title,
            kind=kinds[number % 3],
            size=number * 5 % 3,
            duration=None if number % 3 else number / 3,
        )
        marks = Edit(rating=number % 4, favourite=number % 3 == 1, tags=["odd"] if number % 2 else ["even", "low"])
        await state.library.edit(told.slug, marks, 50.0)
        for _ in range(number % 3):
            await state.library.viewed(told.slug)


class ListingTests:
    """Pages in every order, narrowed in every way."""

    @pytest.mark.parametrize("descending", [False, True])
    @pytest.mark.parametrize("limit", [1, 3, 7, 100])
    async def test_every_order_tells_every_medium_once(self, state: State, limit: int, descending: bool) -> None:
        """Walking the pages meets each medium once, in order, also where several are alike."""
        await furnished(state)
        for sort in NUMBERS:
            media = await walk_media(state, Selection(sort=sort, descending=descending), limit)
            places = [(place_of(medium, sort), medium.id) for medium in media]
            assert places == sorted(set(places), reverse=descending)
            assert len(places) == 7
        names = ["alt-100", "alter", "clip-9", "clip-9b", "clip-10", "clip-10-2", "zoo"]
        media = await walk_media(state, Selection(sort="name", descending=descending), limit)
        assert [medium.slug for medium in media] == (names[::-1] if descending else names)

    async def test_listed_media_are_whole(self, state: State) -> None:
        """A page tells of each medium what asking for it tells."""
        await furnished(state)
        for medium in (await state.library.listing(Selection(), 10)).media:
            assert medium == await state.library.get(medium.slug)

    async def test_pages_stay_true_while_media_come_and_go(self, state: State) -> None:
        """A cursor survives the end of its medium, and a newer one shifts nothing."""
        told = [await published_file(state, f"{number}.txt", float(number)) for number in range(5)]
        first = await state.library.listing(Selection(), 2)
        await state.library.delete(told[3].slug)
        await published_file(state, "new.txt", 9.0)
        rest = await state.library.listing(Selection(), 9, first.next)
        assert [medium.slug for medium in rest.media] == [each.slug for each in told[2::-1]]
        assert rest.next is None

    async def test_new_generation_comes_first_by_date(self, state: State) -> None:
        """The date is that of the content that is shown."""
        for number, name in enumerate(("a", "b", "a")):
            await published_file(state, name, float(number), title=name)
        assert await slugs(state, sort="date", descending=True) == ["a", "b"]

    async def test_cursor_belongs_to_one_order(self, state: State) -> None:
        """In another order, or the other way round, it is refused; so is what no page gave out."""
        await furnished(state)
        cursor = (await state.library.listing(Selection(sort="size"), 2)).next
        assert cursor is not None
        for selection, text in (
            (Selection(sort="views"), cursor),
            (Selection(sort="size", descending=False), cursor),
            (Selection(sort="size"), cursor + "A"),
            (Selection(sort="size"), ""),
            (Selection(sort="size"), "ä"),
            (Selection(), "MTAwMC4w"),
        ):
            with pytest.raises(ValueError, match="cursor"):
                await state.library.listing(selection, 2, text)

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"kind": "video"}, ["alt-100", "clip-9b", "clip-10"]),
            ({"kind": "frames"}, []),
            ({"tag": "odd"}, ["alt-100", "clip-9", "clip-10-2"]),
            ({"tag": "od"}, []),
            ({"favourite": True}, ["clip-9", "zoo"]),
            ({"favourite": False}, ["alt-100", "alter", "clip-9b", "clip-10", "clip-10-2"]),
            ({"search": "clip", "tag": "even"}, ["clip-9b", "clip-10"]),
            ({"search": "clip 10", "kind": "image"}, ["clip-10-2"]),
            ({"search": "clip", "tag": "low", "kind": "video", "favourite": False}, ["clip-9b", "clip-10"]),
        ],
    )
    async def test_listing_is_narrowed(self, state: State, fields: dict[str, Any], expected: list[str]) -> None:
        """Only what fits is told, on pages of any length."""
        await furnished(state)
        assert await slugs(state, **fields) == expected
        media = await walk_media(state, Selection(**{"sort": "name", "descending": False, **fields}), 1)
        assert [medium.slug for medium in media] == expected

    @pytest.mark.parametrize(
        ("search", "found"),
        [
            ("frühling", [0]),
            ("FRUHLING", [0]),
            ("ru\u0308hl", [0]),
            ("2024", [0]),
            ("0_%", [0]),
            ("frühling kirsche", [0]),
            ("kirsche wien", []),
            ("blüte", [0]),
            ("blute.zip", [0]),
            ("ling 20", [0]),
            ("d", [1]),
            ("dä", []),
            ("dö", [1]),
            ("u'", [1]),
            ("g", [0, 1, 2]),
            ("z", [0, 1]),
            ("q", []),
            ("t", [0, 1, 2]),
            ("猫", [2]),
            ("猫が", [2]),
            ("が寝てい", [2]),
            ("猫い", []),
            ('"b*', [2]),
            ('a "b* ^ NEAR(c', [2]),
            ("AND", []),
            ("donau'n wien", [1]),
            ("", [0, 1, 2]),
            (" \t\x00", [0, 1, 2]),
        ],
    )
    async def test_words_are_found_however_written(self, state: State, search: str, found: list[int]) -> None:
        """Parts of words, short ones and signs, in title, name and tags; case and accents do not matter."""
        for number, (title, name, tag) in enumerate(
            [
                ("Frühling 2024", "100_%_Blüte.zip", "Kirsche"),
                ("D\u00f6n Donau'n", "wien.tgz", "x"),
                ("猫が寝ている", "cat.png", 'a "b* ^ near(c'),
            ]
        ):
            told = await published_file(state, name, float(number), title=title)
            await state.library.edit(told.slug, Edit(tags=[tag]), 5.0)
        media = await walk_media(state, Selection(sort="date", descending=False, search=search))
        assert [int(medium.published_at) for medium in media] == found

    async def test_search_follows_what_changes(self, state: State) -> None:
        """A new title or tag is found at once, the old one no more; nor is what was deleted."""
        told = await published_file(state, title="Before")
        await state.library.edit(told.slug, Edit(title="Afterwards", tags=["sunny"]), 5.0)
        assert await slugs(state, search="before") == []
        for word in ("afterwards", "sunny", "notes.txt", "af"):
            assert await slugs(state, search=word) == ["before"]
        await state.library.edit("before", Edit(tags=[]), 6.0)
        assert await slugs(state, search="sunny") == []
        await state.library.delete("before")
        assert await slugs(state, search="afterwards") == []
        await published_file(state, "new.txt", title="Anew")
        assert await slugs(state, search="afterwards") == []
        assert await slugs(state, search="new") == ["anew"]
