from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from core.tests.builders import WAIT, Paused, flat, make_session, until
from loadstone import Image, LoadCancelled, LoadCycleError, LoadstoneError, RequestType
from loadstone.events import ImageEvicted, ImageLoaded

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadstone import ImageId, LoadContext, LoadObject, Session

ONE: dict[str, Any] = {"host_permits": 1, "compute_permits": 1, "file_permits": 1}
"""All limits at one."""


def value(image: Image) -> int:
    """Return the value of an image of one value."""
    return int(image.pixels[0, 0])


def busy(session: Session, *, type: RequestType = RequestType.INTERACTION) -> threading.Event:
    """Keep the places of a type busy until the event is set."""
    go = threading.Event()
    running = threading.Semaphore(0)

    def wait() -> None:
        running.release()
        assert go.wait(WAIT)

    for _ in range(session.pool.limit(type)):
        session.pool.submit(wait, type=type)
    for _ in range(session.pool.limit(type)):
        assert running.acquire(timeout=WAIT)
    return go


class TestSharing:
    def test_callers_of_one_key_share_one_load_each_with_a_handle_of_its_own(self) -> None:
        """The loader runs once; everybody gets the same image."""
        paused = Paused()
        with make_session({"paused": paused}) as session:
            handles = [session.request_image("paused:1") for _ in range(5)]
            paused.go.set()
            images = [handle.result() for handle in handles]

        assert paused.calls == ["paused:1"]
        assert len(set(map(id, handles))) == 5
        assert len(set(map(id, images))) == 1

    @pytest.mark.parametrize("options", [{"scaled": False}, {"dtype": "f4"}, {"cache": False}])
    def test_whatever_changes_pixels_makes_another_load(self, options: dict[str, Any]) -> None:
        """Loads with other options are not joined."""
        paused = Paused()
        with make_session({"paused": paused}) as session:
            _ = session.request_image("paused:1")
            _ = session.request_image("paused:1", **options)
            until(lambda: len(paused.calls) == 2)
            paused.go.set()

    def test_sixteen_threads_that_ask_at_once_make_one_load(self) -> None:
        """Between looking into the cache and starting a load nothing is lost."""
        calls, images, start = list[str](), list[Image](), threading.Barrier(16)

        def load(image_id: ImageId, context: LoadContext) -> Image:
            calls.append(image_id)
            return flat(1)

        with make_session({"once": load}) as session:
            for number in range(30):

                def ask(number: int = number) -> None:
                    start.wait(WAIT)
                    images.append(session.load_image(f"once:{number}"))

                threads = [threading.Thread(target=ask, daemon=True) for _ in range(16)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join(WAIT)

        assert len(calls) == 30
        assert len(set(map(id, images))) == 30


class TestCancel:
    def test_the_load_goes_on_for_those_who_stay(self) -> None:
        """Cancelling one handle leaves the others alone."""
        paused = Paused()
        with make_session({"paused": paused}) as session:
            first, second = session.request_image("paused:1"), session.request_image("paused:1")
            first.cancel()
            paused.go.set()

            assert value(second.result(WAIT)) == 1
            assert first.cancelled()

    def test_the_last_handle_cancels_the_load_and_the_next_caller_starts_anew(self) -> None:
        """A deserted load is unlinked: its result reaches neither a new caller nor the cache."""
        paused, cancelled = Paused(), threading.Event()

        def load(image_id: ImageId, context: LoadContext) -> Image:
            context.on_cancel(cancelled.set)
            return paused(image_id, context)

        with make_session({"paused": load}) as session:
            first, second = session.request_image("paused:1"), session.request_image("paused:1")
            assert paused.started.wait(WAIT)
            first.cancel()
            alone = cancelled.is_set()
            second.cancel()
            third = session.request_image("paused:1")
            until(lambda: len(paused.calls) == 2)
            paused.go.set()

            assert not alone
            assert cancelled.is_set()
            assert value(third.result(WAIT)) == 2
            assert session.load_image("paused:1") is third.result()

    def test_a_queued_load_that_is_cancelled_never_starts(self) -> None:
        """Its loader is not called, and its place in the queue is free."""
        calls = list[str]()

        def load(image_id: ImageId, context: LoadContext) -> Image:
            calls.append(image_id)
            return flat(1)

        with make_session({"plain": load}, **ONE) as session:
            go = busy(session)
            handles = [session.request_image(f"plain:{number}") for number in range(100)]
            for handle in handles[:-1]:
                handle.cancel()
            queued = session.pool.stats().queued[RequestType.INTERACTION]
            go.set()
            handles[-1].result(WAIT)

        assert queued == 1
        assert calls == ["plain:99"]

    def test_an_ended_load_hears_no_cancel(self) -> None:
        """A handle cancelled too late runs no cancel callback."""
        cancelled = threading.Event()

        def load(image_id: ImageId, context: LoadContext) -> Image:
            context.on_cancel(cancelled.set)
            return flat(1)

        with make_session({"plain": load}) as session:
            handle = session.request_image("plain:1")
            handle.result()
            handle.cancel()

        assert not cancelled.is_set()

    def test_cancelling_a_load_cancels_what_it_waits_for(self) -> None:
        """A nested load that nobody else wants is cancelled with its parent."""
        cancelled, started = threading.Event(), threading.Event()

        def child(image_id: ImageId, context: LoadContext) -> Image:
            context.on_cancel(cancelled.set)
            started.set()
            assert cancelled.wait(WAIT)
            return flat(1)

        with make_session(
            {"child": child, "parent": lambda _, context: context.load_image("child:1")}
        ) as session:
            handle = session.request_image("parent:1")
            assert started.wait(WAIT)
            handle.cancel()

            assert cancelled.wait(WAIT)

    def test_a_child_that_others_want_goes_on(self) -> None:
        """Cancelling the parent takes away its own handle on the child, no more."""
        paused = Paused()
        with make_session(
            {"child": paused, "parent": lambda _, context: context.load_image("child:1")}
        ) as session:
            parent = session.request_image("parent:1")
            assert paused.started.wait(WAIT)
            other = session.request_image("child:1")
            parent.cancel()
            paused.go.set()

            assert value(other.result(WAIT)) == 1


class TestPriority:
    def test_a_joiner_raises_a_queued_load(self) -> None:
        """Who joins with a higher type or priority takes the load along."""
        order = list[str]()

        def load(image_id: ImageId, context: LoadContext) -> Image:
            order.append(image_id)
            return flat(1)

        with make_session({"plain": load}, **ONE) as session:
            go = busy(session, type=RequestType.PREFETCH)
            busy_too = busy(session)
            handles = [
                session.request_image(f"plain:{number}", type=RequestType.PREFETCH) for number in range(3)
            ]
            handles.append(session.request_image("plain:2", type=RequestType.PREFETCH, priority=-1))
            handles.append(session.request_image("plain:1", type=RequestType.INTERACTION))
            busy_too.set()
            handles[1].result(WAIT)
            go.set()
            for handle in handles:
                handle.result(WAIT)

        assert order == ["plain:1", "plain:2", "plain:0"]

    def test_a_joiner_of_lower_priority_changes_nothing(self) -> None:
        """A load is never lowered."""
        with make_session(**ONE) as session:
            go = busy(session)
            _ = session.request_image("number:1", priority=1)
            _ = session.request_image("number:1", type=RequestType.PREFETCH, priority=-5)
            stats = session.pool.stats()
            go.set()

        assert stats.queued[RequestType.INTERACTION] == 1
        assert stats.queued[RequestType.PREFETCH] == 0

    def test_what_runs_takes_its_later_permits_by_the_raised_priority(self) -> None:
        """Joining a running load raises the order in which it asks for permits."""
        asked = list[tuple[int, int]]()
        paused = Paused()

        def load(image_id: ImageId, context: LoadContext) -> Image:
            image = paused(image_id, context)
            request = context._load.request
            assert request is not None
            asked.append((request.type, request.priority))
            return image

        with make_session({"paused": load}) as session:
            _ = session.request_image("paused:1", type=RequestType.PREFETCH, priority=3)
            assert paused.started.wait(WAIT)
            handle = session.request_image("paused:1", priority=1)
            paused.go.set()
            handle.result(WAIT)

        assert asked == [(RequestType.INTERACTION, 1)]

    def test_nested_loads_are_as_urgent_as_their_parent(self) -> None:
        """A prefetch does not make its parts interactions."""
        seen = list[tuple[int, int]]()

        def child(image_id: ImageId, context: LoadContext) -> Image:
            request = context._load.request
            assert request is not None
            seen.append((request.type, request.priority))
            return flat(1)

        with make_session(
            {"child": child, "parent": lambda _, context: context.load_image("child:1")}
        ) as session:
            session.load_image("parent:1", type=RequestType.PREFETCH, priority=4)

        assert seen == [(RequestType.PREFETCH, 4)]


class TestEveryHandleSettles:
    @pytest.mark.parametrize(
        "drop",
        [
            lambda session: session.pool.filter(lambda _: False),
            lambda session: session.pool.clear(),
            lambda session: session.pool.clear(RequestType.INTERACTION),
            lambda session: session.close(),
        ],
        ids=["filter", "clear", "clear-type", "close"],
    )
    def test_queued_loads_that_are_dropped(self, drop: Callable[[Session], object]) -> None:
        """Whoever waits for a dropped load hears that it was cancelled."""
        session = make_session(**ONE)
        go = busy(session)
        handles = [session.request_image(f"number:{number}") for number in range(3)]
        threading.Timer(0.05, go.set).start()
        drop(session)
        errors = [handle.exception(WAIT) for handle in handles]
        session.close()

        assert all(isinstance(error, LoadCancelled) for error in errors)

    def test_a_load_that_was_dropped_can_be_asked_for_again(self) -> None:
        """A dropped load leaves nothing behind."""
        with make_session(**ONE) as session:
            go = busy(session)
            _ = session.request_image("number:1")
            session.pool.clear()
            handle = session.request_image("number:1")
            go.set()

            assert value(handle.result(WAIT)) == 1

    def test_without_a_thread_the_caller_hears_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A system that is out of threads is a typed error, and the next load works."""

        def refuse(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with make_session() as session:
            with monkeypatch.context() as patched:
                patched.setattr(threading.Thread, "start", refuse)
                with pytest.raises(LoadstoneError, match="no thread"):
                    session.load_image("number:1")

            assert value(session.load_image("number:1")) == 1


def chain(image_id: ImageId, context: LoadContext) -> Image:
    """Load ``chain:n`` as ``chain:n-1`` plus one, holding permits of each kind on the way."""
    depth = int(image_id.rest)
    if not depth:
        return flat(0)
    with context.reading(), context.computing():
        before = context.load_image(f"chain:{depth - 1}")
    with context.computing():
        return flat(value(before) + 1)


def tree(image_id: ImageId, context: LoadContext) -> Image:
    """Load a node as the sum of two nodes below it, one of which its neighbour shares."""
    level, place = map(int, image_id.rest.split(","))
    if not level:
        return flat(1)
    with context.computing():
        below = [context.load_image(f"tree:{level - 1},{place + side}") for side in (0, 1)]
    return flat(sum(map(value, below)))


@pytest.mark.timeout(60)
class TestNested:
    @pytest.mark.parametrize("settings", [ONE, {}])
    def test_three_levels_with_all_limits_at_one(self, settings: dict[str, Any]) -> None:
        """A waiting worker runs its own child in its place, without its permits."""
        with make_session({"chain": chain}, **settings) as session:
            handles = [session.request_image(f"chain:{depth}") for depth in (3, 2, 3, 1)]

            assert [value(handle.result(WAIT)) for handle in handles] == [3, 2, 3, 1]

    @pytest.mark.parametrize("settings", [ONE, {}])
    def test_shared_children(self, settings: dict[str, Any]) -> None:
        """Parents that share children wait for each other's workers and never deadlock."""
        with make_session({"tree": tree}, **settings) as session:
            handles = [session.request_image(f"tree:4,{place}") for place in range(8)]

            assert [value(handle.result(WAIT)) for handle in handles] == [16] * 8

    def test_a_child_of_another_type_and_host(self) -> None:
        """Which lane a child waits in does not matter."""
        with make_session(
            {
                "child": lambda _, __: flat(1),
                "parent": lambda _, context: context.load_image(
                    "child:http://host/1", type=RequestType.PREFETCH, priority=99
                ),
            },
            **ONE,
        ) as session:
            go = busy(session, type=RequestType.PREFETCH)

            assert value(session.load_image("parent:1")) == 1
            go.set()

    def test_a_child_that_fails_fails_its_parent_with_its_own_error(self) -> None:
        """The typed error of the child passes through."""

        def fail(image_id: ImageId, context: LoadContext) -> Image:
            raise ValueError("the child")

        with (
            make_session(
                {"child": fail, "parent": lambda _, context: context.load_image("child:1")}
            ) as session,
            pytest.raises(LoadstoneError, match=r"child:1: .*the child"),
        ):
            session.load_image("parent:1")

    def test_partials_and_threads_of_a_loader_run_queued_children(self) -> None:
        """Waiting for partial images, and on a thread of the plugin's own, works with limits of one."""

        def parent(image_id: ImageId, context: LoadContext) -> Image:
            (image,) = context.session.request_image("number:1").partials()
            seen = [image]
            thread = threading.Thread(target=lambda: seen.append(context.load_image("number:2")))
            thread.start()
            thread.join(WAIT)
            return flat(sum(map(value, seen)))

        with make_session({"parent": parent}, **ONE) as session:
            assert value(session.load_image("parent:1")) == 3

    def test_event_callbacks_may_load(self) -> None:
        """What a callback loads on a worker runs in its place."""
        loaded = list[int]()
        with make_session(**ONE) as session:

            def load_next(event: ImageLoaded) -> None:
                number = value(event.image)
                if number < 5:
                    loaded.append(value(session.load_image(f"number:{number + 1}")))

            with session.subscribe(ImageLoaded, load_next):
                session.load_image("number:1")

        assert sorted(loaded) == [2, 3, 4, 5]

    def test_a_callback_of_an_eviction_may_load(self) -> None:
        """Even while a load makes room for itself."""
        seen = list[str]()
        with make_session(cache_bytes=60, **ONE) as session:

            def load_uncached(event: ImageEvicted) -> None:
                seen.append(event.image.image_id)
                session.load_image("number:9", cache=False)

            with session.subscribe(ImageEvicted, load_uncached):
                session.load_image("number:1")
                session.load_image("number:2")
                evicted = list(seen)

        assert evicted == ["number:1"]


@pytest.mark.timeout(60)
class TestCycles:
    def test_a_load_that_waits_for_itself_says_so(self) -> None:
        """The error names the way round."""
        with (
            make_session({"self": lambda image_id, context: context.load_image(image_id)}) as session,
            pytest.raises(LoadCycleError, match=r"self:1 → self:1"),
        ):
            session.load_image("self:1")

    @pytest.mark.parametrize("settings", [ONE, {}])
    def test_a_ring_of_three(self, settings: dict[str, Any]) -> None:
        """A ring fails for all who are in it."""

        def next_one(image_id: ImageId, context: LoadContext) -> Image:
            return context.load_image(f"ring:{(int(image_id.rest) + 1) % 3}")

        with make_session({"ring": next_one}, **settings) as session:
            errors = [session.request_image(f"ring:{number}").exception(WAIT) for number in range(3)]

        assert all(isinstance(error, LoadCycleError) for error in errors)

    def test_a_ring_over_two_threads(self) -> None:
        """Two running loads that begin to wait for each other settle both."""
        both = threading.Barrier(2)

        def other(image_id: ImageId, context: LoadContext) -> Image:
            both.wait(WAIT)
            return context.load_image("one:1" if image_id.scheme == "two" else "two:1")

        with make_session({"one": other, "two": other}) as session:
            handles: list[LoadObject[Image]] = [
                session.request_image("one:1"),
                session.request_image("two:1"),
            ]
            errors = [handle.exception(WAIT) for handle in handles]

        assert all(isinstance(error, LoadCycleError) for error in errors)

    def test_waiting_for_one_load_from_many_is_no_cycle(self) -> None:
        """Many waiters of one load are none of each other's business."""
        paused = Paused()
        with make_session(
            {"paused": paused, "parent": lambda _, context: context.load_image("paused:1")}
        ) as session:
            handles = [session.request_image(f"parent:{number}") for number in range(5)]
            assert paused.started.wait(WAIT)
            time.sleep(0.02)
            paused.go.set()

            assert {value(handle.result(WAIT)) for handle in handles} == {1}

    def test_after_a_cycle_everything_works_again(self) -> None:
        """A cycle leaves neither a place nor a permit behind."""
        with make_session(
            {"self": lambda image_id, context: context.load_image(image_id), "chain": chain}, **ONE
        ) as session:
            for _ in range(3):
                with pytest.raises(LoadCycleError):
                    session.load_image("self:1")

            assert value(session.load_image("chain:3")) == 3


def test_reload_does_not_join_an_older_load() -> None:
    """`reload=True` starts anew, and the older load, which ends later, does not replace the newer image."""
    calls, gates = list[int](), [threading.Event(), threading.Event()]

    def load(image_id: ImageId, context: LoadContext) -> Image:
        number = len(calls)
        calls.append(number)
        assert gates[number].wait(WAIT)
        return flat(number)

    with make_session({"plain": load}) as session:
        older = session.request_image("plain:1")
        until(lambda: len(calls) == 1)
        newer = session.request_image("plain:1", reload=True)
        gates[1].set()
        newest = newer.result(WAIT)
        gates[0].set()

        assert (value(older.result(WAIT)), value(newest)) == (0, 1)
        assert session.load_image("plain:1") is newest
