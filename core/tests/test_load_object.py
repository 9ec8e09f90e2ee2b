from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
import weakref
from typing import TYPE_CHECKING

import numpy as np
import pytest

from core.tests.builders import WAIT, Paused, flat, make_session, until
from loadstone import DecodeError, Image, LoadCancelled, LoadObject, Progress, Quality

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadstone import ImageId, LoadContext


class Steps:
    """A loader that yields images of rising quality, each when it is told to."""

    def __init__(self, *qualities: Quality) -> None:
        self.qualities = qualities
        self.next = threading.Semaphore(0)
        self.closed = threading.Event()

    def __call__(self, image_id: ImageId, context: LoadContext) -> Iterator[Image]:
        try:
            for number, quality in enumerate(self.qualities):
                assert self.next.acquire(timeout=WAIT)
                yield flat(number, quality=quality)
        finally:
            self.closed.set()


def value(image: Image) -> int:
    """Return the value of an image of one value."""
    return int(image.pixels[0, 0])


def test_result_and_exception_wait() -> None:
    """A handle gives the image, and None as its error."""
    with make_session() as session:
        handle = session.request_image("number:7")

        assert value(handle.result()) == 7
        assert handle.exception() is None
        assert (handle.done(), handle.cancelled()) == (True, False)
        assert repr(handle) == "<LoadObject number:7 done>"


def test_a_timeout_leaves_the_load_running() -> None:
    """`result(timeout)` gives up waiting, not loading."""
    paused = Paused()
    with make_session({"paused": paused}) as session:
        handle = session.request_image("paused:1")
        for seconds in (0.01, 0, -1, float("nan")):
            with pytest.raises(TimeoutError, match="paused:1"):
                handle.result(seconds)
        pending = repr(handle)
        paused.go.set()

        assert value(handle.result(WAIT)) == 1
        assert pending == "<LoadObject paused:1 pending>"


def test_a_failed_load_raises_for_every_caller_and_every_time() -> None:
    """The error is the same; its traceback does not grow with each look."""

    def fail(image_id: ImageId, context: LoadContext) -> Image:
        raise ValueError("broken")

    with make_session({"bad": fail}) as session:
        handle = session.request_image("bad:1")
        lengths = []
        for _ in range(3):
            with pytest.raises(DecodeError, match="broken") as caught:
                handle.result()
            lengths.append(len(caught.traceback))

        assert len(set(lengths)) == 1
        assert isinstance(handle.exception(), DecodeError)
        assert repr(handle) == "<LoadObject bad:1 failed>"


def test_done_callbacks_run_once_with_the_handle_even_when_added_late() -> None:
    """A callback gets the settled handle; one that fails is logged and disturbs no other."""
    paused, seen = Paused(), list[LoadObject[Image]]()

    def fail(_: LoadObject[Image]) -> None:
        raise ValueError("a callback")

    with make_session({"paused": paused}) as session:
        handle = session.request_image("paused:1")
        logging.disable()
        try:
            handle.add_done_callback(fail)
            handle.add_done_callback(seen.append)
            paused.go.set()
            handle.result()
            until(lambda: seen)
        finally:
            logging.disable(logging.NOTSET)
        handle.add_done_callback(seen.append)

        assert seen == [handle, handle]


@pytest.mark.timeout(30)
def test_a_done_callback_may_load() -> None:
    """With limits of one, what a callback loads runs in its place."""
    loaded = list[int]()
    with make_session(host_permits=1, compute_permits=1, file_permits=1) as session:
        handle = session.request_image("number:1")
        handle.add_done_callback(lambda _: loaded.append(value(session.load_image("number:2"))))
        handle.result()
        until(lambda: loaded)

        assert loaded == [2]


