from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

import pytest

from core.tests.builders import WAIT, until
from loadstone.pools import RequestPool, RequestType

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pool() -> Iterator[RequestPool]:
    pool = RequestPool(dict.fromkeys(RequestType, 1), idle_seconds=WAIT)
    yield pool
    pool.close()


class Plug:
    """Keeps the one place of a type busy until it is pulled."""

    def __init__(
        self, pool: RequestPool, type: RequestType = RequestType.PREFETCH, lane: str = "file"
    ) -> None:
        self._running, self._pulled = threading.Event(), threading.Event()
        pool.submit(self._run, type=type, lane=lane)
        assert self._running.wait(WAIT)

    def _run(self) -> None:
        self._running.set()
        assert self._pulled.wait(WAIT)

    def pull(self) -> None:
        self._pulled.set()


def test_lower_priority_numbers_go_first_and_equal_ones_in_order_of_arrival(pool: RequestPool) -> None:
    """Within a type, priority decides, then arrival."""
    plug, done = Plug(pool), list[int]()
    for number, priority in enumerate([5, 0, 5, -1]):
        pool.submit(lambda number=number: done.append(number), type=RequestType.PREFETCH, priority=priority)  # type: ignore[misc] # mypy #12557
    plug.pull()
    until(lambda: len(done) == 4)

    assert done == [3, 1, 0, 2]


def test_an_interaction_overtakes_a_thousand_prefetches(pool: RequestPool) -> None:
    """Types have places of their own: somebody who waits does not wait for what may be needed."""
    plug, reached = Plug(pool), threading.Event()
    for _ in range(1000):
        pool.submit(lambda: None, type=RequestType.PREFETCH)
    pool.submit(reached.set, type=RequestType.INTERACTION)

    assert reached.wait(1.0)
    assert pool.stats().queued[RequestType.PREFETCH] == 1000
    plug.pull()


def test_every_host_has_places_of_its_own(pool: RequestPool) -> None:
    """A slow server does not hold up another."""
    plug, reached = Plug(pool, lane="slow:80"), threading.Event()
    pool.submit(reached.set, type=RequestType.PREFETCH, lane="quick:80")

    assert reached.wait(WAIT)
    plug.pull()


def test_never_more_run_than_the_limit(pool: RequestPool) -> None:
    """At each moment at most `limit` requests of a type run in a lane, whatever the limit is changed to."""
    running, most, lock, done = 0, 0, threading.Lock(), threading.Semaphore(0)

    def run() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.001)
        with lock:
            running -= 1
        done.release()

    pool.set_limit(RequestType.THUMBNAIL, 3)
    for _ in range(60):
        pool.submit(run, type=RequestType.THUMBNAIL)
    for _ in range(60):
        assert done.acquire(timeout=WAIT)

    assert most == 3


def test_a_raised_limit_starts_what_waits(pool: RequestPool) -> None:
    """`set_limit` works while requests run."""
    plug, reached = Plug(pool), threading.Event()
    pool.submit(reached.set, type=RequestType.PREFETCH)
    queued = pool.stats().queued[RequestType.PREFETCH]
    pool.set_limit(RequestType.PREFETCH, 2)

    assert queued == 1
    assert reached.wait(WAIT)
    assert pool.limit(RequestType.PREFETCH) == 2
    plug.pull()


def test_a_lane_has_a_limit_of_its_own_until_all_are_set() -> None:
    """Files may be read more at a time than a host is asked; `set_limit` holds for every lane."""
    kind = RequestType.PREFETCH
    pool = RequestPool(
        dict.fromkeys(RequestType, 1), idle_seconds=WAIT, of_lanes={(kind, "file"): 2, (kind, "far"): 2}
    )
    together = threading.Barrier(2)
    requests = [pool.submit(lambda: together.wait(WAIT), type=kind, lane="file") for _ in range(2)]
    until(lambda: not any(request.queued for request in requests))
    before = pool.limit(kind, "file"), pool.limit(kind, "far"), pool.limit(kind, "host")
    pool.set_limit(kind, 3)
    after = pool.limit(kind, "file"), pool.limit(kind, "far"), pool.limit(kind, "host")
    pool.close()

    assert not together.broken
    assert before == (2, 2, 1)
    assert after == (3, 3, 3)


def test_a_lowered_limit_lets_the_running_ones_finish(pool: RequestPool) -> None:
    """Lowered, no new one starts until fewer than the limit run."""
    pool.set_limit(RequestType.PREFETCH, 2)
    first, second, reached = Plug(pool), Plug(pool), threading.Event()
    pool.set_limit(RequestType.PREFETCH, 1)
    pool.submit(reached.set, type=RequestType.PREFETCH)
    first.pull()

    assert not reached.wait(0.05)
    second.pull()
    assert reached.wait(WAIT)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(pool: RequestPool, limit: int) -> None:
    """Nothing would ever run."""
    with pytest.raises(ValueError, match="at least 1"):
        pool.set_limit(RequestType.PREFETCH, limit)


