"""Waiting for single slices of a volume while it loads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from core.tests.builders import WAIT, Stack, make_session
from loadstone import Image, ImageId, LoadContext, LoadCycleError, LoadstoneError, Volume
from loadstone.events import VolumeModified

if TYPE_CHECKING:
    from loadstone import LoadObject


class Gated(Stack):
    """Lets one slice through for each that is asked for by name."""

    def __init__(self, count: int) -> None:
        super().__init__(range(count))
        self.gates = [threading.Event() for _ in range(count)]

    def load(self, image_id: ImageId, context: LoadContext) -> Image:
        assert self.gates[int(image_id.rest)].wait(WAIT)
        return super().load(image_id, context)

    def open(self) -> None:
        for gate in self.gates:
            gate.set()


def waited(volume: Volume, index: int | None, ended: list[object]) -> threading.Thread:
    """Wait on a thread of its own."""

    def wait() -> None:
        try:
            ended.append(volume.wait(index, WAIT))
        except LoadstoneError as error:
            ended.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_slice_is_there_before_the_volume() -> None:
    """Who waits for one slice goes on when it is final, whatever else is missing."""
    stack = Gated(6)
    with make_session({"slices": stack.loader(many=False)}, compute_permits=6) as session:
        handle: LoadObject[Volume] = session.request_volume("streaming:all", image_ids=stack.ids)
        volume = next(handle.partials())
        ended: list[object] = []
        thread = waited(volume, 4, ended)
        with pytest.raises(TimeoutError):
            volume.wait(3, timeout=0.01)
        stack.gates[4].set()
        thread.join(WAIT)

        assert ended == [volume]
        assert volume.quality[4] == 8
        assert 3 in volume.missing
        stack.open()
        assert volume.wait(timeout=WAIT).missing == ()
        assert volume.wait(-1, timeout=0) is handle.result(WAIT)


def test_a_slice_that_fails() -> None:
    """Who waits for it learns that nothing loads it any more, and why."""
    stack = Gated(4)
    stack.failing[2] = ValueError("slice 2")
    with make_session({"slices": stack.loader(many=False)}) as session:
        handle = session.request_volume("streaming:all", image_ids=stack.ids)
        volume = next(handle.partials())
        ended: list[object] = []
        threads = [waited(volume, 2, ended), waited(volume, None, ended)]
        stack.open()
        for thread in threads:
            thread.join(WAIT)

        assert {type(each) for each in ended} == {LoadstoneError}
        assert "slice 2" in str(ended[0].__cause__)  # type: ignore[attr-defined]
        assert volume.wait(1) is volume
        with pytest.raises(LoadstoneError, match="nothing loads what is missing: 1 images"):
            volume.wait(2)
        with pytest.raises(IndexError):
            volume.wait(4)


def test_a_cancelled_load() -> None:
    """Who waits goes on with an error when the load is cancelled."""
    stack = Gated(4)
    with make_session({"slices": stack.loader(many=False)}) as session:
        handle = session.request_volume("streaming:all", image_ids=stack.ids)
        volume = next(handle.partials())
        ended: list[object] = []
        thread = waited(volume, 3, ended)
        handle.cancel()
        stack.open()
        thread.join(WAIT)

        assert [type(each) for each in ended] in ([LoadstoneError], [Volume])


def test_waiting_where_it_is_loaded() -> None:
    """A callback on the threads that load the volume must not wait for them."""
    stack = Stack(range(4))
    caught: list[BaseException] = []

    def wait(event: VolumeModified) -> None:
        try:
            event.volume.wait()
        except LoadCycleError as error:
            caught.append(error)

    with make_session({"slices": stack.loader(many=False)}) as session:
        session.subscribe(VolumeModified, wait)
        session.load_volume("streaming:all", image_ids=stack.ids)

    assert len(caught) >= 3
