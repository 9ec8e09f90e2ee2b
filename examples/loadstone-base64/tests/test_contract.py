"""The plugin keeps the contract of Loadstone."""

from base64 import b64encode
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from loadstone import DecodeError
from loadstone.testing import ImageLoaderContract, PluginPackageContract

PIXELS = np.arange(256 * 256, dtype=np.uint16).astype(np.uint8).reshape(256, 256)


class TestImages(ImageLoaderContract):
    """What `image_id` names loads as `expected`, and all that follows from that."""

    can_be_missing = False  # an id holds its own pixels
    malformed_error = DecodeError

    @pytest.fixture
    def image_id(self) -> str:
        """Spell out an image of 64 KiB: large enough for its memory to be counted."""
        return f"base64:256x256,{b64encode(PIXELS.tobytes()).decode()}"

    @pytest.fixture
    def expected(self) -> npt.NDArray[Any]:
        """Return the stored values."""
        return PIXELS


class TestPackage(PluginPackageContract):
    """The installed package does what its entry points say."""

    @pytest.fixture
    def distribution(self) -> str:
        """Name it."""
        return "loadstone-base64"
