"""What others raise: it is logged or becomes one error, and keeps nobody from anything."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from core.tests.builders import WAIT, flat, make_session, until
from loadstone import (
    DecodeError,
    Image,
    ImageLoader,
    LoadCancelled,
    LoadstoneError,
    MetadataError,
    PluginContractError,
)
from loadstone.boundary import run_isolated, typed_error
from loadstone.events import ImageLoaded
from loadstone.metadata import ImagePixel, ModuleSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from loadstone import ImageId, LoadContext, LoadObject

RAISED: list[BaseException] = [ValueError("x"), SystemExit(3), asyncio.CancelledError(), GeneratorExit()]
SHAPE = 2, 2


@contextmanager
def unlogged() -> Iterator[None]:
    """Keep what is logged on purpose out of the output."""
    logging.disable()
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def raising(error: BaseException) -> Callable[..., Any]:
    """Return a function that raises."""

    def fail(*_: object) -> None:
        raise error

    return fail


def described(image_ids: Sequence[ImageId], context: LoadContext) -> Mapping[ImageId, ModuleSet]:
    """Give the size of each image."""
    return {each: ModuleSet(ImagePixel(*SHAPE, np.dtype("u1"))) for each in image_ids}


@pytest.mark.parametrize("error", RAISED, ids=repr)
def test_all_callbacks_run_whatever_one_raises(error: BaseException) -> None:
    """Also what is meant to end a program is logged, and ends nothing."""
    ran = list[int]()
    with unlogged():
        run_isolated("a test", [raising(error), lambda: ran.append(1)])

    assert ran == [1]


def test_a_ctrl_c_is_raised_again_behind_the_last_callback() -> None:
    """It is meant for the program, not for the callback that it happened to interrupt."""
    ran = list[int]()
    with pytest.raises(KeyboardInterrupt):
        run_isolated("a test", [raising(KeyboardInterrupt()), lambda: ran.append(1)])

    assert ran == [1]


def test_an_error_of_ours_says_of_what() -> None:
    """What names no source gets that of the load; what names one keeps it."""
    nameless = typed_error(MetadataError("no slope", hint="Look."), "toy:1")
    named = typed_error(MetadataError("no slope", source="toy:2"), "toy:1")

    assert (nameless.source, str(nameless)) == ("toy:1", "toy:1: no slope. Look.")
    assert str(named) == "toy:2: no slope"


@pytest.mark.parametrize("error", RAISED, ids=repr)
def test_a_done_callback_keeps_no_other_caller_waiting(error: BaseException) -> None:
    """Every handle on a load settles, whatever the callback of the first one raises."""
    go = threading.Event()

    def load(image_id: ImageId, context: LoadContext) -> Image:
        assert go.wait(WAIT)
        return flat(1)

    with make_session({"toy": load}) as session, unlogged():
        handles = [session.request_image("toy:1") for _ in range(3)]
        for handle in handles:
            handle.add_done_callback(raising(error))
        go.set()
        values = [handle.result(WAIT).pixels[0, 0] for handle in handles]

    assert values == [1, 1, 1]


@pytest.mark.parametrize("error", RAISED, ids=repr)
def test_who_listens_harms_no_load(error: BaseException) -> None:
    """A subscriber, or a loader's callback on eviction, may raise what it wants."""

    def load(image_id: ImageId, context: LoadContext) -> Image:
        context.on_evict(raising(error))
        return flat(1)

    with make_session({"toy": load}) as session, unlogged():
        session.subscribe(ImageLoaded, raising(error))
        image = session.load_image("toy:1")
        freed = session.cache.purge()

    assert freed == image.nbytes


@pytest.mark.parametrize("name", [None, [], 7])
def test_canonical_has_to_name_an_image(name: object) -> None:
    """One name for all ids would hand out one image for another, so only a text is taken."""
    record = ImageLoader("toy", lambda _, __: flat(1), canonical=lambda _: name)  # type: ignore[arg-type,return-value] # what a careless plugin does
    with make_session({"toy": record}) as session, pytest.raises(PluginContractError, match="toy:1"):
        session.load_image("toy:1")


