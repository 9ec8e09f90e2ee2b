from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.tests.builders import WAIT, until
from loadstone.cancel import CancelToken
from loadstone.errors import LoadCancelled
from loadstone.permits import Gate, Permits, permits_given_back
from loadstone.pools import RequestType
from loadstone.settings import cores

if TYPE_CHECKING:
    from collections.abc import Callable


def run(*works: Callable[[], object]) -> None:
    """Run each work on a thread of its own, to the end."""
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)

    assert not any(thread.is_alive() for thread in threads)


def queue_up(gate: Gate, orders: list[tuple[int, int]]) -> tuple[list[int], list[threading.Thread]]:
    """Let threads wait for a full gate, one after the other, and note in which order they are admitted."""
    admitted: list[int] = []

    def wait(number: int) -> None:
        gate.acquire(orders[number])
        admitted.append(number)
        gate.release()

    threads = [threading.Thread(target=wait, args=(number,), daemon=True) for number in range(len(orders))]
    for number, thread in enumerate(threads):
        thread.start()
        until(lambda number=number: len(gate._queue) == number + 1)  # type: ignore[misc] # mypy #12557
    return admitted, threads


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-2, 2)), max_size=8))
def test_the_lower_type_then_the_lower_priority_then_the_first_to_come_is_admitted(
    orders: list[tuple[int, int]],
) -> None:
    """Whoever waits is admitted by type, priority and arrival."""
    gate = Gate(1)
    gate.acquire((0, 0))
    admitted, threads = queue_up(gate, orders)
    gate.release()
    for thread in threads:
        thread.join(WAIT)

    assert admitted == sorted(range(len(orders)), key=lambda number: (*orders[number], number))
    assert gate.inside == 0


def test_a_raised_limit_admits_at_once_and_a_lowered_one_sends_nobody_out() -> None:
    """The limit may change both ways while the gate is in use."""
    gate = Gate(1)
    gate.acquire((0, 0))
    admitted, threads = queue_up(gate, [(0, 0)] * 2)
    gate.limit = 3
    for thread in threads:
        thread.join(WAIT)
    gate.acquire((0, 0))
    gate.limit = 1

    assert sorted(admitted) == [0, 1]
    assert (gate.inside, gate.limit) == (2, 1)


def test_a_waiter_leaves_when_its_load_is_cancelled() -> None:
    """A cancelled load stops waiting, and its place in the queue is gone."""
    gate, token = Gate(1), CancelToken()
    gate.acquire((0, 0))
    cancelled = threading.Event()

    def wait() -> None:
        with pytest.raises(LoadCancelled):
            gate.acquire((0, 0), token)
        cancelled.set()

    threading.Thread(target=wait, daemon=True).start()
    until(lambda: gate._queue)
    token.cancel()

    assert cancelled.wait(WAIT)
    gate.release()
    assert (gate.inside, gate._queue) == (0, [])


def test_a_permit_that_is_held_is_not_taken_twice() -> None:
    """Holding a permit inside itself does not wait for a second one."""
    permits = Permits(lambda _: 1)
    with permits.hold("compute", (0, 0)), permits.hold("compute", (0, 0)):
        inside = permits.gate("compute").inside

    assert inside == 1
    assert permits.gate("compute").inside == 0


def test_permits_given_back_are_free_for_others_and_taken_again() -> None:
    """Who waits for another load holds nothing, so what runs in its place takes a permit of its own."""
    permits = Permits(lambda _: 1)
    seen = []
    with permits.hold("compute", (0, 0)):
        with permits_given_back():
            seen.append(permits.gate("compute").inside)
            with permits.hold("compute", (0, 0)):
                seen.append(permits.gate("compute").inside)
            seen.append(permits.gate("compute").inside)
        seen.append(permits.gate("compute").inside)

    assert seen == [0, 1, 0, 1]


