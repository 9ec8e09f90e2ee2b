"""The plugin keeps the contract, with files and over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from loadstone.testing import ImageLoaderContract, PluginPackageContract, WireTap
from loadstone.testing.faults import Answer, FaultServer
from plugins.web.tests.builders import png

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

PIXELS = np.random.default_rng(7).integers(0, 2**16, (300, 200), np.uint16)


class _Web(ImageLoaderContract):
    @pytest.fixture
    def expected(self) -> npt.NDArray[Any]:
        return PIXELS


class TestFile(_Web):
    @pytest.fixture
    def image_id(self, tmp_path: Path) -> str:
        path = tmp_path / "a.png"
        path.write_bytes(png(PIXELS))
        return f"web:{path}"

    @pytest.fixture
    def missing_image_id(self, tmp_path: Path) -> str:
        return f"web:{tmp_path / 'b.png'}"


class TestUrl(_Web):
    is_remote = True

    @pytest.fixture
    def server(self) -> Iterator[WireTap]:
        with FaultServer() as server:
            server.plan("/a.png", Answer(body=png(PIXELS)))
            with WireTap(server.url()) as tap:
                yield tap

    @pytest.fixture
    def image_id(self, server: WireTap) -> str:
        return f"web:{server.url}a.png"

    @pytest.fixture
    def missing_image_id(self, server: WireTap) -> str:
        return f"web:{server.url}b.png"


class TestPackage(PluginPackageContract):
    @pytest.fixture
    def distribution(self) -> str:
        return "loadstone-web"
