from __future__ import annotations

import gc
import os
import threading
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from core.tests.builders import WAIT, until
from loadstone.cache import Cache, Reservation
from loadstone.errors import CacheFullError
from loadstone.files import FileState

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Value:
    """Something that is kept."""


def put(cache: Cache, key: str, nbytes: int = 10, **options: object) -> Value:
    """Reserve and commit a value."""
    value = Value()
    cache.reserve(nbytes).commit(key, value, **options)  # type: ignore[arg-type] # options of commit
    return value


def full_cache(*keys: str, budget: int = 30) -> Cache:
    """Return a cache with entries of 10 bytes."""
    cache = Cache(budget)
    for key in keys:
        put(cache, key)
    return cache


def test_the_least_recently_used_goes_first() -> None:
    """Looking something up saves it from eviction for longer."""
    cache = full_cache("a", "b", "c")
    cache.get("a")
    put(cache, "d")

    assert [key for key in "abcd" if key in cache] == ["a", "c", "d"]


def test_what_is_named_as_last_goes_after_all_others() -> None:
    """A volume evicts other images before its own."""
    cache = full_cache("a", "b", "c")
    cache.reserve(20, last=lambda key: key == "a")

    assert [key for key in "abc" if key in cache] == ["a"]


def test_what_cannot_be_had_evicts_nothing_and_says_so() -> None:
    """`CacheFullError` comes at once and names what is needed and what is free."""
    cache = full_cache("a", "b", "c")
    cache.pin("a", cache.peek("a"))
    with pytest.raises(CacheFullError) as caught:
        cache.reserve(21)

    assert (caught.value.needed, caught.value.free, caught.value.budget) == (21, 20, 30)
    assert cache.stats().entries == 3
    assert cache.is_cacheable(20)
    assert not cache.is_cacheable(21)


def test_memory_in_flight_is_of_the_budget() -> None:
    """What is reserved cannot be had by others until it is released."""
    cache = Cache(30)
    reservation = cache.reserve(20)
    with pytest.raises(CacheFullError):
        cache.reserve(11)
    reservation.release()
    reservation.release()

    assert cache.stats().reserved == 0
    assert cache.reserve(30).nbytes == 30


def test_a_reservation_grows_or_stays_as_it_is() -> None:
    """Growing reserves more; where that fails, what was reserved stays."""
    cache = Cache(30)
    reservation = cache.reserve(10)
    reservation.grow(10)
    with pytest.raises(CacheFullError):
        reservation.grow(11)
    reservation.shrink(5)

    assert (reservation.nbytes, cache.stats().reserved) == (15, 15)


def test_after_commit_a_reservation_does_nothing() -> None:
    """A reservation ends once."""
    cache = Cache(30)
    reservation = cache.reserve(10)
    reservation.commit("a", Value())
    reservation.grow(10)
    reservation.shrink(5)
    reservation.release()

    assert not reservation.commit("b", Value())
    assert (cache.stats().kept, cache.stats().reserved, cache.stats().entries) == (10, 0, 1)


def test_a_pinned_entry_stays_until_it_is_unpinned_as_often() -> None:
    """Each pin needs its unpin."""
    cache = full_cache("a")
    value = cache.peek("a")
    cache.pin("a", value)
    cache.pin("a", value)
    cache.unpin("a", value)
    with pytest.raises(CacheFullError):
        cache.reserve(30)
    cache.unpin("a", value)

    assert not cache.unpin("a", value)
    assert cache.stats().pinned == 0
    assert cache.reserve(30).nbytes == 30


def test_pins_of_an_older_entry_do_not_touch_a_newer_one() -> None:
    """A late caller cannot pin, unpin or remove what took its entry's place."""
    cache = full_cache("a")
    older = cache.peek("a")
    newer = put(cache, "a")

    assert not cache.pin("a", older)
    assert not cache.unpin("a", older)
    assert not cache.remove("a", older)
    assert cache.withdraw("a", older) is None
    assert cache.get("a") is newer


def test_withdrawing_drops_an_entry_that_nobody_pins_any_more() -> None:
    """What was pinned twice stays at the first release."""
    cache = full_cache("a")
    value = cache.peek("a")
    cache.pin("a", value)
    cache.pin("a", value)

    assert cache.withdraw("a", value) is None
    withdrawn = cache.withdraw("a", value)
    assert withdrawn is not None
    assert (withdrawn.nbytes, cache.stats().reserved, "a" in cache) == (10, 10, False)
    assert "a" not in cache


