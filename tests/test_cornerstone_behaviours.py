"""
What the tests of Cornerstone3D say about streamed volumes, loaders, events and metadata, held against ours.

Each docstring says the behaviour and, where ours differs ("here"), why. Not here: checks of arguments;
progressive retrieval, which belongs to the tests of volumes.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pytest

import loadstone
from core.tests.builders import WAIT, plane
from loadstone import (
    DecodeError,
    Image,
    MetadataProvider,
    Quality,
    Session,
    UnknownSchemeError,
    Volume,
)
from loadstone.events import ImageLoaded, VolumeCached, VolumeModified
from loadstone.metadata import ImagePixel, Module, Scaling
from tests.cornerstone import Flat, kept, registered, sized, slices

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadstone import ImageId, LoadContext

M = TypeVar("M", bound=Module)


@pytest.fixture
def flat() -> Iterator[Flat]:
    """Give the loader of ``flat:``."""
    with registered() as loader:
        yield loader


class TestStreamedVolumes:
    """Its StreamingImageVolume_test.js."""

    def test_every_voxel_is_that_of_its_image(self, flat: Flat) -> None:
        """Once all have arrived; each is announced once."""
        arrived: list[int] = []
        with Session() as session:
            session.subscribe(VolumeModified, lambda event: arrived.extend(event.indices))
            volume = session.load_volume("stack", image_ids=slices(5))

            assert volume.array[:, 0, 0].tolist() == [1, 2, 3, 4, 5]
            assert sorted(arrived) == [0, 1, 2, 3, 4]

    def test_a_released_volume_leaves_no_images(self, flat: Flat) -> None:
        """Volume and bytes are gone, and its images were never entries of their own."""
        with Session() as session:
            volume = session.create_volume("stack", image_ids=slices(5))
            before = kept(session)
            session.release(volume)
            stats = session.cache.stats()

            assert (before, stats.kept, stats.entries) == (50_000, 0, 0)

    def test_images_of_a_volume_need_no_loader(self, flat: Flat) -> None:
        """
        After it is loaded, its images are there. There they are copies, and count again (100,000); here they
        are views of the volume, which counts once.
        """
        with Session() as session:
            volume = session.load_volume("stack", image_ids=slices(5))
            flat.asked.clear()
            images = [session.load_image(each) for each in slices(5)]

            assert (flat.asked, kept(session)) == ([], 50_000)
            assert np.all(images[3].pixels == 4)
            assert np.shares_memory(images[3].pixels, volume.array)

    def test_images_that_are_cached_are_not_asked_for_again(self, flat: Flat) -> None:
        """
        The intention of a test that is commented out: a volume over cached images queues no request. The
        images then become views of it, as `enableCacheOptimization` does there, and never count twice.
        """
        with Session() as session:
            images = [session.load_image(each) for each in slices(5)]
            before, flat.asked = kept(session), []
            volume = session.load_volume("stack", image_ids=slices(5))
            again = session.load_image(slices(5)[0])

            assert (flat.asked, before, kept(session)) == ([], 50_000, 50_000)
            assert (volume.array[0, 0, 0], volume.array[4, 0, 0]) == (1, 5)
            assert np.shares_memory(again.pixels, volume.array)
            assert np.array_equal(images[0].pixels, again.pixels)

    def test_a_volume_of_cached_images_converts_where_that_is_exact(self, flat: Flat) -> None:
        """
        There a dtype other than the volume's makes a converted copy of the whole volume. Here each image is
        converted into its slice, and stays what it is for whoever asks for it as before.
        """
        with Session() as session:
            image = session.load_image(slices(5)[1])
            volume = session.load_volume("stack", image_ids=slices(5), dtype="f4")
            again = session.load_image(slices(5)[1])

        assert flat.asked.count("slice2") == 1
        assert again is image
        assert (volume.dtype, volume.array[1, 0, 0]) == (np.dtype("f4"), 2)

    def test_a_removed_volume_may_leave_its_images(self, flat: Flat) -> None:
        """`decache()` keeps them as images of their own, as many as fit; they are found without a loader."""
        with Session(cache_bytes=80_000) as session:
            volume = session.create_volume("stack", image_ids=slices(5))
            flat.asked.clear()
            session.release(volume, keep_images=True)
            left = kept(session)
            image = session.load_image(slices(5)[0])

            assert (left, flat.asked) == (30_000, [])
            assert not np.shares_memory(image.pixels, volume.array)

    def test_a_local_volume_is_cut_into_views(self) -> None:
        """
        Its slices have ids of their own. There all of them have the origin of the first (a defect); here each
        lies where it is. The array is copied here, so that nobody else's changes reach the cache.
        """
        with Session() as session:
            affine = np.diag([0.5, 0.5, 2.0, 1.0])
            array = np.arange(24, dtype="i2").reshape(2, 3, 4)
            volume = session.create_local_volume(array, "local:mine", affine=affine)
            image = session.load_image(volume.image_ids[1])

            assert np.shares_memory(image.pixels, volume.array)
            assert image.plane.image_position_patient == (0.0, 0.0, 2.0)
            assert kept(session) == 48

    def test_a_derived_volume_lies_where_its_reference_does(self, flat: Flat) -> None:
        """Zeros; a label map has a byte for each voxel. It hides no other volume from requests for images."""
        with Session() as session:
            volume = session.load_volume("stack", image_ids=slices(5))
            labels = session.create_labelmap_volume(volume)
            image = session.load_image(slices(5)[0])

            assert np.array_equal(labels.affine(), volume.affine())
            assert (labels.dtype, labels.array.any()) == (np.dtype("u1"), np.False_)
            assert np.shares_memory(image.pixels, volume.array)

    def test_one_image_that_fails_does_not_lose_the_others(self, flat: Flat) -> None:
        """
        Loading does not raise, and the failed one is zero. Here it raises, since nobody would notice; the
        error carries the volume, and `errors="collect"` gives it without raising.
        """
        flat.failing = {"slice3"}
        with Session() as session:
            with pytest.raises(DecodeError, match="simulated loader error") as caught:
                session.load_volume("stack", image_ids=slices(5))
            collected = session.load_volume("stack", image_ids=slices(5), errors="collect")

            assert caught.value.missing == (2,)
            assert isinstance(caught.value.volume, Volume)
            assert caught.value.volume.array[:, 0, 0].tolist() == [1, 2, 0, 4, 5]
            assert (collected.missing, kept(session)) == ((2,), 0)

    def test_a_volume_of_images_of_an_unknown_scheme(self) -> None:
        """The loader for unknown schemes serves its images; the callback hears of all five."""
        done: list[int] = []

        def unknown(image_id: ImageId, context: LoadContext) -> Image:
            out = context.allocate((256, 256), "u1", image_id)
            out[...] = 20
            return Image(out, plane=plane(float(image_id.rest)))

        before = loadstone.register_unknown_image_loader(unknown)
        try:
            with Session() as session:
                ids = [f"nobody-knows:{n}" for n in range(5)]
                volume = session.create_volume(
                    "stack", image_ids=ids, progress=lambda each: done.append(each.done)
                )
        finally:
            loadstone.register_unknown_image_loader(before)

        assert volume.shape == (5, 256, 256)
        assert done[-1] == 5
        assert np.all(volume.array == 20)


class TestRegistration:
    """Its imageLoader_test.js."""

    def test_the_fall_back_is_exchanged(self, flat: Flat) -> None:
        """Registering returns the one before; the last one loads what nobody else knows."""
        other = Flat()
        first = loadstone.register_unknown_image_loader(flat.load)
        try:
            second = loadstone.register_unknown_image_loader(other.load)
            with Session() as session:
                session.load_image("nobody-knows:a/2/2/7")
        finally:
            third = loadstone.register_unknown_image_loader(first)
        with Session() as session, pytest.raises(UnknownSchemeError):
            session.load_image("nobody-knows:a/2/2/7")

        assert (first, second, third) == (None, flat.load, other.load)
        assert (flat.asked, other.asked) == ([], ["a"])

    def test_loading_without_the_cache_leaves_it_alone(self, flat: Flat) -> None:
        """The image comes, the cache does not keep it; `load_image` caches unless told otherwise."""
        with Session() as session:
            image = session.load_image(sized("a", 5), cache=False)

            assert (image.nbytes, kept(session)) == (5, 0)


class TestResultsInSteps:
    """Its tests of ProgressiveIterator, which is `LoadObject.partials` here."""

    def test_a_quick_consumer_gets_each(self) -> None:
        """All that were produced, in order."""
        taken = threading.Semaphore(0)

        def steps(image_id: ImageId, context: LoadContext) -> Iterator[Image]:
            for value, quality in ((0, Quality.SUBRESOLUTION), (1, Quality.LOSSY), (2, Quality.FULL)):
                yield Image(np.full((2, 2), value, "u1"), quality=quality)
                assert quality is Quality.FULL or taken.acquire(timeout=WAIT)

        seen = []
        with loadstone.register_image_loader("steps", steps), Session() as session:
            for image in session.request_image("steps:1").partials():
                seen.append(int(image.pixels[0, 0]))
                taken.release()

        assert seen == [0, 1, 2]

    def test_a_slow_consumer_misses_what_was_overtaken(self) -> None:
        """Never the last one."""
        taken = threading.Event()

        def steps(image_id: ImageId, context: LoadContext) -> Iterator[Image]:
            yield Image(np.full((2, 2), 8, "u1"), quality=Quality.SUBRESOLUTION)
            assert taken.wait(WAIT)
            yield Image(np.full((2, 2), 12, "u1"), quality=Quality.LOSSY)
            yield Image(np.full((2, 2), 20, "u1"))

        seen = []
        with loadstone.register_image_loader("steps", steps), Session() as session:
            handle = session.request_image("steps:1")
            for image in handle.partials():
                seen.append(int(image.pixels[0, 0]))
                taken.set()
                handle.exception(WAIT)

        assert seen == [8, 20]


class TestEvents:
    """Its tests of event targets."""

    def test_a_listener_is_called_with_the_event(self, flat: Flat) -> None:
        """Here an event is a value of its own type, and each session has its own."""
        events: list[ImageLoaded | VolumeCached] = []
        with Session() as session, Session() as other:
            session.subscribe(ImageLoaded, events.append)
            session.subscribe(VolumeCached, events.append)
            other.load_image(sized("a", 3))
            image = session.load_image(sized("a", 3))

            assert events == [ImageLoaded(image)]

    def test_one_that_leaves_while_it_is_called_disturbs_no_other(self, flat: Flat) -> None:
        """All three are called; from the next event on, two."""
        called: list[str] = []
        with Session() as session, ExitStack() as subscriptions:

            def leaving(_: ImageLoaded) -> None:
                called.append("second")
                subscriptions.close()

            session.subscribe(ImageLoaded, lambda _: called.append("first"))
            subscriptions.enter_context(session.subscribe(ImageLoaded, leaving))
            session.subscribe(ImageLoaded, lambda _: called.append("third"))
            session.load_image(sized("a", 1))
            session.load_image(sized("b", 1))

        assert called == ["first", "second", "third", "first", "third"]


def slope(value: float, priority: int = 0) -> MetadataProvider:
    """Return a provider that says how values are scaled."""

    def get(image_id: ImageId, kind: type[M]) -> M | None:
        scaling = Scaling(slope=value)
        return scaling if isinstance(scaling, kind) else None

    return MetadataProvider(f"slope {value:g}", get, priority)


class TestMetadata:
    """Its tests of metadata providers."""

    def test_the_provider_of_highest_priority_is_asked_first(self, flat: Flat) -> None:
        """And the first that knows something answers; what nobody overrides the loader says."""
        with Session() as session:
            session.metadata.add_provider(slope(2.0))
            session.metadata.add_provider(slope(1.0, priority=1000))
            session.metadata.add_provider(slope(3.0))
            scaling = session.metadata.get(sized("a", 4), Scaling)
            pixel = session.metadata.get(sized("a", 4), ImagePixel)

        assert scaling is not None
        assert scaling.slope == 1.0
        assert pixel is not None
        assert pixel.columns == 4

    def test_without_providers_nobody_knows(self, flat: Flat) -> None:
        """Once they are removed, what the loader does not know is None."""
        providers = [slope(1.0), slope(2.0)]
        with Session() as session:
            for provider in providers:
                session.metadata.add_provider(provider)
            for provider in providers:
                session.metadata.remove_provider(provider)

            assert session.metadata.get(sized("a", 4), Scaling) is None

    def test_what_is_written_is_read(self, flat: Flat) -> None:
        """None before, the value after; it wins over every provider."""
        image_id = sized("a", 4)
        with Session() as session:
            before = session.metadata.get(image_id, Scaling)
            session.metadata.set(image_id, Scaling(slope=5.0))
            session.metadata.add_provider(slope(1.0, priority=1000))

            assert (before, session.metadata.get(image_id, Scaling)) == (None, Scaling(slope=5.0))

    def test_what_is_written_twice_is_what_was_written_last(self, flat: Flat) -> None:
        """
        The first value stays, with a warning. Here the last one counts, since a calibration must be
        correctable; `forget` takes it back.
        """
        image_id = sized("a", 4)
        with Session() as session:
            session.metadata.set(image_id, Scaling(slope=5.0))
            session.metadata.set(image_id, Scaling(slope=6.0))
            written = session.metadata.get(image_id, Scaling)
            session.metadata.forget(image_id)

            assert (written, session.metadata.get(image_id, Scaling)) == (Scaling(slope=6.0), None)
