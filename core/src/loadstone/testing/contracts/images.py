"""The contract of loaders of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from loadstone.ids import ImageId
from loadstone.image_loading import answered, checked_image
from loadstone.image_requests import load_modules
from loadstone.metadata import ImagePixel, ImagePlane, Scaling
from loadstone.testing.contracts.arrays import ArrayChecks
from loadstone.testing.contracts.errors import ErrorChecks
from loadstone.testing.contracts.loaders import override
from loadstone.testing.contracts.memory import LEAST_BYTES, SLACK_BYTES, array_memory
from loadstone.testing.contracts.remote import LeftoverChecks, RemoteChecks
from loadstone.testing.contracts.subject import Subject, image_loader, in_a_load, stored_image

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from loadstone.context import LoadContext
    from loadstone.image import Image
    from loadstone.session import Session
    from loadstone.shared_load import SharedLoad

__all__ = ["ImageLoaderContract"]


class ImageLoaderContract(ArrayChecks, ErrorChecks, RemoteChecks, LeftoverChecks):
    """
    What every loader of images must do; derive a class ``Test…`` from it and override its fixtures.

    `image_id` and `expected` are needed always, `missing_image_id` unless ``can_be_missing = False``,
    `server` if ``is_remote = True``. A check of something that the loader does not have is skipped, and says
    why.

    Examples
    --------
    >>> class TestAcme(ImageLoaderContract):
    ...     can_be_missing = False
    ...
    ...     @pytest.fixture
    ...     def image_id(self):
    ...         return "acme:1"
    ...
    ...     @pytest.fixture
    ...     def expected(self):
    ...         return np.zeros((256, 256), np.int16)
    """

    @pytest.fixture
    def image_id(self) -> str:
        """Override: the id of an image, best of 64 KiB or more, so that memory can be counted."""
        override("image_id", "the id of an image")

    @pytest.fixture
    def image_ids(self, image_id: str) -> list[str]:
        """Override: several ids that the loader can load at once; default: `image_id` alone."""
        return [image_id]

    @pytest.fixture
    def missing_image_id(self) -> str:
        """Override unless ``can_be_missing = False``: an id of an image that is not there."""
        override("missing_image_id", "an id of an image that is not there")

    @pytest.fixture
    def malformed_image_id(self, image_id: str) -> str:
        """Override: an id that makes no sense; default: the scheme with nothing behind it."""
        return f"{ImageId(image_id).scheme}:"

    @pytest.fixture
    def subject(self, image_id: str) -> Subject:
        """Return what the checks load."""
        return Subject("image", image_id)

    def test_nbytes_is_true(self, loadable: Subject, new_session: Callable[[], Session]) -> None:
        """`Image.nbytes`, by which the cache counts, is the size of the pixels."""
        with new_session() as session:
            loaded = loadable.load(session)

        assert loaded.nbytes == np.asarray(loaded).nbytes

    def test_output_is_made_once(self, loadable: Subject, new_session: Callable[[], Session]) -> None:
        """When the loader hands over, its pixels are the only array: from `context.allocate`, or its own."""
        partials: list[object] = []
        with new_session() as session, array_memory() as living:
            image, held = _measured(session, loadable.id, living, partials.append)
            sources = session.cache.stats().kept
        if partials:
            pytest.skip("what is refined in steps may need scratch memory")
        if image.nbytes < LEAST_BYTES:
            pytest.skip(
                f"{image.nbytes:,} bytes do not stand out: give an image_id of {LEAST_BYTES:,} or more"
            )
        assert held <= image.pixels.nbytes + sources + SLACK_BYTES, (
            f"arrays of {held:,} bytes live when pixels of {image.pixels.nbytes:,} are handed over; decode "
            "into what context.allocate gives, or return your own array and allocate none"
        )

    def test_stored_bounds_hold(
        self, loadable: Subject, new_session: Callable[[], Session], image_ids: list[str]
    ) -> None:
        """No stored value lies outside of `stored_bounds`, for which the loader vouches."""
        with new_session() as session:
            images = [stored_image(session, each) for each in image_ids]
        vouched = [(image, image.stored_bounds) for image in images if image.stored_bounds is not None]
        if not vouched:
            pytest.skip("the loader vouches for no bounds")

        for image, (least, most) in vouched:
            assert least <= image.pixels.min(), image.image_id
            assert image.pixels.max() <= most, image.image_id

    def test_sessions_share_no_pixels(self, loadable: Subject, new_session: Callable[[], Session]) -> None:
        """No pixels are kept in the module: two sessions get memory of their own."""
        with new_session() as one, new_session() as other:
            first, second = stored_image(one, loadable.id), stored_image(other, loadable.id)

        assert not np.may_share_memory(first.pixels, second.pixels), (
            "the loader gave two sessions the same array; keep it per session, with context.source"
        )

    def test_partial_images_never_get_worse(
        self, loadable: Subject, new_session: Callable[[], Session]
    ) -> None:
        """Each image that is yielded is nearer to the last one, and the last one is that of a plain load."""
        copies: list[npt.NDArray[Any]] = []
        with new_session() as session:
            last = stored_image(session, loadable.id, lambda partial: copies.append(partial.pixels.copy()))
            *_, streamed = loadable.request(session).partials()
        if not copies:
            pytest.skip("the loader yields no partial images")
        with new_session() as session:
            plain = loadable.copy(session)

        distances = [_distance(each, last.pixels) for each in copies if each.shape == last.pixels.shape]
        assert distances == sorted(distances, reverse=True), f"distances from the last one: {distances}"
        np.testing.assert_array_equal(streamed, plain)

    def test_load_many_agrees_with_load(
        self, loadable: Subject, new_session: Callable[[], Session], image_ids: list[str]
    ) -> None:
        """`load_many` gives each image once, with the pixels and the scaling that `load` gives."""
        with new_session() as session:
            if image_loader(session, loadable.id).load_many is None:
                pytest.skip("the loader has no load_many")
            found = _load_many(session, image_ids)
        with new_session() as session:
            one_by_one = [(image_id, stored_image(session, image_id)) for image_id in image_ids]

        assert sorted(image_id for image_id, _ in found) == sorted(image_ids)
        for image_id, image in one_by_one:
            together = dict(found)[image_id]
            assert _meaning(together) == _meaning(image), image_id
            assert together.pixels.dtype == image.pixels.dtype, image_id
            np.testing.assert_array_equal(together.pixels, image.pixels, image_id)

    def test_metadata_agrees_with_load(
        self, loadable: Subject, new_session: Callable[[], Session], image_ids: list[str]
    ) -> None:
        """`metadata` says of size, samples, scaling and place what `load` then delivers."""
        for told in _described(new_session, loadable, image_ids):
            image, pixel = told.image, told.pixel

            assert told.plane == image.plane, told.image_id
            if pixel is not None:
                samples = () if pixel.samples_per_pixel == 1 else (pixel.samples_per_pixel,)
                assert (pixel.rows, pixel.columns, *samples) == image.pixels.shape, told.image_id
                assert pixel.photometric_interpretation == image.photometric_interpretation, told.image_id
                assert pixel.bits_stored == image.bits_stored, told.image_id
                assert pixel.pixel_padding == image.pixel_padding, told.image_id
                assert told.scaling == Scaling(image.slope, image.intercept, image.units), told.image_id

    def test_metadata_promises_the_dtype(
        self, loadable: Subject, new_session: Callable[[], Session], image_ids: list[str]
    ) -> None:
        """The dtype in `ImagePixel`, by which volumes are allocated, is the one that `load` delivers."""
        described = _described(new_session, loadable, image_ids)
        promised = [(told, told.pixel.dtype) for told in described if told.pixel is not None]
        if not promised:
            pytest.skip("metadata gives no ImagePixel")

        for told, dtype in promised:
            assert told.image.pixels.dtype == dtype, told.image_id


@dataclass(frozen=True, slots=True)
class _Described:
    """What `metadata` says of an image, and what `load` gives."""

    image_id: str
    pixel: ImagePixel | None
    scaling: Scaling
    plane: ImagePlane
    image: Image


def _measured(
    session: Session, image_id: str, living: Callable[[], int], offer: Callable[[Image], object]
) -> tuple[Image, int]:
    """Return what the loader gives, and the memory of arrays at that moment."""
    record, identity = image_loader(session, image_id), ImageId(image_id)

    def work(context: LoadContext, load: SharedLoad[Any]) -> tuple[Image, int]:
        image = answered(record.load(identity, context), context, load, offer)
        return checked_image(image, image_id), living()

    return in_a_load(session, identity, work)


def _distance(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    return float(np.abs(one.astype(np.float64) - other).mean())


def _meaning(image: Image) -> tuple[object, ...]:
    return image.slope, image.intercept, image.units, image.photometric_interpretation, image.plane


def _load_many(session: Session, image_ids: list[str]) -> list[tuple[str, Image]]:
    ids = [ImageId(image_id) for image_id in image_ids]
    load_many = image_loader(session, image_ids[0]).load_many

    def work(context: LoadContext, load: SharedLoad[Any]) -> list[tuple[str, Image]]:
        found = []
        for image_id, answer in load_many(ids, context) if load_many else ():
            if isinstance(answer, Exception):
                raise answer
            image = answered(answer, context.for_image(image_id), load, lambda _: None)
            found.append((str(image_id), checked_image(image, image_id)))
        return found

    return in_a_load(session, ids[0], work)


def _described(
    new_session: Callable[[], Session], loadable: Subject, image_ids: list[str]
) -> list[_Described]:
    """Ask `metadata` before anything is loaded, then load."""
    ids = [ImageId(image_id) for image_id in image_ids]
    with new_session() as session:
        if image_loader(session, loadable.id).metadata is None:
            pytest.skip("the loader has no metadata")
        told = in_a_load(session, ids[0], lambda context, _: load_modules(session, ids, context))
        return [
            _Described(
                image_id,
                modules.get(ImagePixel),
                modules.get(Scaling) or Scaling(),
                modules.get(ImagePlane) or ImagePlane(),
                stored_image(session, image_id),
            )
            for image_id, modules in zip(image_ids, told, strict=True)
        ]
