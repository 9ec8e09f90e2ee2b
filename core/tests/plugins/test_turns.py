from __future__ import annotations

import threading

import pytest

from loadstone._plugins.turns import TurnCycleError, Turns


def test_one_thread_at_a_time_for_a_key() -> None:
    """While one thread holds a key no other enters."""
    turns, inside, most = Turns(), [], []

    def enter() -> None:
        with turns.of("key"):
            inside.append(1)
            most.append(len(inside))
            inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert most == [1] * 16


def test_waiting_for_oneself_is_told() -> None:
    """A thread that asks again for what it holds gets an error, and the key is still good afterwards."""
    turns = Turns()
    with turns.of("key"):
        assert turns.held_here()
        with pytest.raises(TurnCycleError), turns.of("key"):
            pass

    with turns.of("key"):
        pass
    assert not turns.held_here()


def test_a_circle_of_threads_is_broken() -> None:
    """Of threads that wait for each other's keys in a ring exactly one is told, and the others go on."""
    turns, size = Turns(), 3
    ready, outcomes = threading.Barrier(size), []

    def hold_and_ask(number: int) -> None:
        with turns.of(number):
            ready.wait(20)
            try:
                with turns.of((number + 1) % size):
                    outcomes.append("held")
            except TurnCycleError:
                outcomes.append("told")

    threads = [threading.Thread(target=hold_and_ask, args=(number,), daemon=True) for number in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert sorted(outcomes) == ["held", "held", "told"]
