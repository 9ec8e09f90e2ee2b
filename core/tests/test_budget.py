"""The memory that is really used, as numpy reports it, not as the cache counts it."""

from __future__ import annotations

import gc
import threading
import tracemalloc
from contextlib import contextmanager
from typing import TYPE_CHECKING

from core.tests.builders import WAIT, Stack, make_session
from loadstone import CacheFullError, Image
from loadstone.metadata import Scaling

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadstone import ImageId, LoadContext

MIB = 2**20


@contextmanager
def peak_bytes() -> Iterator[list[int]]:
    """Measure the highest number of bytes allocated inside, beyond what there was before."""
    peak = [0]
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    try:
        yield peak
        peak[0] = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def megabyte(image_id: ImageId, context: LoadContext) -> Image:
    """Load an image of one MiB, scaled in place."""
    out = context.allocate((512, 1024), "u2")
    out[:] = int(image_id.rest)
    return Image(out, intercept=-1000.0, bits_stored=12)


def test_sixteen_threads_stay_within_the_budget() -> None:
    """Whatever is loaded at the same time: the peak is the budget and what sixteen callers hold."""
    with make_session({"mib": megabyte}, cache_bytes=24 * MIB) as session, peak_bytes() as peak:

        def work(seed: int) -> None:
            for step in range(12):
                try:
                    session.load_image(f"mib:{(seed * 5 + step * 7) % 60}")
                except CacheFullError:
                    continue

        threads = [threading.Thread(target=work, args=(seed,), daemon=True) for seed in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT)

    # An image that is evicted the moment it was handed out is its caller's: one for each thread at most.
    assert 20 * MIB < peak[0] <= (24 + 8 + 16) * MIB


def test_a_volume_takes_its_own_memory_and_little_more() -> None:
    """Slices are decoded and scaled where they stay."""
    stack = Stack(range(64), shape=(512, 512), scaling=Scaling(1, -1000, "HU"), bits_stored=12)
    with make_session({"slices": stack.loader()}) as session, peak_bytes() as peak:
        volume = session.load_volume("streaming:a", image_ids=stack.ids)

    assert volume.nbytes == 32 * MIB
    assert peak[0] <= volume.nbytes + 4 * MIB


def test_a_loop_over_many_volumes_takes_memory_for_those_that_fit() -> None:
    """What was evicted and let go is free at once, without the garbage collector."""
    stack = Stack(range(16), shape=(512, 512))
    gc.collect()
    gc.disable()
    try:
        with make_session({"slices": stack.loader()}, cache_bytes=20 * MIB) as session, peak_bytes() as peak:
            for number in range(10):
                session.load_volume(f"streaming:{number}", image_ids=stack.ids)
    finally:
        gc.enable()

    assert peak[0] <= 24 * MIB
