"""The contract of loaders of volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from loadstone.events import VolumeModified
from loadstone.ids import ImageId, VolumeId
from loadstone.testing.contracts.arrays import ArrayChecks
from loadstone.testing.contracts.errors import ErrorChecks
from loadstone.testing.contracts.loaders import override
from loadstone.testing.contracts.memory import LEAST_BYTES, SLACK_BYTES, array_memory
from loadstone.testing.contracts.remote import LeftoverChecks, RemoteChecks
from loadstone.testing.contracts.subject import SECONDS, Subject
from loadstone.volume.wish import VolumeWish

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from loadstone.session import Session
    from loadstone.volume import Volume

__all__ = ["VolumeLoaderContract"]


class VolumeLoaderContract(ArrayChecks, ErrorChecks, RemoteChecks, LeftoverChecks):
    """
    What every loader of volumes must do; derive a class ``Test…`` from it and override its fixtures.

    `volume_id` and `expected` are needed always, `missing_volume_id` unless ``can_be_missing = False``,
    `server` if ``is_remote = True``. A check of something that the loader does not have is skipped, and says
    why.
    """

    @pytest.fixture
    def volume_id(self) -> str:
        """Override: an id that names exactly one volume, best of 64 KiB or more."""
        override("volume_id", "an id that names exactly one volume")

    @pytest.fixture
    def missing_volume_id(self) -> str:
        """Override unless ``can_be_missing = False``: an id of a volume that is not there."""
        override("missing_volume_id", "an id of a volume that is not there")

    @pytest.fixture
    def malformed_volume_id(self, volume_id: str) -> str:
        """Override: an id that makes no sense; default: the scheme with nothing behind it."""
        return f"{VolumeId(volume_id).scheme}:"

    @pytest.fixture
    def subject(self, volume_id: str) -> Subject:
        """Return what the checks load."""
        return Subject("volume", volume_id)

    def test_described_ids_name_one_volume(
        self, loadable: Subject, new_session: Callable[[], Session]
    ) -> None:
        """Each `volume_id` that `open` describes names exactly that volume, and can be pasted."""
        with new_session() as session:
            described = session.volume_ids(loadable.id)

            for each in described:
                assert session.volume_ids(each) == [each]

    def test_describing_decodes_nothing(self, loadable: Subject, new_session: Callable[[], Session]) -> None:
        """`open` reads no voxels: they are for later, and their memory is the core's to allocate."""
        with new_session() as session, array_memory() as living:
            described = session.described(loadable.id, VolumeWish())
            held = living() - session.cache.stats().kept
            nbytes = np.asarray(loadable.load(session)).nbytes
            del described

        if nbytes < LEAST_BYTES:
            pytest.skip(f"{nbytes:,} bytes do not stand out: load a volume of {LEAST_BYTES:,} or more")
        assert held <= max(SLACK_BYTES, nbytes // 8), (
            f"arrays of {held:,} bytes live after `open`, of a volume of {nbytes:,}; read voxels in `fill`"
        )

    def test_final_slices_stay(self, loadable: Subject, new_session: Callable[[], Session]) -> None:
        """A slice that the loader reports as done is never changed afterwards."""
        seen: dict[int, npt.NDArray[Any]] = {}

        def copy(event: VolumeModified) -> None:
            slices = _slices(event.volume)
            seen.update((index, slices[index].copy()) for index in event.indices)

        with new_session() as session, session.subscribe(VolumeModified, copy):
            volume: Volume = loadable.request(session).result(SECONDS)

        assert sorted(seen) == list(range(len(volume.quality)))
        for index, as_reported in seen.items():
            np.testing.assert_array_equal(_slices(volume)[index], as_reported, f"slice {index}")

    def test_slices_agree_with_images(self, loadable: Subject, new_session: Callable[[], Session]) -> None:
        """The images of a volume, where its loader names them, load with the pixels of its slices."""
        with new_session() as session:
            volume: Volume = loadable.request(session, scaled=False).result(SECONDS)
            slices = [each.copy() for each in _slices(volume)]
            image_ids = volume.image_ids
        if not image_ids:
            pytest.skip("the loader names no images")

        assert len(image_ids) == len(slices)
        with new_session() as session:
            for index in {0, len(slices) // 2, len(slices) - 1}:
                image = session.load_image(ImageId(image_ids[index]), scaled=False)

                np.testing.assert_array_equal(image.pixels, slices[index], image_ids[index])


def _slices(volume: Volume) -> npt.NDArray[Any]:
    """Return the images of a volume, over all leading axes."""
    shape = volume.image(0).pixels.shape
    return volume.array.reshape(-1, *shape)
