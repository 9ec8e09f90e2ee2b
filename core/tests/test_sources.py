from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from core.tests.builders import WAIT, flat, make_session
from loadstone import CacheFullError, DecodeError, Image, LoadCycleError
from loadstone.cache import Cache
from loadstone.events import Events, SourceClosed, SourceOpened
from loadstone.sources import Sources

if TYPE_CHECKING:
    from loadstone import ImageId, LoadContext

ONE: dict[str, Any] = {"host_permits": 1, "compute_permits": 1, "file_permits": 1}


class File:
    """Something that is opened and closed."""

    def __init__(self, nbytes: int = 10) -> None:
        self.nbytes = nbytes
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def test_a_source_is_opened_once_and_shared() -> None:
    """Everybody who asks for a key gets the same object, charged once."""
    cache = Cache(100)
    sources = Sources(cache, Events())
    first, _ = sources.lease("a", File)
    second, _ = sources.lease("a", File)

    assert first is second
    assert (cache.stats().kept, cache.stats().pinned) == (10, 10)


def test_keys_of_sources_and_of_images_do_not_meet() -> None:
    """A source is not found under the same key of something else."""
    cache = Cache(100)
    Sources(cache, Events()).lease("a", File)

    assert cache.peek("a") is None


def test_threads_that_ask_at_once_open_it_once() -> None:
    """Opening is single-flight."""
    sources, opened, start = Sources(Cache(100), Events()), list[File](), threading.Barrier(16)

    def open_file() -> File:
        opened.append(File())
        return opened[-1]

    def ask() -> None:
        start.wait(WAIT)
        sources.lease("a", open_file)

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)

    assert len(opened) == 1
    assert sources._openings == {}


def test_one_in_use_is_not_evicted_and_then_closed_when_its_bytes_are_needed() -> None:
    """A lease holds it open; eviction closes it, once."""
    cache = Cache(10)
    source, lease = Sources(cache, Events()).lease("a", File)
    with pytest.raises(CacheFullError):
        cache.reserve(1)
    lease.release()
    cache.reserve(1).release()

    assert source.closed == 1


def test_one_that_is_dropped_while_in_use_is_closed_by_its_last_user() -> None:
    """Nothing is closed under the hands of a load, whatever is purged."""
    cache = Cache(100)
    sources = Sources(cache, Events())
    source, first = sources.lease("a", File)
    _, second = sources.lease("a", File)
    cache.purge(pinned=True)
    first.release()
    before = source.closed
    second.release()

    assert (before, source.closed) == (0, 1)


def test_an_evicted_one_is_not_found_again() -> None:
    """A closed source is never handed out, though somebody still holds it."""
    cache = Cache(10)
    sources = Sources(cache, Events())
    source, lease = sources.lease("a", File)
    lease.release()
    cache.reserve(1).release()
    again, _ = sources.lease("a", File)

    assert again is not source
    assert again.closed == 0


def test_one_that_does_not_fit_is_closed() -> None:
    """The budget refuses it; nothing stays open."""
    source = File(200)
    with pytest.raises(CacheFullError):
        Sources(Cache(100), Events()).lease("a", lambda: source)

    assert source.closed == 1


def test_room_is_made_before_it_is_opened() -> None:
    """What is known of its size is reserved first; one that could never fit is not even opened."""
    cache = Cache(100)
    cache.reserve(60).commit("older", File())
    seen: list[tuple[int, int]] = []

    def open_file() -> File:
        seen.append((cache.stats().kept, cache.stats().reserved))
        return File(70)

    Sources(cache, Events()).lease("a", open_file, 80)
    stats = cache.stats()
    with pytest.raises(CacheFullError):
        Sources(cache, Events()).lease("b", open_file, 101)

    assert seen == [(0, 80)]
    assert (stats.kept, stats.reserved) == (70, 0)


def test_what_was_reserved_for_it_is_given_back_when_it_cannot_be_opened() -> None:
    """Nor does one that turns out larger, and too large, leave anything behind."""
    cache = Cache(100)
    larger = File(101)

    def fail() -> File:
        raise ValueError("not now")

    with pytest.raises(ValueError, match="not now"):
        Sources(cache, Events()).lease("a", fail, 80)
    with pytest.raises(CacheFullError):
        Sources(cache, Events()).lease("a", lambda: larger, 80)

    assert (cache.stats().kept, cache.stats().reserved, larger.closed) == (0, 0, 1)


def test_one_that_cannot_be_opened_is_tried_again() -> None:
    """A failure is not kept."""
    sources = Sources(Cache(100), Events())

    def fail() -> File:
        raise ValueError("not now")

    with pytest.raises(ValueError, match="not now"):
        sources.lease("a", fail)

    assert sources.lease("a", File)[0].closed == 0
    assert sources._openings == {}


def test_after_closing_the_session_its_sources_are_closed() -> None:
    """`close` frees them, and one that is opened too late is closed by its user."""
    cache = Cache(100)
    sources = Sources(cache, Events())
    kept, lease = sources.lease("a", File)
    lease.release()
    cache.close()
    late, late_lease = sources.lease("b", File)
    late_lease.release()

    assert (kept.closed, late.closed) == (1, 1)


