"""Everything at once: nested loads of every kind, rings, sources, cancels, reloads, a cache too small."""

from __future__ import annotations

import asyncio
import threading
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from core.tests.builders import WAIT, flat, make_session, until
from loadstone import CacheFullError, Image, LoadCancelled, LoadCycleError, Quality, RequestType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loadstone import ImageId, LoadContext, Session

NODES = 60
"""Nodes from here on are leaves."""


class File:
    """A source."""

    nbytes = 5

    def close(self) -> None:
        """Do nothing."""


def below(number: int) -> list[str]:
    """Return what a node loads: nodes further on, sometimes one further back, which may make a ring."""
    random = Random(number)
    numbers = [random.randrange(number + 1, number + 20) for _ in range(2)]
    if random.random() < 0.15:
        numbers.append(max(0, number - random.randrange(3)))
    return [f"node:{each}" for each in numbers]


def function(number: int, context: LoadContext) -> Image:
    def open_file() -> File:
        with context.reading():
            return File()

    with context.reading():
        context.source(number % 7, open_file)
        with context.computing():
            for image_id in below(number):
                context.load_image(image_id)
    return flat(1)


async def coroutine(number: int, context: LoadContext) -> Image:
    async def wait(image_id: str) -> Image:
        return await context.session.request_image(image_id)

    await asyncio.gather(*map(wait, below(number)))
    return flat(1)


def generator(number: int, context: LoadContext) -> Iterator[Image]:
    yield flat(1, quality=Quality.SUBRESOLUTION)
    yield function(number, context)


def submitted(number: int, context: LoadContext) -> Any:
    return context.submit(function, number, context)


def handle(number: int, context: LoadContext) -> Any:
    return context.session.request_image(below(number)[0])


KINDS: list[Callable[[int, LoadContext], Any]] = [function, coroutine, generator, submitted, handle]


def node(image_id: ImageId, context: LoadContext) -> Any:
    number = int(image_id.rest)
    return flat(1) if number >= NODES else KINDS[number % len(KINDS)](number, context)


def ask(session: Session, seed: int, ended: list[object]) -> None:
    """Be a user who asks for this and that, and often thinks better of it."""
    random = Random(seed)
    for _ in range(25):
        wanted = session.request_image(
            f"node:{random.randrange(NODES)}",
            type=RequestType(random.randrange(3)),
            reload=random.random() < 0.2,
            cache=random.random() < 0.8,
        )
        if random.random() < 0.3:
            wanted.cancel()
        ended.append(wanted.exception(WAIT))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("limit", [1, 2, 20])
@pytest.mark.parametrize("cache_bytes", [1000, 10**6])
def test_every_load_ends_and_nothing_is_left(limit: int, cache_bytes: int) -> None:
    """No deadlock, no lost handle; afterwards no permit, reservation, pin, lock or load remains."""
    ended = list[object]()
    with make_session(
        {"node": node},
        cache_bytes=cache_bytes,
        host_permits=limit,
        compute_permits=min(limit, 2),
        file_permits=limit,
    ) as session:
        threads = [
            threading.Thread(target=ask, args=(session, seed, ended), daemon=True) for seed in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(2 * WAIT)
        until(lambda: not any(session.pool.stats().running.values()))
        stats = session.cache.stats()

        assert len(ended) == 8 * 25
        kinds = {type(error) for error in ended}
        assert kinds <= {type(None), LoadCancelled, LoadCycleError, CacheFullError}
        assert {type(None), LoadCancelled, LoadCycleError} <= kinds
        assert (stats.reserved, stats.pinned) == (0, 0)
        assert stats.kept <= cache_bytes
        assert (session.desk._loads, session.desk._unsettled, session.sources._openings) == ({}, set(), {})
        assert session.permits.gate("compute").inside == session.permits.gate("file").inside == 0
