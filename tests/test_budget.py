"""
The budget as the machine sees it: what is traced, opened and started, not only what our counters say.

The numbers measured are logged: ``pytest --log-cli-level=INFO tests/test_budget.py``.
"""

from __future__ import annotations

import gc
import logging
import random
import threading
import tracemalloc
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import nibabel as nib
import numpy as np
import pytest

import loadstone
from core.tests.builders import WAIT, plane
from loadstone import CacheFullError, Image, ImageLoader, Quality, Session
from loadstone.events import (
    Event,
    ImageCached,
    ImageEvicted,
    ImageLoaded,
    LoadFinished,
    VolumeCached,
    VolumeEvicted,
    VolumeLoaded,
    VolumeModified,
)
from loadstone.metadata import ImagePixel, ModuleSet, Scaling
from loadstone.testing.faults import Answer, FaultServer
from tests.builders import write_ct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from loadstone import ImageId, LoadContext

_log = logging.getLogger(__name__)

MIB = 2**20
BUDGET = 4 * MIB
SLACK = 8 * MIB
THREADS = 16
ANNOUNCED: tuple[type[Event], ...] = (
    ImageLoaded,
    ImageCached,
    ImageEvicted,
    LoadFinished,
    VolumeLoaded,
    VolumeCached,
    VolumeEvicted,
    VolumeModified,
)
SLICES, SIDE = 4, 192
LEFT = MIB // 16
"""What may be left where nothing should be: numpy and the libraries keep some small arrays."""
VOLUMES = 40
"""All volumes, and all images once more, are twice the budget and the slack together."""


@dataclass
class Names:
    """What can be loaded."""

    images: list[str] = field(default_factory=list)
    volumes: list[tuple[str, list[str] | None]] = field(default_factory=list)
    """An id, and the ids of its images where it is just a name."""


def noise(image_id: ImageId, context: LoadContext) -> Image:
    """Load ``noise:<volume>/<slice>``; every other volume comes in arrays of the loader's own."""
    volume, _, k = image_id.rest.partition("/")
    shape = SIDE, SIDE
    out = np.zeros(shape, "u2") if int(volume) % 2 else context.allocate(shape, "u2", image_id)
    out[...] = int(volume)
    return Image(out, plane=plane(float(k)))


def describe(image_ids: Sequence[ImageId], context: LoadContext) -> Mapping[ImageId, ModuleSet]:
    """Describe slices of noise."""
    pixel = ImagePixel(SIDE, SIDE, np.dtype("u2"))
    return {each: ModuleSet(plane(float(each.rest.partition("/")[2])), pixel) for each in image_ids}


@contextmanager
def toys(folder: Path) -> Iterator[Names]:
    """Give images and volumes of a loader that is registered meanwhile."""
    names = Names()
    for volume in range(VOLUMES):
        ids = [f"noise:{volume}/{k}" for k in range(SLICES)]
        names.images += ids
        names.volumes.append((f"toy{volume}", ids))
    with loadstone.register_image_loader("noise", ImageLoader("noise", noise, metadata=describe)):
        yield names


@contextmanager
def folders(folder: Path) -> Iterator[Names]:
    """Give folders of DICOM files."""
    names = Names()
    for volume in range(VOLUMES):
        place = folder / f"ct{volume}"
        place.mkdir()
        write_ct(place, (SLICES, SIDE, SIDE), seed=volume)
        names.images += [f"dicomfile:{place}/{k}.dcm" for k in range(SLICES)]
        names.volumes.append((f"dicomfile:{place}", None))
    yield names


@contextmanager
def files(folder: Path) -> Iterator[Names]:
    """Give NIfTI files, every other one compressed."""
    kind: Any = nib.Nifti1Image  # not annotated
    names = Names()
    for volume in range(VOLUMES):
        voxels = np.random.default_rng(volume).integers(0, 99, (SIDE, SIDE, SLICES), np.int16)
        path = folder / f"{volume}.nii{'.gz' if volume % 2 else ''}"
        kind(voxels, np.eye(4)).to_filename(path)
        names.images += [f"nifti:{path}?frame={k}" for k in range(SLICES)]
        names.volumes.append((f"nifti:{path}", None))
    yield names