class TestInLoads:
    def test_it_is_held_until_the_load_ends(self) -> None:
        """A load may use its sources to its end, and holds none afterwards."""
        seen, source = list[tuple[int, int]](), File(30)

        def load(image_id: ImageId, context: LoadContext) -> Image:
            context.source("file", lambda: source)
            with pytest.raises(CacheFullError):
                context.allocate((8, 10), "u1")
            stats = context.session.cache.stats()
            seen.append((stats.pinned, source.closed))
            return flat(1, (3, 10), "u1")

        with make_session({"toy": load}, cache_bytes=100) as session:
            session.load_image("toy:1")
            pinned = session.cache.stats().pinned

        assert seen == [(30, 0)]
        assert pinned == 0
        assert source.closed == 1

    def test_without_the_cache_the_budget_does_not_bound_it(self) -> None:
        """What the budget cannot hold is opened for the load alone, once, and closed with it."""
        opened = list[File]()

        def open_file() -> File:
            opened.append(File(101))
            return opened[-1]

        def load(image_id: ImageId, context: LoadContext) -> Image:
            assert context.source("file", open_file) is context.source("file", open_file)
            return flat(1, (3, 10), "u1")

        with make_session({"toy": load}, cache_bytes=100) as session:
            with pytest.raises(CacheFullError):
                session.load_image("toy:1")
            opened.clear()
            session.load_image("toy:1", cache=False)
            stats = session.cache.stats()

        assert (stats.kept, stats.reserved) == (0, 0)
        assert opened[-1].closed == 1
        assert all(file.closed for file in opened)

    def test_a_failed_load_lets_go_of_it(self) -> None:
        """An error releases the lease, and the next load opens it anew."""
        opened = list[File]()

        def open_file() -> File:
            opened.append(File())
            return opened[-1]

        def load(image_id: ImageId, context: LoadContext) -> Image:
            context.source("file", open_file)
            raise ValueError("bad")

        with make_session({"toy": load}) as session:
            for _ in range(2):
                with pytest.raises(DecodeError):
                    session.load_image("toy:1")
            stats = session.cache.stats()

        assert (stats.pinned, stats.reserved) == (0, 0)
        assert [file.closed for file in opened] == [1, 1]

    @pytest.mark.timeout(30)
    @pytest.mark.parametrize("settings", [ONE, {}])
    def test_waiting_for_it_holds_no_permit_that_opening_needs(self, settings: dict[str, Any]) -> None:
        """With limits of one: who waits for a source gives its permits to who opens it."""
        opening, asked = threading.Event(), threading.Event()

        def load(image_id: ImageId, context: LoadContext) -> Image:
            def open_file() -> File:
                opening.set()
                assert asked.wait(WAIT)
                with context.reading():
                    return File()

            if image_id.rest.endswith("opens"):
                context.source("file", open_file)
            else:
                assert opening.wait(WAIT)
                with context.reading():
                    asked.set()
                    context.source("file", open_file)
            return flat(1)

        with make_session({"toy": load}, **{**settings, "host_permits": 2}) as session:
            handles = [session.request_image(f"toy:http://host/{name}") for name in ("opens", "waits")]

            assert [handle.exception(WAIT) for handle in handles] == [None, None]

    @pytest.mark.timeout(30)
    def test_opening_that_needs_itself_is_a_cycle(self) -> None:
        """Whether directly or through a nested load, it is an error, not a deadlock."""

        def load(image_id: ImageId, context: LoadContext) -> Image:
            def open_file() -> File:
                if image_id.rest == "direct":
                    return context.source("file", open_file)
                context.load_image("toy:nested")
                return File()

            context.source("file", open_file)
            return flat(1)

        with make_session({"toy": load}) as session:
            for name in ("direct", "outer"):
                with pytest.raises(LoadCycleError, match=f"toy:{name}"):
                    session.load_image(f"toy:{name}")
            assert session.sources._openings == {}

    @pytest.mark.timeout(30)
    def test_many_pieces_of_one_load_that_want_it_are_no_cycle(self) -> None:
        """Workers of one load may wait for the one of them that opens it."""
        start = threading.Barrier(3)

        def load(image_id: ImageId, context: LoadContext) -> Image:
            def open_file() -> File:
                context.load_image("number:1")
                return File()

            def piece() -> None:
                start.wait(WAIT)
                context.source("file", open_file)

            jobs = [context.submit(piece, computes=False) for _ in range(2)]
            piece()
            for job in jobs:
                job.result()
            return flat(1)

        with make_session({"toy": load}) as session:
            assert session.request_image("toy:1").exception(WAIT) is None


def test_opening_and_closing_are_told_once() -> None:
    """A source is announced when it opens and when nobody uses it any more, with what it costs."""
    events, told = Events(), list[object]()
    for kind in (SourceOpened, SourceClosed):
        events.subscribe(kind, told.append)
    sources = Sources(Cache(100), events)

    source, lease = sources.lease("a", File)
    sources.forget("a")
    before = list(told)
    lease.release()

    assert before == [SourceOpened(source.nbytes)]
    assert told == [SourceOpened(source.nbytes), SourceClosed(source.nbytes)]
