"""The plugin keeps the contracts, with files and over HTTP."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from loadstone.testing import ImageLoaderContract, PluginPackageContract, VolumeLoaderContract, WireTap
from loadstone.testing.faults import Answer, FaultServer
from plugins.nifti.tests.builders import edited, nifti, ranged, written

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

VOXELS = np.random.default_rng(5).integers(-900, 900, (240, 200, 6), np.int16)
"""Along i, j, k."""
FILE = nifti(VOXELS, scl_slope=2.0, scl_inter=-5.0)


class _Images(ImageLoaderContract):
    @pytest.fixture
    def expected(self) -> npt.NDArray[Any]:
        return VOXELS[:, :, 2].T


class _Volumes(VolumeLoaderContract):
    @pytest.fixture
    def expected(self) -> npt.NDArray[Any]:
        return VOXELS.T


class TestSlice(_Images):
    @pytest.fixture
    def image_id(self, tmp_path: Path) -> str:
        return f"{written(tmp_path, FILE)}?frame=2"

    @pytest.fixture
    def image_ids(self, image_id: str) -> list[str]:
        return [image_id.replace("=2", f"={k}") for k in range(6)]

    @pytest.fixture
    def missing_image_id(self, image_id: str) -> str:
        return image_id.replace("image.nii", "other.nii")


class TestSliceOfCompressedFile(TestSlice):
    @pytest.fixture
    def image_id(self, tmp_path: Path) -> str:
        return f"{written(tmp_path, FILE, compress=True)}?frame=2"


LARGE = np.random.default_rng(6).integers(0, 90, (1200, 600, 4), np.int16)
"""Too many voxels to be inflated all at once for a slice."""


class TestSliceOfLargeCompressedFile(TestSlice):
    @pytest.fixture
    def expected(self) -> npt.NDArray[Any]:
        return LARGE[:, :, 2].T

    @pytest.fixture
    def image_id(self, tmp_path: Path) -> str:
        return f"{written(tmp_path, nifti(LARGE, scl_slope=2.0), compress=True)}?frame=2"

    @pytest.fixture
    def image_ids(self, image_id: str) -> list[str]:
        return [image_id.replace("=2", f"={k}") for k in (1, 3, 0, 2)]


class TestVolume(_Volumes):
    @pytest.fixture
    def volume_id(self, tmp_path: Path) -> str:
        return written(tmp_path, FILE)

    @pytest.fixture
    def missing_volume_id(self, volume_id: str) -> str:
        return volume_id.replace("image.nii", "other.nii")


class TestCompressedVolume(TestVolume):
    @pytest.fixture
    def volume_id(self, tmp_path: Path) -> str:
        return written(tmp_path, FILE, compress=True)


class TestVolumeOfPair(TestVolume):
    @pytest.fixture
    def volume_id(self, tmp_path: Path) -> str:
        (tmp_path / "image.img.gz").write_bytes(gzip.compress(FILE[352:], 1))
        (tmp_path / "image.hdr").write_bytes(edited(FILE, magic=b"ni1", vox_offset=0)[:352])
        return f"nifti:{tmp_path / 'image.hdr'}"

    @pytest.fixture
    def missing_volume_id(self, volume_id: str) -> str:
        return volume_id.replace("image.hdr", "other.hdr")


class _Remote:
    is_remote = True

    @pytest.fixture
    def server(self) -> Iterator[WireTap]:
        with FaultServer() as server:
            server.plan("/t1.nii.gz", Answer(body=gzip.compress(FILE, 1)))
            with WireTap(server.url("")) as tap:
                yield tap


class TestRemoteSlice(_Remote, _Images):
    @pytest.fixture
    def image_id(self, server: WireTap) -> str:
        return f"nifti:{server.url}/t1.nii.gz?frame=2"

    @pytest.fixture
    def missing_image_id(self, server: WireTap) -> str:
        return f"nifti:{server.url}/t2.nii.gz?frame=2"


class TestRemoteVolume(_Remote, _Volumes):
    @pytest.fixture
    def volume_id(self, server: WireTap) -> str:
        return f"nifti:{server.url}/t1.nii.gz"

    @pytest.fixture
    def missing_volume_id(self, server: WireTap) -> str:
        return f"nifti:{server.url}/t2.nii.gz"


class TestRemoteSliceByRanges(TestRemoteSlice):
    @pytest.fixture
    def server(self) -> Iterator[WireTap]:
        with FaultServer() as server:
            server.plan("/t1.nii.gz", ranged(FILE, '"one"'))
            with WireTap(server.url("")) as tap:
                yield tap


class TestPackage(PluginPackageContract):
    @pytest.fixture
    def distribution(self) -> str:
        return "loadstone-nifti"