@pytest.mark.timeout(30)
def test_two_permits_taken_in_opposite_orders_never_deadlock() -> None:
    """Limits of one: reading inside computing and computing inside reading go on side by side."""
    permits = Permits(lambda _: 1)

    def take(first: str, second: str) -> None:
        for _ in range(200):
            with permits.hold(first, (0, 0)), permits.hold(second, (0, 0)):
                pass

    run(lambda: take("file", "compute"), lambda: take("compute", "file"), lambda: take("compute", "file"))

    assert permits.gate("file").inside == permits.gate("compute").inside == 0


def test_an_error_gives_all_permits_back() -> None:
    """A failed load holds nothing."""
    permits = Permits(lambda _: 1)
    with (
        pytest.raises(ValueError, match="bad"),
        permits.hold("file", (0, 0)),
        permits.hold("compute", (0, 0)),
    ):
        raise ValueError("bad")

    assert permits.gate("file").inside == permits.gate("compute").inside == 0


class TestSeveralSessions:
    """Sessions that may use all cores share them."""

    def test_together_they_compute_no_more_at_a_time_than_one(self) -> None:
        """Who comes to full cores waits, whichever session holds them."""
        one, other = Permits(lambda _: cores()), Permits(lambda _: cores())
        whole = one._share._whole
        for _ in range(cores()):
            one.gate("compute").acquire((0, 0))
        admitted = threading.Event()

        def compute() -> None:
            with other.hold("compute", (0, 0)):
                admitted.set()

        thread = threading.Thread(target=compute, daemon=True)
        thread.start()
        until(lambda: whole._queue)

        assert (one.gate("compute").inside, other.gate("compute").inside) == (cores(), 0)
        assert not admitted.is_set()
        for _ in range(cores()):
            one.gate("compute").release()
        thread.join(WAIT)
        assert admitted.is_set()
        assert whole.inside == 0

    def test_the_more_urgent_one_is_admitted_first(self) -> None:
        """Types and priorities count across sessions."""
        sessions = [Permits(lambda _: cores()) for _ in range(3)]
        gates = [permits.gate("compute") for permits in sessions]
        whole = sessions[0]._share._whole
        for _ in range(cores()):
            gates[0].acquire((0, 0))
        admitted = list[int]()

        def compute(number: int, order: tuple[int, int]) -> None:
            with sessions[number].hold("compute", order):
                admitted.append(number)

        late = (1, (RequestType.PREFETCH, 0)), (2, (RequestType.INTERACTION, 5))
        threads = [threading.Thread(target=compute, args=each, daemon=True) for each in late]
        for count, thread in enumerate(threads, 1):
            thread.start()
            until(lambda count=count: len(whole._queue) == count)  # type: ignore[misc] # mypy #12557
        gates[0].release()
        for thread in threads:
            thread.join(WAIT)
        for _ in range(cores() - 1):
            gates[0].release()

        assert admitted == [2, 1]
        assert whole.inside == 0

    def test_who_asks_for_another_number_has_permits_of_its_own(self) -> None:
        """A number that was chosen is kept, however busy others are; chosen later, it counts from then on."""
        limit = cores()
        one, other = Permits(lambda _: cores()), Permits(lambda _: limit)
        for _ in range(cores()):
            one.gate("compute").acquire((0, 0))
        limit = cores() + 1
        other.update()

        with other.hold("compute", (0, 0)):
            assert other.gate("compute").inside == 1
        for _ in range(cores()):
            one.gate("compute").release()
        limit = cores()
        other.update()
        assert other.gate("compute") is other._share

    def test_one_that_ends_leaves_its_cores_to_the_others(self) -> None:
        """A loader that hangs holds up nobody once its session is closed, nor when it returns after all."""
        one, other = Permits(lambda _: cores()), Permits(lambda _: cores())
        gate, whole = one.gate("compute"), one._share._whole
        hold = one.hold("compute", (0, 0))
        hold.__enter__()
        for _ in range(cores() - 1):
            gate.acquire((0, 0))
        one.end()
        with other.hold("compute", (0, 0)):
            inside = whole.inside
            hold.__exit__(None, None, None)
            with one.hold("compute", (0, 0)):
                pass

            assert inside == whole.inside == 1
        assert whole.inside == 0
