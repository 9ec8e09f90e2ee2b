"""Volumes whose memory is the caller's own."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from core.tests.builders import WAIT, Stack, make_session
from loadstone import LoadstoneError, Session

if TYPE_CHECKING:
    from loadstone import Image, ImageId, LoadContext


def session_of(stack: Stack) -> Session:
    return make_session({"slices": stack.loader()})


def test_its_array_can_be_written_to() -> None:
    """As torch wants it: writable, C-contiguous, native."""
    stack = Stack(range(3))
    with session_of(stack) as session:
        volume = session.load_volume("streaming:a", image_ids=stack.ids, writable=True)

    assert volume.array.flags.writeable
    assert volume.array.flags.c_contiguous
    volume.array[...] += 1
    assert volume.array[:, 0, 0].tolist() == [1, 2, 3]
    assert volume.image(1).pixels[0, 0] == 2
    assert not volume.image(1).pixels.flags.writeable


def test_what_is_written_reaches_nobody_else() -> None:
    """Neither volumes nor images that are loaded before, meanwhile or afterwards share its memory."""
    stack = Stack(range(3))
    with session_of(stack) as session:
        before = session.load_volume("streaming:a", image_ids=stack.ids)
        own = session.load_volume("streaming:a", image_ids=stack.ids, writable=True)
        other = session.load_volume("streaming:a", image_ids=stack.ids, writable=True)
        own.array[:] = 77
        after = session.load_volume("streaming:a", image_ids=stack.ids)
        image = session.load_image("slices:1")

    assert after is before
    for volume in (before, other):
        assert volume.array[:, 0, 0].tolist() == [0, 1, 2]
    assert (image.pixels == 1).all()
    assert not before.array.flags.writeable


def test_the_session_does_not_keep_it() -> None:
    """It is not of the budget."""
    stack = Stack(range(3))
    with session_of(stack) as session:
        volume = session.load_volume("streaming:a", image_ids=stack.ids, writable=True)
        volume.array[:] = 77

        assert session.cache.stats().kept == 0
        assert (session.load_image("slices:1").pixels == 1).all()


def test_two_who_ask_at_once_get_two() -> None:
    """A load into somebody's own memory is never joined."""
    started = threading.Semaphore(0)
    go = threading.Event()
    stack = Stack(range(2))

    def load(image_id: ImageId, context: LoadContext) -> Image:
        started.release()
        assert go.wait(WAIT)
        return stack.load(image_id, context)

    with make_session({"slices": load}) as session:
        ids = ["slices:0", "slices:1"]
        handles = [session.request_volume("streaming:a", image_ids=ids, writable=True) for _ in "ab"]
        assert all(started.acquire(timeout=WAIT) for _ in "ab")
        go.set()
        one, other = (handle.result(WAIT) for handle in handles)

    assert not np.shares_memory(one.array, other.array)


def test_what_the_session_keeps_is_read_only() -> None:
    """Pinned and writable contradict each other."""
    with make_session() as session, pytest.raises(LoadstoneError, match="pinned"):
        session.create_volume("streaming:a", image_ids=["number:1"], writable=True)