def test_a_pin_that_is_asked_for_too_early_is_kept_later() -> None:
    """Whoever finds nothing is promised that the next entry starts pinned."""
    cache = Cache(30)

    assert cache.get_pinned("a") is None
    assert cache.get_pinned("a") is None
    assert cache.unpromise("a")
    value = put(cache, "a")
    assert cache.stats().pinned == 10
    assert cache.get_pinned("a") is value
    cache.unpin("a", value)
    cache.unpin("a", value)
    assert cache.stats().pinned == 0
    assert not cache.unpromise("a")


def test_promises_can_be_kept_under_another_key() -> None:
    """An id that turns out to name another's entry takes its pins along."""
    cache = Cache(30)
    cache.get_pinned("alias")
    put(cache, "name", pins=cache.promises("alias"))

    assert cache.stats().pinned == 10
    assert cache.promises("alias") == 0


def test_an_evicted_value_that_is_still_held_is_found() -> None:
    """Eviction drops the cache's hold, not the caller's."""
    cache = Cache(10)
    held = put(cache, "a")
    put(cache, "b")

    assert "a" not in cache
    assert cache.get("a") is held


def test_an_evicted_value_that_nobody_holds_is_gone() -> None:
    """The cache keeps nothing alive beyond its budget, and needs no garbage collector for it."""
    cache = Cache(10)
    gc.disable()
    try:
        put(cache, "a")
        put(cache, "b")

        assert cache.get("a") is None
    finally:
        gc.enable()


def test_a_removed_value_is_not_found_again() -> None:
    """Only eviction leaves a way back."""
    cache = full_cache("a", budget=10)
    held = cache.peek("a")
    put(cache, "b")
    cache.remove("a")

    assert cache.get("a") is None
    assert held


def test_what_was_read_from_a_file_written_anew_is_dropped(tmp_path: Path) -> None:
    """A look-up notices that the file is another one."""
    path = tmp_path / "image"
    path.write_bytes(b"old")
    cache = Cache(30)
    put(cache, "a", files=[FileState.of(str(path))])
    found = cache.get("a")
    path.write_bytes(b"newer")

    assert found is not None
    assert cache.get("a") is None
    assert cache.stats().kept == 0


def test_an_evicted_value_from_a_file_written_anew_is_not_found(tmp_path: Path) -> None:
    """The way back to an evicted value is checked as well."""
    path = tmp_path / "image"
    path.write_bytes(b"old")
    cache = Cache(10)
    held = put(cache, "a", files=[FileState.of(str(path))])
    put(cache, "b")
    found = cache.get("a")
    path.unlink()

    assert found is held
    assert cache.get("a") is None


def test_a_file_of_the_same_size_and_time_is_still_another_one(tmp_path: Path) -> None:
    """A file that was replaced is told by its inode."""
    path, other = tmp_path / "image", tmp_path / "other"
    path.write_bytes(b"old")
    other.write_bytes(b"new")
    state, status = FileState.of(str(path)), path.stat()
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)

    assert not state.current()


@pytest.mark.skipif(os.name == "nt", reason="Windows tells no time of the last change of a file")
def test_a_time_that_was_set_back_hides_nothing(tmp_path: Path) -> None:
    """Written anew in place, with the size and the time of before, as archivers do: it is another file."""
    path = tmp_path / "image"
    path.write_bytes(b"old")
    state, status = FileState.of(str(path)), path.stat()
    until(
        lambda: _written_back(path, status).st_ctime_ns != status.st_ctime_ns
    )  # clocks tick in milliseconds

    assert path.stat().st_mtime_ns == status.st_mtime_ns
    assert not state.current()


def _written_back(path: Path, status: os.stat_result) -> os.stat_result:
    path.write_bytes(b"new")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return path.stat()


def test_what_nobody_wants_any_more_is_not_kept() -> None:
    """A late completion gives its bytes back and leaves the newer entry alone."""
    cache = Cache(30)
    late = cache.reserve(10)
    newer = put(cache, "a")

    assert not late.commit("a", Value(), wanted=lambda: False)
    assert cache.get("a") is newer
    assert (cache.stats().kept, cache.stats().reserved) == (10, 0)


def test_every_entry_hears_once_that_it_leaves() -> None:
    """Replaced, evicted, removed, purged: `dropped` runs, without a lock, and once."""
    cache, told = Cache(20), list[tuple[str, int]]()
    for name in ("replaced", "evicted", "removed", "purged"):
        key = "evicted" if name == "replaced" else name

        def dropped(name: str = name) -> None:
            told.append((name, cache.stats().entries))

        put(cache, key, dropped=dropped)
        if name == "removed":
            cache.remove(key)
    put(cache, "evictor")
    cache.purge()
    cache.purge()

    assert [name for name, _ in told] == ["replaced", "removed", "evicted", "purged"]