class TestPartials:
    def test_each_is_better_and_the_result_comes_last(self) -> None:
        """Partial images arrive as they are made, finished like any other."""
        steps = Steps(Quality.ADJACENT_REPLICATE, Quality.SUBRESOLUTION, Quality.FULL)
        with make_session({"steps": steps}) as session:
            seen = []
            steps.next.release()
            for image in session.request_image("steps:1").partials():
                seen.append((value(image), image.quality, image.pixels.flags.writeable, image.image_id))
                steps.next.release()

        assert seen == [
            (0, Quality.ADJACENT_REPLICATE, False, "steps:1"),
            (1, Quality.SUBRESOLUTION, False, "steps:1"),
            (2, Quality.FULL, False, "steps:1"),
        ]

    def test_a_slow_consumer_sees_fewer_of_them_and_none_twice(self) -> None:
        """What was overtaken is left out."""
        steps = Steps(*[Quality.SUBRESOLUTION] * 3, Quality.FULL)
        with make_session({"steps": steps}) as session:
            handle = session.request_image("steps:1")
            partials = handle.partials()
            steps.next.release()
            first = value(next(partials))
            steps.next.release(2)
            until(lambda: handle._version == 3)
            second = value(next(partials))
            steps.next.release()
            handle.result()

            assert [first, second, *map(value, partials)] == [0, 2, 3]

    def test_a_joiner_gets_what_there_is(self) -> None:
        """Who joins late sees the latest partial image at once."""
        steps = Steps(Quality.SUBRESOLUTION, Quality.FULL)
        with make_session({"steps": steps}) as session:
            first = session.request_image("steps:1")
            steps.next.release()
            next(first.partials())
            second = session.request_image("steps:1").partials()

            assert value(next(second)) == 0
            steps.next.release()
            assert value(next(second)) == 1

    def test_they_end_with_the_error_of_the_load(self) -> None:
        """A load that fails on the way raises where the result would be."""

        def fail(image_id: ImageId, context: LoadContext) -> Iterator[Image]:
            yield flat(1, quality=Quality.SUBRESOLUTION)
            raise ValueError("half way")

        with make_session({"half": fail}) as session:
            partials = session.request_image("half:1").partials()
            with pytest.raises(DecodeError, match="half way"):
                list(partials)

    def test_a_cached_image_is_the_only_one(self) -> None:
        """What is there already is yielded once."""
        with make_session() as session:
            session.load_image("number:1")

            assert [value(image) for image in session.request_image("number:1").partials()] == [1]

    def test_a_cancelled_generator_ends_at_once(self) -> None:
        """The generator of a cancelled load is closed on its worker, not by the garbage collector."""
        steps = Steps(Quality.SUBRESOLUTION, Quality.FULL)
        with make_session({"steps": steps}) as session:
            handle = session.request_image("steps:1")
            steps.next.release()
            next(handle.partials())
            handle.cancel()
            steps.next.release()

            assert steps.closed.wait(WAIT)


class TestAwait:
    def test_a_handle_can_be_awaited(self) -> None:
        """`await` gives the result without blocking the loop."""

        async def main() -> tuple[int, int, int]:
            paused = Paused()
            with make_session({"paused": paused}) as session:
                handle = session.request_image("paused:1")
                ticks = 0

                async def tick() -> None:
                    nonlocal ticks
                    while not handle.done():
                        ticks += 1
                        if ticks == 5:
                            paused.go.set()
                        await asyncio.sleep(0.001)

                task = asyncio.create_task(tick())
                first = value(await handle)
                await task
                return first, value(await handle), ticks

        first, again, ticks = asyncio.run(main())

        assert (first, again) == (1, 1)
        assert ticks >= 5

    def test_several_loops_may_await_one_load(self) -> None:
        """A load is no affair of one event loop."""
        paused, seen = Paused(), list[int]()
        with make_session({"paused": paused}) as session:
            handle = session.request_image("paused:1")

            async def main() -> None:
                seen.append(value(await handle))

            threads = [threading.Thread(target=lambda: asyncio.run(main()), daemon=True) for _ in range(3)]
            for thread in threads:
                thread.start()
            until(lambda: len(handle._callbacks) == 3)
            paused.go.set()
            for thread in threads:
                thread.join(WAIT)

        assert seen == [1, 1, 1]

    def test_cancelling_the_task_cancels_its_handle_only(self) -> None:
        """The handle of a cancelled task leaves; others who wait for the load still get it."""

        async def main() -> tuple[bool, int]:
            paused = Paused()
            with make_session({"paused": paused}) as session:
                mine, other = session.request_image("paused:1"), session.request_image("paused:1")

                async def wait() -> Image:
                    return await mine

                task = asyncio.create_task(wait())
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                paused.go.set()
                return mine.cancelled(), value(await other)

        assert asyncio.run(main()) == (True, 1)

    def test_a_timeout_of_asyncio_cancels_the_load(self) -> None:
        """`asyncio.wait_for` gives up the handle, and with the last one the load."""

        async def main() -> bool:
            paused = Paused()
            with make_session({"paused": paused}) as session:
                handle = session.request_image("paused:1")

                async def wait() -> Image:
                    return await handle

                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(wait(), 0.01)
                paused.go.set()
                return handle.cancelled()

        assert asyncio.run(main())

    def test_an_error_is_raised_where_it_is_awaited(self) -> None:
        """A failed load raises its typed error in the coroutine."""

        def fail(image_id: ImageId, context: LoadContext) -> Image:
            raise ValueError("broken")

        async def main() -> None:
            with make_session({"bad": fail}) as session:
                await session.request_image("bad:1")

        with pytest.raises(DecodeError, match="broken"):
            asyncio.run(main())

    def test_a_loop_that_was_closed_disturbs_nobody(self) -> None:
        """A load that settles after its loop is gone settles for the others."""
        paused = Paused()
        with make_session({"paused": paused}) as session:
            mine, other = session.request_image("paused:1"), session.request_image("paused:1")
            loop = asyncio.new_event_loop()

            async def wait() -> Image:
                return await mine

            waiting = wait()
            loop.call_soon(lambda: waiting.send(None))
            loop.call_soon(loop.stop)
            loop.run_forever()
            loop.close()
            paused.go.set()

            assert value(other.result(WAIT)) == 1
            waiting.close()


