"""Images and volumes that a program makes itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from core.tests.builders import Stack, make_session, plane
from loadstone import (
    CacheFullError,
    GeometryError,
    Image,
    InvalidIdError,
    LoadstoneError,
    PluginContractError,
)
from loadstone.events import ImageCached, ImageEvicted, VolumeCached, VolumeEvicted
from loadstone.metadata import ImagePixel, ImagePlane, Scaling

if TYPE_CHECKING:
    from loadstone import Session, Volume

AFFINE = np.diag([0.5, 0.75, 3.0, 1.0])


def voxels(shape: tuple[int, ...] = (2, 3, 4), dtype: str = "i2") -> Any:
    """Return an array of different values."""
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def loaded(session: Session, **options: Any) -> Volume:
    """Return a volume of three slices that a plugin loads."""
    stack = Stack(range(3), **options)
    session.registry.register_image_loader("slices", stack.loader(), replace=True)
    return session.load_volume("streaming:all", image_ids=stack.ids)


class TestLocalVolumes:
    def test_it_is_a_volume_like_any_other(self) -> None:
        """Its voxels are a copy of the array, which counts in the budget; geometry as it was said."""
        array = voxels()
        with make_session() as session:
            volume = session.create_local_volume(array, "local:mine", affine=AFFINE, units="HU")
            array[...] = 0
            stats = session.cache.stats()

            assert session.load_volume("local:mine") is volume
            assert (stats.kept, stats.pinned, stats.reserved) == (48, 48, 0)
        assert np.array_equal(volume.array, voxels())
        assert (volume.axes, volume.spacing, volume.units) == (("k", "j", "i"), (0.5, 0.75, 3.0), "HU")
        assert np.array_equal(volume.affine(), AFFINE)
        assert volume.image_ids == ("local:mine?frame=0", "local:mine?frame=1")

    def test_its_array_is_the_programs_own(self) -> None:
        """What is written to it is seen by whoever loads the id, in whatever dtype."""
        with make_session() as session:
            volume = session.create_local_volume(voxels(), "local:mine")
            image = session.load_image("local:mine?frame=1")
            volume.array[1] = 77
            other = session.load_volume("local:mine", dtype="f4")
            single = session.load_image("local:mine?frame=1", dtype="f8")

        assert image.pixels[0, 0] == 77
        assert not image.pixels.flags.writeable
        assert other.dtype == np.float32
        assert other.array[1, 0, 0] == 77
        assert single.pixels.dtype == np.float64
        assert single.pixels[2, 3] == 77

    def test_where_nothing_is_said_nothing_is_made_up(self) -> None:
        """The place is unknown; the spacing may be known without it."""
        with make_session() as session:
            volume = session.create_local_volume(voxels(), spacing=(1.0, 2.0, None))

            assert volume.spacing == (1.0, 2.0, None)
            with pytest.raises(GeometryError, match="place in space is unknown"):
                volume.affine()

    @pytest.mark.parametrize(
        ("shape", "axes", "expected"),
        [
            ((2, 2, 3, 4), None, ("t", "k", "j", "i")),
            ((2, 3, 4, 3), ("k", "j", "i", "rgb"), ("k", "j", "i", "rgb")),
        ],
    )
    def test_more_axes(self, shape: tuple[int, ...], axes: Any, expected: tuple[str, ...]) -> None:
        """Time by default, colour when it is named."""
        with make_session() as session:
            volume = session.create_local_volume(voxels(shape, "u1"), axes=axes)
            again = session.load_volume(volume.volume_id, dtype="f4")
            image = session.load_image(volume.image_ids[-1])

        assert volume.axes == expected
        assert np.array_equal(again.array, voxels(shape, "u1"))
        assert np.array_equal(image.pixels, volume.array.reshape(-1, *image.pixels.shape)[-1])
        assert image.photometric_interpretation == ("RGB" if axes else "MONOCHROME2")

    def test_released_it_is_gone(self) -> None:
        """And its bytes are free; loading it says so."""
        events: list[str] = []
        with make_session() as session:
            for kind in (VolumeCached, VolumeEvicted):
                session.subscribe(kind, lambda event: events.append(type(event).__name__))
            volume = session.create_local_volume(voxels(), "local:mine")
            session.release(volume)

            assert session.cache.stats().kept == 0
            for load in (session.load_volume, session.load_image):
                with pytest.raises(InvalidIdError, match="no local image or volume"):
                    load("local:mine")
        assert events == ["VolumeCached", "VolumeEvicted"]

    def test_it_is_never_evicted(self) -> None:
        """What does not fit beside it is refused; what does not fit itself, too."""
        with make_session(cache_bytes=80) as session:
            volume = session.create_local_volume(voxels())
            for _ in range(2):
                with pytest.raises(CacheFullError):
                    session.load_image("number:1")
                with pytest.raises(CacheFullError):
                    session.create_local_volume(voxels())

            assert session.load_volume(volume.volume_id) is volume
            assert session.cache.stats().reserved == 0

    def test_in_a_file_it_takes_nothing_of_the_budget(self) -> None:
        """It stays until it is released all the same."""
        with make_session(cache_bytes=10) as session:
            session.create_local_volume(voxels(), "local:mine", allocate="file")

            assert np.array_equal(session.load_volume("local:mine").array, voxels())
            assert session.cache.stats().kept == 0

    @pytest.mark.parametrize(
        ("arguments", "options", "message"),
        [
            ((np.zeros((3, 4)),), {}, "2 dimensions"),
            ((np.zeros((2, 3, 4)),), {"axes": ("k", "j")}, "axes"),
            ((np.zeros((2, 3, 4)), "mine"), {}, "no scheme"),
            ((np.zeros((2, 3, 4)), "nifti:mine"), {}, "no name of a local"),
            ((np.zeros((2, 3, 4)), "local:a?b"), {}, "no name of a local"),
            ((np.array([[["a"]]]),), {}, "dtype"),
            ((np.zeros((0, 3, 4)),), {}, "shape"),
        ],
    )
    def test_nonsense_is_refused(
        self, arguments: tuple[Any, ...], options: dict[str, Any], message: str
    ) -> None:
        """At once, with nothing left behind."""
        with make_session() as session:
            with pytest.raises(LoadstoneError, match=message):
                session.create_local_volume(*arguments, **options)

            assert (session.cache.stats().kept, session.cache.stats().reserved) == (0, 0)

    def test_a_name_is_given_once(self) -> None:
        """A second volume of that name is refused, until the first is released."""
        with make_session() as session:
            volume = session.create_local_volume(voxels(), "local:mine")
            with pytest.raises(LoadstoneError, match="already"):
                session.create_local_volume(voxels(), "local:mine")
            session.release(volume)
            session.create_local_volume(voxels(), "local:mine")


class TestDerivedVolumes:
    def test_it_lies_where_the_other_one_does(self) -> None:
        """Zeros of the same dtype, geometry and metadata of the slices."""
        with make_session() as session:
            volume = loaded(session)
            derived = session.create_derived_volume(volume)
            image = session.load_image(derived.image_ids[2])
            described = session.metadata.get(derived.image_ids[2], ImagePlane)

        assert (derived.shape, derived.dtype, derived.axes) == (volume.shape, volume.dtype, volume.axes)
        assert np.array_equal(derived.affine(), volume.affine())
        assert not derived.array.any()
        assert image.plane == described == plane(6.0)

    def test_a_label_map_has_a_byte_for_each_voxel(self) -> None:
        """Also for colours; it is written to, and what it lies over stays as it is."""
        with make_session() as session:
            volume = loaded(session, shape=(4, 5, 3), dtype="u1")
            labels = session.create_labelmap_volume(volume, volume_id="local:labels")
            labels.array[1, 2, 3] = 5

        assert labels.dtype == np.uint8
        assert (labels.shape, labels.axes) == ((3, 4, 5), ("k", "j", "i"))
        assert (int(labels.array.sum()), volume.array.max()) == (5, 2)

    def test_of_another_dtype(self) -> None:
        """Any number type."""
        with make_session() as session:
            assert session.create_derived_volume(loaded(session), dtype="f4").dtype == np.float32
            with pytest.raises(LoadstoneError, match="no integer or float"):
                session.create_derived_volume(loaded(session), dtype="U3")


class TestLocalImages:
    def test_it_is_an_image_like_any_other(self) -> None:
        """A copy of the pixels, of the budget, found by its id, and written to."""
        pixels, events = voxels((3, 4), "u2"), list[str]()
        with make_session() as session:
            for kind in (ImageCached, ImageEvicted):
                session.subscribe(kind, lambda event: events.append(type(event).__name__))
            image = session.create_local_image(Image(pixels, plane=plane(1.0), units="mm"), "local:mine")
            pixels[...] = 0
            image.pixels[0, 0] = 9
            same, wide = session.load_image("local:mine"), session.load_image("local:mine", dtype="f4")
            described = (
                session.metadata.get("local:mine", ImagePixel),
                session.metadata.get("local:mine", Scaling),
            )
            stats = session.cache.stats()
            session.release(image)
            told = list(events)
            with pytest.raises(InvalidIdError, match="no local image"):
                session.load_image("local:mine", cache=False)

        assert same is image
        assert (wide.pixels[0, 0], image.pixels[2, 3], image.plane) == (9, 11, plane(1.0))
        assert (stats.pinned, stats.reserved) == (24, 0)
        assert [*described] == [ImagePixel(3, 4, np.dtype("u2")), Scaling(units="mm")]
        assert told == ["ImageCached", "ImageCached", "ImageEvicted"]

    def test_one_with_slope_is_scaled(self) -> None:
        """As one that a loader gives."""
        with make_session() as session:
            image = session.create_local_image(Image(voxels((3, 4)), slope=2.0, intercept=1.0))

        assert (image.pixels[0, 1], image.scaled) == (3, True)

    def test_a_label_map_lies_where_its_image_does(self) -> None:
        """One byte a pixel, 0."""
        with make_session() as session:
            loaded(session)
            image = session.load_image("slices:2")
            labels = session.create_labelmap_image(image)
            blank = session.create_derived_image(image, dtype="f4", image_id="local:blank")
            labels.pixels[1, 1] = 3
            found = session.load_image(labels.image_id)

        assert found.pixels.dtype == np.uint8
        assert (found.pixels.sum(), found.plane) == (3, image.plane)
        assert blank.pixels.dtype == np.float32
        assert blank.image_id == "local:blank"

    def test_images_make_a_volume(self) -> None:
        """Local images of one size are slices like any others; no file is read."""
        with make_session() as session:
            images = [
                session.create_local_image(Image(voxels((3, 4)) + k, plane=plane(2.0 * k))) for k in range(3)
            ]
            volume = session.load_volume("stack", image_ids=[each.image_id for each in reversed(images)])

        assert volume.array[:, 0, 0].tolist() == [0, 1, 2]
        assert volume.spacing[2] == 2.0

    def test_nonsense_is_refused(self) -> None:
        """What is no image, a name that is taken, an index beyond the volume."""
        with make_session() as session:
            session.create_local_image(voxels((3, 4)), "local:mine")
            session.create_local_volume(voxels(), "local:volume")
            with pytest.raises(PluginContractError):
                session.create_local_image(np.zeros((2, 2, 2, 2)))
            with pytest.raises(LoadstoneError, match="already"):
                session.create_local_image(voxels((3, 4)), "local:mine")
            with pytest.raises(InvalidIdError, match="has 2 images"):
                session.load_image("local:volume?frame=2")