def test_canonical_does_not_end_the_program() -> None:
    """It runs on the caller's thread, where SystemExit would be the caller's end."""
    record = ImageLoader("toy", lambda _, __: flat(1), canonical=raising(SystemExit(3)))
    with make_session({"toy": record}) as session, pytest.raises(DecodeError, match="SystemExit"):
        session.load_image("toy:1")


class Opened:
    """A source that says it holds some bytes."""

    def __init__(self, nbytes: Any, error: BaseException | None = None) -> None:
        self.nbytes = nbytes
        self._error = error

    def close(self) -> None:
        """Fail, perhaps."""
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize("source", [None, 7, b"no nbytes", Opened("5"), Opened(-5), Opened(None)])
def test_a_source_has_to_say_what_it_holds(source: Any) -> None:
    """A negative size would let everything else exceed the budget; such a source is the plugin's fault."""

    def load(image_id: ImageId, context: LoadContext) -> Image:
        context.source("key", lambda: source)
        return flat(1)

    with make_session({"toy": load}) as session:
        with pytest.raises(PluginContractError, match=r"toy:1.*source"):
            session.load_image("toy:1")
        stats = session.cache.stats()

    assert (stats.kept, stats.pinned, stats.reserved) == (0, 0, 0)


@pytest.mark.parametrize("error", RAISED, ids=repr)
def test_a_source_that_cannot_be_closed_costs_no_image(error: BaseException) -> None:
    """The image is there, the bytes are given back, and the others are closed all the same."""
    closed = list[int]()

    class Other(Opened):
        def close(self) -> None:
            closed.append(1)

    def load(image_id: ImageId, context: LoadContext) -> Image:
        context.source("other", lambda: Other(5))
        context.source("key", lambda: Opened(5, error))
        return flat(1)

    with make_session({"toy": load}) as session, unlogged():
        image = session.load_image("toy:1")
        session.cache.purge()
        stats = session.cache.stats()

    assert image.pixels[0, 0] == 1
    assert closed == [1]
    assert (stats.kept, stats.pinned) == (0, 0)


@pytest.mark.parametrize("quality", [None, "FULL", 99])
def test_a_quality_is_one_of_those_there_are(quality: Any) -> None:
    """Qualities are compared; what is none is the plugin's fault."""
    with (
        make_session({"toy": lambda _, __: flat(1, quality=quality)}) as session,
        pytest.raises(PluginContractError, match="quality"),
    ):
        session.load_image("toy:1")


def test_cancelling_a_volume_cancels_what_load_many_left_to_be_waited_for() -> None:
    """A future that nobody completes does not hold a worker for ever."""
    futures = list[concurrent.futures.Future[Image]]()

    def load_many(ids: Sequence[ImageId], context: LoadContext) -> Iterator[tuple[ImageId, Any]]:
        for each in ids:
            futures.append(concurrent.futures.Future())
            yield each, futures[-1]

    loader = ImageLoader("toy", lambda _, __: flat(1), load_many=load_many, metadata=described)
    with make_session({"toy": loader}) as session:
        handle: LoadObject[Any] = session.request_volume("all", image_ids=["toy:1", "toy:2"])
        until(lambda: len(futures) == 2)
        handle.cancel()
        until(lambda: not any(session.pool.stats().running.values()))

        with pytest.raises(LoadCancelled):
            handle.result()


def test_an_image_in_the_slice_of_another_is_refused() -> None:
    """A loader that mixes up the memory it asked for gets an error, not a volume in another order."""

    def load_many(ids: Sequence[ImageId], context: LoadContext) -> Iterator[tuple[ImageId, Any]]:
        memory = [context.allocate(SHAPE, "u1", each) for each in ids]
        for each, pixels in zip(ids, reversed(memory), strict=True):
            yield each, Image(pixels)

    loader = ImageLoader("toy", lambda _, __: flat(1), load_many=load_many, metadata=described)
    with make_session({"toy": loader}) as session, pytest.raises(LoadstoneError) as caught:
        session.load_volume("all", image_ids=["toy:1", "toy:2"])

    assert isinstance(caught.value, PluginContractError)
    assert "another image" in str(caught.value)