class TestProgress:
    def test_follow_ends_with_everything_done(self) -> None:
        """The callback runs on the caller's thread, and its last call says that all is there."""
        seen = list[tuple[Progress, int]]()

        def load(image_id: ImageId, context: LoadContext) -> Image:
            context.progress(10, 20)
            context.progress(20, 20)
            return flat(1)

        with make_session({"bytes": load}) as session:
            session.load_image(
                "bytes:1", progress=lambda progress: seen.append((progress, threading.get_ident()))
            )

        assert seen[-1] == (Progress(1, 1, 20, 20), threading.get_ident())
        assert {thread for _, thread in seen} == {threading.get_ident()}

    def test_what_is_there_already_is_done(self) -> None:
        """A cache hit calls the callback once, with everything done."""
        seen = list[Progress]()
        with make_session() as session:
            session.load_image("number:1")
            session.load_image("number:1", progress=seen.append)

        assert seen == [Progress(1, 1)]

    def test_a_callback_that_raises_cancels_the_load(self) -> None:
        """Whatever ends the wait of a blocking call ends its load."""
        started, cancelled = threading.Event(), threading.Event()

        def load(image_id: ImageId, context: LoadContext) -> Image:
            context.on_cancel(cancelled.set)
            started.set()
            assert cancelled.wait(WAIT)
            return flat(1)

        def give_up(_: Progress) -> None:
            assert started.wait(WAIT)
            raise ValueError("enough")

        with make_session({"slow": load}) as session:
            with pytest.raises(ValueError, match="enough"):
                session.load_image("slow:1", progress=give_up)

            assert cancelled.wait(WAIT)


class TestMemory:
    """What a load leaves behind does not wait for the garbage collector."""

    @pytest.fixture(autouse=True)
    def _no_collector(self) -> Iterator[None]:
        gc.collect()
        gc.disable()
        yield
        gc.enable()

    def test_an_image_that_nobody_holds_is_gone(self) -> None:
        """Neither the load nor its request keep the result alive."""
        with make_session() as session:
            image = session.load_image("number:1", cache=False)
            gone = weakref.ref(image)
            del image

            assert gone() is None

    def test_partial_images_are_gone_when_the_load_ends(self) -> None:
        """A handle keeps the result, not what came before it."""
        steps = Steps(Quality.SUBRESOLUTION, Quality.FULL)
        with make_session({"steps": steps}) as session:
            handle = session.request_image("steps:1")
            steps.next.release()
            partial = next(handle.partials())
            gone = weakref.ref(partial)
            steps.next.release()
            handle.result()
            del partial

            assert gone() is None

    def test_a_failed_load_leaves_no_pixels_behind(self) -> None:
        """An error that is kept does not keep the buffers of the loader that raised it."""
        buffers = list[weakref.ref[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]]()

        def fail(image_id: ImageId, context: LoadContext) -> Image:
            buffer = np.zeros(100, np.uint8)
            buffers.append(weakref.ref(buffer))
            raise ValueError("broken")

        with make_session({"bad": fail}) as session:
            handle = session.request_image("bad:1")
            error = handle.exception()

            assert error is not None
            assert buffers[0]() is None


def test_cancel_after_the_end_says_no() -> None:
    """A settled handle stays as it is."""
    with make_session() as session:
        handle = session.request_image("number:1")
        handle.result()

        assert not handle.cancel()
        assert not handle.cancelled()


def test_a_cancelled_handle_settles_at_once() -> None:
    """The caller does not wait for a loader that cannot be stopped."""
    paused = Paused()
    with make_session({"paused": paused}) as session:
        handle = session.request_image("paused:1")
        assert paused.started.wait(WAIT)
        started = time.monotonic()

        assert handle.cancel()
        with pytest.raises(LoadCancelled, match="paused:1"):
            handle.result()
        assert time.monotonic() - started < 1
        assert repr(handle) == "<LoadObject paused:1 cancelled>"
        paused.go.set()