def in_threads(work: Callable[[int], None]) -> None:
    """Run `work(n)` in many threads; raise what the first of them raised."""
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - raised below
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(6 * WAIT)
    if failures:
        raise failures[0]
    assert not any(thread.is_alive() for thread in threads)


def load_one(session: Session, names: Names, choice: random.Random) -> bool:
    """Load something and let go of it; say whether there was room."""
    try:
        if choice.random() < 0.3:
            volume_id, image_ids = choice.choice(names.volumes)
            session.load_volume(volume_id, image_ids=image_ids)
        else:
            session.load_image(choice.choice(names.images))
    except CacheFullError:
        return False
    return True


class Traced:
    """
    The bytes of numpy's arrays, as `tracemalloc` traces them, and the most that was allocated at once.

    `tracemalloc` keeps a peak only over everything, Python's objects included: an upper bound that misses no
    instant.
    """

    def __enter__(self) -> Self:
        gc.collect()
        tracemalloc.start()
        return self

    def __exit__(self, *_: object) -> None:
        tracemalloc.stop()

    @property
    def peak(self) -> int:
        """The most bytes of everything since it was entered."""
        return tracemalloc.get_traced_memory()[1]

    def now(self) -> int:
        """Return the bytes that numpy's arrays hold."""
        domain = np.lib.tracemalloc_domain
        return sum(trace.size for trace in tracemalloc.take_snapshot().traces if trace.domain == domain)

    def at_rest(self) -> int:
        """Return what they hold when nothing unreachable is counted."""
        gc.collect()
        return self.now()


@pytest.mark.parametrize("sources", [toys, folders, files])
def test_the_budget_holds_at_every_instant(sources: Callable[[Path], Any], tmp_path: Path) -> None:
    """16 threads load at random: counters within the budget at every event, memory within it and 8 MiB."""
    worst, events, full = [0], [0], [0]
    with sources(tmp_path) as names, Session(cache_bytes=BUDGET) as session:

        def look(_: object) -> None:
            stats = session.cache.stats()
            worst[0] = max(worst[0], stats.kept + stats.reserved)
            events[0] += 1

        for kind in ANNOUNCED:
            session.subscribe(kind, look)
        load_one(session, names, random.Random(0))  # imports the plugin
        with Traced() as memory:

            def work(number: int) -> None:
                choice = random.Random(number)
                full[0] += sum(not load_one(session, names, choice) for _ in range(40))

            in_threads(work)
            peak = memory.peak
            stats = session.cache.stats()
            in_use = memory.at_rest()
            session.close()
            left = memory.at_rest()
    _log.info(
        "%s: budget %d, counted at most %d, allocated %d, at the end %d, closed %d; %d events, %d full",
        *(sources.__name__, BUDGET, worst[0], peak, in_use, left, events[0], full[0]),
    )

    assert 0.9 * BUDGET < worst[0] <= BUDGET
    assert BUDGET / 2 < peak <= BUDGET + SLACK
    assert in_use <= BUDGET + LEFT
    assert (stats.reserved, stats.pinned) == (0, 0)
    assert events[0] > THREADS * 40
    assert full[0] < THREADS * 40 / 2
    assert left <= LEFT


def test_room_is_made_before_a_file_is_inflated(tmp_path: Path) -> None:
    """The slices of a compressed file are held together: what they evict is gone before they are there."""
    kind: Any = nib.Nifti1Image  # not annotated
    path = tmp_path / "zeros.nii.gz"
    kind(np.zeros((512, 512, 48), np.int16), np.eye(4)).to_filename(path)
    budget = 28 * MIB
    with toys(tmp_path), Session(cache_bytes=budget) as session:
        session.load_image(f"nifti:{path}?frame=0")  # imports the plugin
        session.cache.purge()
        with Traced():
            for number in range(budget // (2 * SIDE * SIDE)):
                session.load_image(f"noise:1/{number}")
            before = session.cache.stats().kept
            tracemalloc.reset_peak()
            session.load_image(f"nifti:{path}?frame=1")
            peak = tracemalloc.get_traced_memory()[1]

    assert before > 0.99 * budget
    assert peak <= budget + SLACK


ROOM = 20 * MIB
VOXELS = 32, 256, 256
"""4 MiB as bytes, 16 MiB as floats of 64 bits."""
LOADED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("i4", {"dtype": "u1"}),
    ("i4", {"dtype": "f4"}),
    ("i4", {"scaled": False}),
    ("i2", {"dtype": "u1"}),
    ("i2", {}),
    ("i2", {"dtype": "f8"}),
    ("u1", {"dtype": "f4"}),
    ("f8", {"dtype": "f4"}),
)


