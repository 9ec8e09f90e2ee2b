"""Pieces of one load on many workers: how urgent what they ask for is."""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING
from weakref import ref

import pytest

from core.tests.builders import WAIT, Stack, flat, make_session, until
from loadstone import RequestType
from loadstone.waiting import asking, current_order

if TYPE_CHECKING:
    from loadstone import Image, ImageId, LoadContext


def test_frames_of_a_volume_ask_as_prefetch() -> None:
    """A volume that somebody waits for is interactive, its frames are not: they let single images pass."""
    orders = set()

    class Noting(Stack):
        def load(self, image_id: ImageId, context: LoadContext) -> Image:
            orders.add(current_order())
            return super().load(image_id, context)

    stack = Noting(range(30))
    with make_session({"slices": stack.loader(many=False)}) as session:
        session.load_volume("streaming:all", image_ids=stack.ids, priority=3)

    assert orders == {(RequestType.PREFETCH, 3)}


@pytest.mark.parametrize(
    ("kind", "of_jobs"),
    [
        (RequestType.INTERACTION, RequestType.PREFETCH),
        (RequestType.THUMBNAIL, RequestType.THUMBNAIL),
        (RequestType.PREFETCH, RequestType.PREFETCH),
    ],
)
def test_a_single_image_asks_as_it_was_asked_for(kind: RequestType, of_jobs: RequestType) -> None:
    """Type and priority of a request are those of its own requests, of its jobs, and of images below it."""
    orders = []

    def below(image_id: ImageId, context: LoadContext) -> Image:
        orders.append(current_order())
        return flat(1)

    def above(image_id: ImageId, context: LoadContext) -> Image:
        orders.append(current_order())
        orders.append(context.submit(current_order).result())
        orders.append(context.submit(current_order, computes=False).result())
        return context.load_image("below:1")

    with make_session({"above": above, "below": below}) as session:
        session.load_image("above:1", type=kind, priority=-2)

    assert orders == [(kind, -2), (kind, -2), (of_jobs, -2), (kind, -2)]


def test_an_image_overtakes_the_frames_of_volumes() -> None:
    """With one permit a host for each type, a single image is loaded while all frames of a volume wait."""
    begun, go = threading.Event(), threading.Event()

    def load(image_id: ImageId, context: LoadContext) -> Image:
        with context.session.transport._permit("host:80"):
            if not image_id.endswith("single"):
                begun.set()
                assert go.wait(WAIT)
        return flat(1)

    with make_session({"slow": load}, host_permits=1) as session:
        session.set_limit(RequestType.INTERACTION, 2)
        volume = session.request_volume(
            "streaming:all", image_ids=[f"slow:http://host/{k}" for k in range(9)]
        )
        assert begun.wait(WAIT)
        session.request_image("slow:http://host/single").result(WAIT)
        waiting = not volume.done()
        go.set()
        volume.result(WAIT)

    assert waiting


@pytest.mark.parametrize("permits", [1, 3])
def test_as_many_images_are_decoded_at_a_time_as_there_are_permits(permits: int) -> None:
    """Decoding uses as many cores as the setting says, and no more."""
    together = threading.Barrier(permits, timeout=WAIT)
    lock, inside, most = threading.Lock(), 0, 0

    class Decoding(Stack):
        def load(self, image_id: ImageId, context: LoadContext) -> Image:
            nonlocal inside, most
            with context.computing():
                with lock:
                    inside += 1
                    most = max(most, inside)
                together.wait()
                with lock:
                    inside -= 1
            return super().load(image_id, context)

    stack = Decoding(range(6))
    with make_session({"slices": stack.loader(many=False)}, compute_permits=permits) as session:
        session.load_volume("streaming:all", image_ids=stack.ids)

    assert most == permits


def test_the_order_ends_with_its_block() -> None:
    """Outside of any load requests count as PREFETCH, also after a block with an order of its own."""
    with asking((RequestType.INTERACTION, 1)):
        assert current_order() == (RequestType.INTERACTION, 1)

    assert current_order() == (RequestType.PREFETCH, 0)


@pytest.mark.parametrize("computes", [False, True])
def test_the_result_of_a_job_lives_no_longer_than_the_job(*, computes: bool) -> None:
    """Its memory is free as soon as nobody holds the job, without the help of the garbage collector."""
    gone: list[bool] = []

    def load(image_id: ImageId, context: LoadContext) -> Image:
        gc.disable()
        try:
            job = context.submit(flat, 1, computes=computes)
            pixels = ref(job.result().pixels)
            until(job.done)
            del job
            until(lambda: pixels() is None)
            gone.append(True)
        finally:
            gc.enable()
        return flat(2)

    with make_session({"jobs": load}) as session:
        session.load_image("jobs:1")

    assert gone == [True]
