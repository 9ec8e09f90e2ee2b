"""The plugin keeps the contracts through each of its schemes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydicom.uid import RLELossless

from loadstone.ids import rest_of
from loadstone.testing import ImageLoaderContract, PluginPackageContract, VolumeLoaderContract, WireTap
from loadstone_wado.server import DicomWebServer
from plugins.wado.tests.studies import contents, ct_slice, enhanced, instance_path, series_path, uid, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt
    from pydicom.dataset import Dataset

VALUES: npt.NDArray[np.uint16] = np.random.default_rng(3).integers(0, 2**12, (3, 256, 200), np.uint16)
"""Stored values of the slices."""


def slices() -> list[Dataset]:
    """Return slices that are large enough for memory to be counted."""
    rows, columns = VALUES.shape[1:]
    return [
        ct_slice(number, Rows=rows, Columns=columns, PixelData=pixels.tobytes())
        for number, pixels in enumerate(VALUES)
    ]


def multi_frame() -> Dataset:
    """Return the same in one object; its frames are stored from the last slice to the first."""
    rows, columns = VALUES.shape[1:]
    return enhanced(len(VALUES), Rows=rows, Columns=columns, PixelData=VALUES[::-1].tobytes())


class _Images(ImageLoaderContract):
    @pytest.fixture
    def expected(self) -> npt.NDArray[Any]:
        return VALUES[1, :, :]


class _Volumes(VolumeLoaderContract):
    @pytest.fixture
    def expected(self) -> npt.NDArray[Any]:
        return VALUES


class _Served:
    is_remote = True

    @pytest.fixture
    def origin(self) -> Iterator[DicomWebServer]:
        with DicomWebServer(contents(slices())) as origin:
            yield origin

    @pytest.fixture
    def server(self, origin: DicomWebServer) -> Iterator[WireTap]:
        with WireTap(origin.url) as tap:
            yield tap


class TestFile(_Images):
    @pytest.fixture
    def folder(self, tmp_path: Path) -> str:
        return f"dicomfile:{rest_of(write(slices(), tmp_path / 'ct'))}"

    @pytest.fixture
    def image_id(self, folder: str) -> str:
        return f"{folder}/1.dcm"

    @pytest.fixture
    def image_ids(self, folder: str) -> list[str]:
        return [f"{folder}/{number}.dcm" for number in range(len(VALUES))]

    @pytest.fixture
    def missing_image_id(self, folder: str) -> str:
        return f"{folder}/99.dcm"


class TestCompressedFile(TestFile):
    @pytest.fixture
    def folder(self, tmp_path: Path) -> str:
        datasets = slices()
        for each in datasets:
            each.compress(RLELossless, generate_instance_uid=False)
        return f"dicomfile:{rest_of(write(datasets, tmp_path / 'ct'))}"


class TestFrame(TestFile):
    @pytest.fixture
    def folder(self, tmp_path: Path) -> str:
        return f"dicomfile:{rest_of(write([multi_frame()], tmp_path / 'ct'))}"

    @pytest.fixture
    def image_id(self, folder: str) -> str:
        return f"{folder}/0.dcm?frame=2"

    @pytest.fixture
    def image_ids(self, folder: str) -> list[str]:
        return [f"{folder}/0.dcm?frame={frame}" for frame in (1, 2, 3)]


class TestFolder(_Volumes):
    @pytest.fixture
    def volume_id(self, tmp_path: Path) -> str:
        return f"dicomfile:{rest_of(write(slices(), tmp_path / 'ct'))}"

    @pytest.fixture
    def missing_volume_id(self, tmp_path: Path) -> str:
        return f"dicomfile:{rest_of(tmp_path / 'mr')}"


class TestMultiFrameFile(TestFolder):
    @pytest.fixture
    def volume_id(self, tmp_path: Path) -> str:
        return f"dicomfile:{rest_of(write([multi_frame()], tmp_path / 'ct'))}/0.dcm"


class TestWadoRsFrame(_Served, _Images):
    @pytest.fixture
    def image_id(self, server: WireTap) -> str:
        return f"wadors:{server.url}{instance_path(1)}/frames/1"

    @pytest.fixture
    def image_ids(self, server: WireTap) -> list[str]:
        return [f"wadors:{server.url}{instance_path(number)}/frames/1" for number in range(len(VALUES))]

    @pytest.fixture
    def missing_image_id(self, server: WireTap) -> str:
        return f"wadors:{server.url}{instance_path(99)}/frames/1"


class TestWadoRsSeries(_Served, _Volumes):
    @pytest.fixture
    def volume_id(self, server: WireTap) -> str:
        return f"wadors:{server.url}{series_path()}"

    @pytest.fixture
    def missing_volume_id(self, server: WireTap) -> str:
        return f"wadors:{server.url}{series_path('1.2.3.99')}"


class TestPlainUrl(_Served, _Images):
    @pytest.fixture
    def server(self, origin: DicomWebServer) -> Iterator[WireTap]:
        with WireTap(origin.file_url(uid(1))) as tap:
            yield tap

    @pytest.fixture
    def image_id(self, server: WireTap) -> str:
        return f"wadouri:{server.url}"

    @pytest.fixture
    def missing_image_id(self, image_id: str) -> str:
        return image_id.replace(uid(1), uid(99))


class TestMultiFrameUrl(_Served, _Volumes):
    @pytest.fixture
    def origin(self) -> Iterator[DicomWebServer]:
        with DicomWebServer(contents([multi_frame()])) as origin:
            yield origin

    @pytest.fixture
    def server(self, origin: DicomWebServer) -> Iterator[WireTap]:
        with WireTap(origin.file_url(uid(0))) as tap:
            yield tap

    @pytest.fixture
    def volume_id(self, server: WireTap) -> str:
        return f"wadouri:{server.url}"

    @pytest.fixture
    def missing_volume_id(self, volume_id: str) -> str:
        return volume_id.replace(uid(0), uid(99))


class TestPackage(PluginPackageContract):
    @pytest.fixture
    def distribution(self) -> str:
        return "loadstone-wado"