def a_file(folder: Path, stored: str, suffix: str) -> str:
    """Return the id of a NIfTI file."""
    kind: Any = nib.Nifti1Image  # not annotated
    path = folder / f"{stored}.nii{suffix}"
    if not path.exists():
        image = kind(np.ones(VOXELS[::-1], stored), np.eye(4))
        image.header.set_slope_inter(1, 0)
        image.to_filename(path)
    return f"nifti:{path}"


def a_stack(stored: str, *, own: bool = False) -> tuple[ImageLoader, list[str]]:
    """Return a loader of slices that are scaled, and their ids."""
    scaling = Scaling(2.0, 1.0)

    def load(image_id: ImageId, context: LoadContext) -> Image:
        out = np.ones(VOXELS[1:], stored) if own else context.allocate(VOXELS[1:], stored, image_id)
        out[...] = 1
        return Image(out, scaling.slope, scaling.intercept, plane=plane(float(image_id.rest)))

    def described(image_ids: Sequence[ImageId], context: LoadContext) -> Mapping[ImageId, ModuleSet]:
        pixel = ImagePixel(*VOXELS[1:], np.dtype(stored))
        return {each: ModuleSet(plane(float(each.rest)), pixel, scaling) for each in image_ids}

    return ImageLoader("slice", load, metadata=described), [f"slice:{k}" for k in range(VOXELS[0])]


