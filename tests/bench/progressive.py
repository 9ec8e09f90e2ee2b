"""Loading by stages against loading plainly: when a first slice, a coarse volume, the whole one is there."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import loadstone
from loadstone import Quality, RequestType
from loadstone.events import VolumeModified
from loadstone.retrieve import INTERLEAVED, RetrieveOptions
from tests.bench.contest import Contest
from tests.bench.phantom import ct_folder
from tests.bench.server import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from loadstone import Image, Volume
    from loadstone.retrieve import RetrieveConfiguration

__all__ = ["progressive_contests"]

_LATENCY: Final = 0.02
_WAITING: Final = 1000
_VOLUMES: Final = 4
_COARSE_PASSES: Final = INTERLEAVED.with_options(
    multiple_fast=RetrieveOptions(Quality.SUBRESOLUTION, byte_range=(0, 65536))
)
_WAYS: Final[dict[str, RetrieveConfiguration | str]] = {
    "interleaved": "interleaved",
    "interleaved, coarse": _COARSE_PASSES,
    "byte ranges": "byte-ranges",
    "resolution levels": "resolution-levels",
}


def progressive_contests(root: Path) -> Iterator[Contest]:
    """300 HTJ2K slices over WADO-RS, 20 ms an answer, and a single image among much else."""
    with serving(ct_folder(root, "1 kB", "HTJ2K"), _LATENCY) as (url, study, series):
        volume_id = f"wadors:{url}/studies/{study}/series/{series}"
        for name, way in _WAYS.items():
            for moment, there in _MOMENTS.items():
                yield Contest(
                    f"20 ms, {moment}: {name}",
                    "plain load",
                    partial(_loaded_until, volume_id, way, there),
                    partial(_loaded_until, volume_id, None, there),
                    goal=None,
                    equal=lambda ours, theirs: ours == theirs,
                )
        with _idle(volume_id) as idle, _busy(volume_id) as busy:
            yield Contest(
                f"one image, {_WAITING:,} PREFETCH, {_VOLUMES} volumes",
                "idle",
                busy,
                idle,
                goal=None,
            )


_MOMENTS: Final[dict[str, Callable[[Volume], bool]]] = {
    "first slice": lambda volume: bool(volume.quality.any()),
    "all of it coarse": lambda volume: bool(volume.quality.all()),
    "complete": lambda volume: not volume.missing,
}


def _loaded_until(
    volume_id: str, retrieve: RetrieveConfiguration | str | None, there: Callable[[Volume], bool]
) -> bool:
    """Load in a session of its own, until the volume is as wanted."""
    reached = threading.Event()

    def look(event: VolumeModified) -> None:
        if not reached.is_set() and there(event.volume):
            reached.set()

    session = loadstone.Session()
    session.subscribe(VolumeModified, look)
    load = session.request_volume(volume_id, retrieve=retrieve)
    load.add_done_callback(lambda _: reached.set())
    reached.wait()
    if load.done():
        load.result()
    # Not waited for: what is measured is over.
    threading.Thread(target=session.close).start()
    return True


@contextmanager
def _idle(volume_id: str) -> Iterator[Callable[[], object]]:
    """Give what loads a single image where nothing else is loaded."""
    with loadstone.Session() as session:
        image_id = session.image_ids(volume_id)[0]
        yield lambda: session.load_image(image_id, cache=False, scaled=False).pixels


@contextmanager
def _busy(volume_id: str) -> Iterator[Callable[[], object]]:
    """Give what loads a single image while four volumes load again and again, and many images wait."""
    with loadstone.Session() as session:
        ids = session.image_ids(volume_id)

        names = [(image_id, dtype) for dtype in ("i2", "i4", "f4", "f8") for image_id in ids][:_WAITING]
        waiting: dict[tuple[str, str], loadstone.LoadObject[Image]] = {}
        volumes: dict[str, loadstone.LoadObject[Volume]] = {}

        def keep_busy() -> None:
            for name in names:
                if name not in waiting or waiting[name].done():
                    waiting[name] = session.request_image(
                        name[0], dtype=name[1], type=RequestType.PREFETCH, cache=False
                    )
            for dtype in ("i2", "i4", "f4", "f8")[:_VOLUMES]:
                if dtype not in volumes or volumes[dtype].done():
                    volumes[dtype] = session.request_volume(
                        volume_id,
                        dtype=dtype,
                        cache=False,
                        retrieve="interleaved",
                        type=RequestType.PREFETCH,
                    )

        def load() -> object:
            return session.load_image(ids[0], cache=False, scaled=False).pixels

        stop = threading.Event()

        def feed() -> None:
            while not stop.is_set():
                keep_busy()
                stop.wait(0.2)

        feeder = threading.Thread(target=feed)
        feeder.start()
        try:
            yield load
        finally:
            stop.set()
            feeder.join()