def test_a_callback_that_fails_disturbs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever makes room does not pay for the error of what leaves."""

    def fail() -> None:
        raise ValueError("cannot close")

    cache = Cache(10)
    put(cache, "a", dropped=fail)
    put(cache, "b")

    assert "b" in cache
    assert "cannot close" in caplog.text


def test_purge_keeps_what_is_pinned_unless_told_otherwise() -> None:
    """`purge` says how many bytes it freed."""
    cache = full_cache("a", "b")
    cache.pin("a", cache.peek("a"))

    assert cache.purge() == 10
    assert "a" in cache
    assert cache.purge(pinned=True) == 10
    assert cache.stats().kept == 0


def test_a_lower_budget_evicts_at_once() -> None:
    """The budget may change at any time."""
    cache = full_cache("a", "b", "c")
    cache.budget = 15

    assert cache.budget == 15
    assert cache.stats().entries == 1


def test_a_closed_cache_keeps_nothing() -> None:
    """What arrives after `close` is given back."""
    cache = full_cache("a")
    late = cache.reserve(10)
    cache.close()

    assert not late.commit("b", Value())
    assert (cache.stats().kept, cache.stats().reserved) == (0, 0)


def test_the_counters_are_exact() -> None:
    """Hits, misses and evictions count what happened; `peek` and `in` count nothing."""
    cache = full_cache("a", "b", "c")
    for key in ("a", "x", "b", "y", "z"):
        cache.get(key)
    assert cache.peek("a")
    assert "b" in cache
    put(cache, "d", 20)
    stats = cache.stats()

    assert (stats.hits, stats.misses, stats.evictions, stats.entries) == (2, 3, 2, 2)


class CacheMachine(RuleBasedStateMachine):
    """Drives a cache beside a model that is simple enough to be right."""

    reservations: Bundle[Reservation] = Bundle("reservations")
    keys = st.sampled_from("abcd")
    sizes = st.integers(0, 12)

    def __init__(self) -> None:
        super().__init__()
        self.budget = 20
        self.cache = Cache(self.budget)
        self.order: list[str] = []
        self.values: dict[str, tuple[Value, int]] = {}
        self.pins: dict[str, int] = {}
        self.reserved: dict[int, int] = {}
        self.hits = self.misses = self.evictions = 0
        self.left: list[str] = []
        self.expected_left: list[str] = []

    def free(self) -> int:
        pinned = sum(size for key, (_, size) in self.values.items() if self.pins.get(key))
        return self.budget - sum(self.reserved.values()) - pinned

    def leave(self, key: str) -> None:
        self.order.remove(key)
        del self.values[key]
        self.pins.pop(key, None)
        self.expected_left.append(key)

    def make_room(self, nbytes: int) -> None:
        def missing() -> int:
            return (
                sum(size for _, size in self.values.values())
                + sum(self.reserved.values())
                + nbytes
                - self.budget
            )

        for key in [key for key in self.order if not self.pins.get(key)]:
            if missing() <= 0:
                return
            self.leave(key)
            self.evictions += 1

    def take(self, nbytes: int, ask: Callable[[], object]) -> bool:
        if nbytes > max(0, self.free()):
            with pytest.raises(CacheFullError):
                ask()
            return False
        self.make_room(nbytes)
        ask()
        return True

    @rule(target=reservations, nbytes=sizes)
    def reserve(self, nbytes: int) -> Reservation:
        made: list[Reservation] = []
        if not self.take(nbytes, lambda: made.append(self.cache.reserve(nbytes))):
            made.append(self.cache.reserve(0))
        self.reserved[id(made[0])] = made[0].nbytes
        return made[0]

    @rule(reservation=reservations, nbytes=st.integers(1, 8))
    def grow(self, reservation: Reservation, nbytes: int) -> None:
        if self.take(nbytes, lambda: reservation.grow(nbytes)):
            self.reserved[id(reservation)] += nbytes

    @rule(reservation=reservations)
    def shrink(self, reservation: Reservation) -> None:
        nbytes = reservation.nbytes // 2
        reservation.shrink(nbytes)
        self.reserved[id(reservation)] -= nbytes

    @rule(reservation=consumes(reservations))
    def fail(self, reservation: Reservation) -> None:
        reservation.release()
        del self.reserved[id(reservation)]

    @rule(reservation=consumes(reservations), key=keys, wanted=st.booleans())
    def commit(self, reservation: Reservation, key: str, wanted: bool) -> None:
        value, nbytes = Value(), self.reserved.pop(id(reservation))
        kept = reservation.commit(key, value, dropped=lambda: self.left.append(key), wanted=lambda: wanted)
        if wanted:
            if key in self.values:
                self.leave(key)
            self.order.append(key)
            self.values[key] = value, nbytes
            self.make_room(0)

        assert kept == wanted

    @rule(key=keys)
    def get(self, key: str) -> None:
        found = self.cache.get(key)
        if key in self.values:
            self.order.remove(key)
            self.order.append(key)
            self.hits += 1
        else:
            self.misses += 1

        assert found is (self.values[key][0] if key in self.values else None)

    @rule(key=keys)
    def pin(self, key: str) -> None:
        if self.cache.pin(key, self.cache.peek(key)):
            self.pins[key] = self.pins.get(key, 0) + 1

    @precondition(lambda self: self.values)
    @rule(key=keys)
    def unpin(self, key: str) -> None:
        self.cache.unpin(key, self.cache.peek(key))
        if self.pins.get(key):
            self.pins[key] -= 1
            self.make_room(0)

    @rule(target=reservations, key=keys)
    def withdraw(self, key: str) -> Reservation:
        withdrawn = self.cache.withdraw(key, self.cache.peek(key) or Value())
        is_last = key in self.values and self.pins.get(key, 0) <= 1
        if not is_last and self.pins.get(key):
            self.pins[key] -= 1

        assert (withdrawn is not None) == is_last
        if withdrawn is None:
            return self.nothing()
        assert withdrawn.nbytes == self.values[key][1]
        self.reserved[id(withdrawn)] = withdrawn.nbytes
        self.leave(key)
        return withdrawn

    @rule(target=reservations, nbytes=sizes)
    def reserve_free(self, nbytes: int) -> Reservation:
        used = sum(size for _, size in self.values.values()) + sum(self.reserved.values())
        made = self.cache.reserve_free(nbytes)

        assert (made is not None) == (used + nbytes <= self.budget)
        if made is None:
            return self.nothing()
        self.reserved[id(made)] = made.nbytes
        return made

    def nothing(self) -> Reservation:
        made = self.cache.reserve(0)
        self.reserved[id(made)] = 0
        return made

    @rule(key=keys)
    def touch(self, key: str) -> None:
        self.cache.touch(key)
        if key in self.values:
            self.order.remove(key)
            self.order.append(key)

    @rule(key=keys)
    def get_elsewhere(self, key: str) -> None:
        other = Value()
        found = self.cache.get(key, lambda _: other)
        self.hits += 1
        if key in self.values:
            self.order.remove(key)
            self.order.append(key)

        assert found is (self.values[key][0] if key in self.values else other)

    @rule(key=keys)
    def remove(self, key: str) -> None:
        was_there = self.cache.remove(key)

        assert was_there == (key in self.values)
        if was_there:
            self.leave(key)

    @rule(budget=st.integers(0, 30))
    def resize(self, budget: int) -> None:
        self.budget = budget
        self.make_room(0)
        self.cache.budget = budget

    @rule()
    def purge(self) -> None:
        self.cache.purge()
        for key in [key for key in self.order if not self.pins.get(key)]:
            self.leave(key)

    @invariant()
    def the_model_agrees(self) -> None:
        stats = self.cache.stats()
        kept = sum(size for _, size in self.values.values())
        pinned = sum(size for key, (_, size) in self.values.items() if self.pins.get(key))

        assert (stats.budget, stats.kept, stats.reserved) == (self.budget, kept, sum(self.reserved.values()))
        assert (stats.pinned, stats.entries) == (pinned, len(self.values))
        assert (stats.hits, stats.misses, stats.evictions) == (self.hits, self.misses, self.evictions)
        assert self.left == self.expected_left


TestCacheMachine = CacheMachine.TestCase
TestCacheMachine.settings = settings(max_examples=150, stateful_step_count=40)


def test_sixteen_threads_never_exceed_the_budget() -> None:
    """At every event kept and reserved bytes are within the budget, and at the end all counters agree."""
    cache, worst, finished = Cache(1000), [0], list[int]()

    def look() -> None:
        stats = cache.stats()
        worst[0] = max(worst[0], stats.kept + stats.reserved)

    def work(seed: int) -> None:
        random = Random(seed)
        for _ in range(150):
            key = random.randrange(40)
            load(random, key)
            look()
        finished.append(seed)

    def load(random: Random, key: int) -> None:
        if cache.get(key) is not None:
            return
        try:
            reservation = cache.reserve(random.randrange(200))
            reservation.grow(random.randrange(50))
        except CacheFullError:
            return
        look()
        value = Value()
        if random.random() < 0.8:
            reservation.commit(key, value, dropped=look)
            cache.pin(key, value)
            cache.unpin(key, value)
        reservation.release()

    threads = [threading.Thread(target=work, args=(seed,), daemon=True) for seed in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    cache.purge()
    stats = cache.stats()

    assert len(finished) == 16
    assert 0 < worst[0] <= 1000
    assert stats.kept == stats.pinned == stats.entries == 0
    assert stats.hits + stats.misses == 16 * 150