def test_threads_are_gone_when_idle() -> None:
    """A pool without work has no threads, and starts new ones when work comes."""
    pool = RequestPool(dict.fromkeys(RequestType, 4), idle_seconds=0.02)
    done = threading.Semaphore(0)
    for _ in range(2):
        for _ in range(8):
            pool.submit(done.release)
        for _ in range(8):
            assert done.acquire(timeout=WAIT)
        until(lambda: pool.stats().threads == 0)

    assert not [
        thread
        for thread in threading.enumerate()
        if thread.name == "loadstone-worker" and thread in pool._threads
    ]


def test_filter_drops_what_it_refuses_and_tells(pool: RequestPool) -> None:
    """What is filtered out never runs, and whoever submitted it hears so."""
    plug, done, dropped = Plug(pool), list[str](), list[str]()
    for name in "abc":
        pool.submit(
            lambda name=name: done.append(name),  # type: ignore[misc] # mypy #12557
            dropped=lambda name=name: dropped.append(name),  # type: ignore[misc] # mypy #12557
            type=RequestType.PREFETCH,
            details=name,
        )
    count = pool.filter(lambda request: request.details != "b")
    plug.pull()
    until(lambda: len(done) == 2)

    assert (count, done, dropped) == (1, ["a", "c"], ["b"])


def test_clear_drops_one_type_or_all(pool: RequestPool) -> None:
    """`clear` forgets the queued requests of a type, or of every type."""
    plugs = [Plug(pool, kind) for kind in (RequestType.PREFETCH, RequestType.THUMBNAIL)]
    for kind in (RequestType.PREFETCH, RequestType.THUMBNAIL):
        pool.submit(lambda: None, type=kind)

    assert pool.clear(RequestType.PREFETCH) == 1
    assert pool.stats().queued[RequestType.THUMBNAIL] == 1
    assert pool.clear() == 1
    for plug in plugs:
        plug.pull()


def test_a_taken_request_does_not_run_again(pool: RequestPool) -> None:
    """Whoever takes a request out runs it; the pool does not."""
    plug, done = Plug(pool), list[int]()
    request = pool.submit(lambda: done.append(1), type=RequestType.PREFETCH)
    last = threading.Event()
    pool.submit(last.set, type=RequestType.PREFETCH)

    assert pool.take(request)
    assert not pool.take(request)
    assert not pool.drop(request)
    plug.pull()
    assert last.wait(WAIT)
    assert done == []


def test_a_raised_priority_moves_a_queued_request(pool: RequestPool) -> None:
    """Reprioritised requests go where their new type and priority belong."""
    plug, done = Plug(pool), list[str]()
    pool.submit(lambda: done.append("a"), type=RequestType.PREFETCH)
    late = pool.submit(lambda: done.append("b"), type=RequestType.PREFETCH, priority=9)
    pool.reprioritise(late, RequestType.PREFETCH, -1)
    plug.pull()
    until(lambda: len(done) == 2)

    assert done == ["b", "a"]


@pytest.mark.parametrize("error", [ValueError("bad"), SystemExit(1), KeyboardInterrupt()])
def test_a_request_that_raises_costs_neither_thread_nor_place(
    pool: RequestPool, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """Requests must not raise; one that does is logged, and the pool goes on."""

    def run() -> None:
        raise error

    reached = threading.Event()
    with caplog.at_level(logging.CRITICAL + 1):
        pool.submit(run)
        pool.submit(reached.set)

        assert reached.wait(WAIT)
    until(lambda: pool.stats().running[RequestType.INTERACTION] == 0)


def test_closing_drops_what_is_queued_and_ends_the_threads() -> None:
    """After `close` nothing runs any more, and what is submitted is dropped at once."""
    pool = RequestPool(dict.fromkeys(RequestType, 1), idle_seconds=WAIT)
    plug, done, dropped = Plug(pool), list[int](), list[int]()
    pool.submit(lambda: done.append(1), dropped=lambda: dropped.append(1), type=RequestType.PREFETCH)
    plug.pull()
    pool.close()
    pool.submit(lambda: done.append(2), dropped=lambda: dropped.append(2))

    assert pool.stats().threads == 0
    assert sorted(done + dropped) == [1, 2]


def test_closing_does_not_wait_for_a_request_that_hangs() -> None:
    """`close` gives up after its timeout."""
    pool = RequestPool(dict.fromkeys(RequestType, 1), idle_seconds=WAIT)
    plug = Plug(pool)
    started = time.monotonic()
    pool.close(0.1)

    assert time.monotonic() - started < 1
    plug.pull()


def test_without_a_thread_to_be_had_the_submitter_hears_so(
    pool: RequestPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system that is out of threads is an error, not a request that waits for ever."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    with pytest.raises(RuntimeError, match="thread"):
        pool.submit(lambda: None)
