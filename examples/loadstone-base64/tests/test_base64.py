"""What the installed package does."""

from base64 import b64encode

import numpy as np
import pytest

import loadstone


def test_pixels_are_those_of_the_id() -> None:
    """Each byte is a pixel, row by row."""
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3)

    image = loadstone.load_image(f"base64:2x3,{b64encode(pixels.tobytes()).decode()}")

    np.testing.assert_array_equal(image.pixels, pixels)
    assert image.loader.distribution == "loadstone-base64"


@pytest.mark.parametrize("text", ["2x2,AAECAwQF", "2x3,AAEC", "-2x-3,AAECAwQF", "2,AAECAwQF", "2x3,?"])
def test_bad_input_is_a_typed_error(text: str) -> None:
    """Whatever is wrong with an id, the caller gets an error of Loadstone's."""
    with pytest.raises(loadstone.LoadstoneError):
        loadstone.load_image(f"base64:{text}")