def peak_of(session: Session, load: Callable[[], object]) -> int:
    """Return the most that was allocated while something was loaded into a cache full of images."""
    with Traced() as memory:
        for number in range(ROOM // (2 * SIDE * SIDE)):
            session.load_image(f"noise:1/{number}")
        with suppress(CacheFullError):
            load()
        return memory.peak


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(("stored", "options"), LOADED)
def test_no_dtype_takes_a_block_beside_the_budget(
    stored: str, options: dict[str, Any], suffix: str, tmp_path: Path
) -> None:
    """A volume, and an image, of a file, narrower or wider than what is stored: charged, or refused."""
    name = a_file(tmp_path, stored, suffix)
    with toys(tmp_path), Session(cache_bytes=ROOM) as session:
        session.load_volume(name, cache=False)  # imports the plugin
        volume = peak_of(session, lambda: session.load_volume(name, **options))
        image = peak_of(session, lambda: session.load_image(f"{name}?frame=0", **options))

    assert volume <= ROOM + SLACK
    assert image <= ROOM + SLACK


@pytest.mark.parametrize("own", [False, True], ids=["allocated", "its own"])
@pytest.mark.parametrize(("stored", "options"), LOADED)
def test_no_stack_takes_memory_beside_the_budget(
    stored: str, options: dict[str, Any], own: bool, tmp_path: Path
) -> None:
    """Slices whose stored values do not fit into their place, many at a time: charged, or refused."""
    loader, ids = a_stack(stored, own=own)
    with toys(tmp_path), Session(cache_bytes=ROOM) as session:
        session.registry.register_image_loader("slice", loader)
        session.load_volume("two of them", image_ids=ids[:2], cache=False)  # imports what volumes need
        volume = peak_of(session, lambda: session.load_volume("stack", image_ids=ids, **options))

    assert volume <= ROOM + SLACK


@pytest.mark.parametrize("own", [False, True], ids=["allocated", "its own"])
def test_a_loader_without_metadata_needs_no_second_budget(own: bool, tmp_path: Path) -> None:
    """Its images are loaded to learn what they are; where the block has no room beside them, once more."""
    loader, ids = a_stack("u2", own=own)
    budget = 6 * MIB
    loads = list[str]()

    def load(image_id: ImageId, context: LoadContext) -> Image:
        loads.append(image_id)
        image = loader.load(image_id, context)
        assert isinstance(image, Image)
        return image

    with toys(tmp_path), Session(cache_bytes=budget) as session:
        session.registry.register_image_loader("slice", load)
        session.load_volume("two of them", image_ids=ids[:2], cache=False)  # imports what volumes need
        loads.clear()
        with Traced() as memory:
            volume = session.load_volume("stack", image_ids=ids, dtype="u2")
            peak = memory.peak
        stats = session.cache.stats()

    assert volume.array.min() == volume.array.max() == 3
    assert peak <= budget + SLACK
    assert (stats.kept, stats.reserved) == (volume.nbytes, 0)
    assert sorted(loads) == sorted(2 * ids)


@pytest.mark.parametrize("as_volume", [False, True], ids=["image", "volume"])
def test_arrays_of_the_loaders_own_make_room(as_volume: bool) -> None:
    """They are charged when they are returned, and evict what is kept; alone they may be all there is."""
    charged = list[int]()

    def load(image_id: ImageId, context: LoadContext) -> Image:
        return Image(np.full((1024, 1024), 1, "u2"), plane=plane(float(image_id.rest)))

    pixel = ImagePixel(1024, 1024, np.dtype("u2"))
    loader = ImageLoader(
        "own", load, metadata=lambda ids, _: {each: ModuleSet(plane(float(each.rest)), pixel) for each in ids}
    )
    with Session(cache_bytes=6 * MIB, host_permits=1, compute_permits=1) as session:
        session.registry.register_image_loader("own", loader)
        session.load_image("own:8")
        session.load_image("own:9")
        session.subscribe(ImageEvicted, lambda _: charged.append(session.cache.stats().reserved))
        if as_volume:
            session.load_volume("two", image_ids=["own:1", "own:2"])
        else:
            session.load_image("own:1")
        stats = session.cache.stats()
    with Session(cache_bytes=2 * MIB) as session:
        session.registry.register_image_loader("own", loader)
        alone = session.load_image("own:1")

    assert charged
    assert stats.reserved == 0
    assert alone.nbytes == 2 * MIB


def test_images_of_rising_quality_are_charged(tmp_path: Path) -> None:
    """What is shown on the way is of the budget; without room for it the final image comes all the same."""
    shape = 1024, 1024
    charged: list[int] = []

    def rising(image_id: ImageId, context: LoadContext) -> Iterator[Image]:
        out = context.allocate(shape, "u2")
        for quality in (Quality.SUBRESOLUTION, Quality.LOSSY, Quality.FULL):
            charged.append(context.session.cache.stats().reserved)
            yield Image(out, quality=quality)

    for budget, expected in (10 * MIB, [2, 4, 4]), (3 * MIB, [2, 2, 2]):
        charged.clear()
        with Session(cache_bytes=budget) as session:
            session.registry.register_image_loader("rising", rising)
            image = session.load_image("rising:1")
            stats = session.cache.stats()

        assert image.quality is Quality.FULL
        assert charged == [each * MIB for each in expected]
        assert (stats.reserved, stats.kept) == (0, 2 * MIB)


@pytest.mark.parametrize("as_source", [False, True])
def test_a_body_is_charged_while_it_arrives(as_source: bool) -> None:
    """What is fetched makes room before it is there, once; a body that does not fit is refused."""
    size = 2 * MIB
    reserved: list[int] = []

    class Body(bytes):
        nbytes = size

        def close(self) -> None:
            """Nothing is open."""

    def load(image_id: ImageId, context: LoadContext) -> Image:
        def fetch() -> Body:
            body = Body(context.fetch(image_id.rest).body)
            reserved.append(context.session.cache.stats().reserved)
            return body

        body = context.source(image_id, fetch) if as_source else fetch()
        return Image(np.full((1, 1), body[0], "u1"))

    with FaultServer() as server:
        url = server.plan("/body", Answer(body=b"\1" * size))
        with Session(cache_bytes=3 * MIB) as session:
            session.registry.register_image_loader("body", load)
            session.load_image(f"body:{url}")
            stats = session.cache.stats()
        with Session(cache_bytes=MIB) as session:
            session.registry.register_image_loader("body", load)
            with pytest.raises(CacheFullError):
                session.load_image(f"body:{url}")

    assert reserved == [size]
    assert (stats.reserved, stats.kept) == (0, 1 + size * as_source)
