"""One 2-D image."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image as pil  # noqa: N813 - as Pillow's documentation names it

from loadstone.image import Image, Quality
from loadstone.metadata import ImagePlane, VoiLut, Window
from loadstone.pixels import scale, scale_plan

AnyArray = npt.NDArray[Any]


def ct(*, scaled: bool = True, **changes: Any) -> Image:
    """Build a small CT image of GE: padding -2000, stored as int16 with an intercept of -1024."""
    stored = np.array([[-2000, 0, 1024], [1064, 1264, 3000]], np.int16)
    image = Image(
        stored,
        slope=1,
        intercept=-1024,
        units="HU" if scaled else "",
        pixel_padding=(-2000, -2000),
        plane=ImagePlane(pixel_spacing=(0.7, 0.9), slice_thickness=5),
        voi_lut=VoiLut(windows=(Window(40, 400), Window(-600, 1600))),
        image_id="ct:1",
        scaled=scaled,
        **changes,
    )
    if not scaled:
        return image
    return replace(image, pixels=scale(scale_plan(stored.dtype, 1, -1024), stored))


def test_pixels_alone_are_an_image() -> None:
    """A loader may know nothing else."""
    image = Image(np.zeros((2, 3), np.uint8))

    assert (image.rows, image.columns, image.nbytes) == (2, 3, 6)
    assert not image.is_color
    assert image.pixel_spacing is None
    assert image.slice_thickness is None
    assert image.windows == ()
    assert image.quality is Quality.FULL
    assert image.header() is None


def test_what_came_with_the_image_is_at_hand() -> None:
    """Geometry and windows are reached without knowing the modules."""
    image = ct()

    assert image.pixel_spacing == (0.7, 0.9)
    assert image.slice_thickness == 5
    assert [window.center for window in image.windows] == [40, -600]


def test_asarray_is_the_pixels() -> None:
    """No copy is made of what is shared."""
    image = ct()

    assert np.asarray(image) is image.pixels
    assert np.asarray(image, dtype=image.pixels.dtype) is image.pixels


def test_a_copy_is_made_when_asked() -> None:
    """It belongs to the caller, in the dtype that was wanted."""
    image = ct()
    image.pixels.setflags(write=False)
    copy = np.array(image, dtype=np.float32)

    assert copy.flags.writeable
    assert copy.dtype == np.float32
    assert not np.shares_memory(copy, image.pixels)


def test_a_copy_that_is_forbidden_is_an_error() -> None:
    """As numpy has it."""
    with pytest.raises(ValueError, match="copy"):
        np.asarray(ct(), dtype=np.float32, copy=False)


def test_repr_is_one_line() -> None:
    """It says which, how large and in what unit."""
    assert repr(ct()) == "<Image ct:1 2x3 int16 HU>"
    assert repr(Image(np.zeros((2, 3, 3), np.uint8))) == "<Image (no id) 2x3x3 uint8>"


def test_repr_names_no_person() -> None:
    """The header of a plugin is not asked."""
    image = ct(header=lambda: {"PatientName": "Doe^Jane"})

    assert "Doe" not in repr(image)
    assert image.header() == {"PatientName": "Doe^Jane"}


@pytest.mark.parametrize(("scaled", "lowest", "highest"), [(True, -1024, 1976), (False, 0, 3000)])
def test_the_range_leaves_padding_out(scaled: bool, lowest: float, highest: float) -> None:
    """In modality values as in stored ones."""
    image = ct(scaled=scaled)

    assert (image.min_value, image.max_value) == (lowest, highest)


@pytest.mark.parametrize("scaled", [True, False])
def test_the_padding_mask_is_the_same_in_all_values(scaled: bool) -> None:
    """Padding is declared in stored values, and scaled with them."""
    assert ct(scaled=scaled).padding_mask().tolist() == [[True, False, False], [False, False, False]]


def test_padding_is_found_with_a_negative_fractional_slope() -> None:
    """The ends of the range change places and are rounded as the pixels were."""
    stored = np.array([[0, 5, 10, 11]], np.uint16)
    pixels = scale(scale_plan(stored.dtype, -0.1, 0.3), stored)
    image = Image(pixels, slope=-0.1, intercept=0.3, pixel_padding=(5, 10), scaled=True)

    assert image.padding_mask().tolist() == [[False, True, True, False]]
    assert (image.min_value, image.max_value) == (pixels[0, 3], pixels[0, 0])


def test_an_image_of_padding_has_no_range() -> None:
    """NaN, as numpy's reductions say."""
    image = Image(np.full((2, 2), 7, np.uint8), pixel_padding=(7, 7))

    assert np.isnan([image.min_value, image.max_value]).all()


# Display.


def test_the_first_window_is_shown() -> None:
    """As the scanner meant it."""
    image = ct()

    assert np.array_equal(image.display(), image.display(Window(40, 400)))
    assert image.display().tolist() == [[0, 0, 102], [128, 255, 255]]


def test_a_window_may_be_given() -> None:
    """As a pair or as a window that came with the image."""
    image = ct()

    assert np.array_equal(image.display((-600, 1600)), image.display(image.windows[1]))
    assert not np.array_equal(image.display((-600, 1600)), image.display())


def test_display_does_not_touch_the_pixels() -> None:
    """They are read-only and shared."""
    image = ct(photometric_interpretation="MONOCHROME1")
    image.pixels.setflags(write=False)
    before = image.pixels.copy()
    shades = image.display()

    assert shades.dtype == np.uint8
    assert shades.flags.writeable
    assert np.array_equal(image.pixels, before)


def test_monochrome1_shows_low_values_bright() -> None:
    """Padding stays black."""
    shades = ct().display()
    inverse = ct(photometric_interpretation="MONOCHROME1").display()
    is_padding = ct().padding_mask()

    assert np.array_equal(inverse[~is_padding], 255 - shades[~is_padding])
    assert not inverse[is_padding].any()


def test_two_inversions_cancel_each_other() -> None:
    """MONOCHROME1 with the presentation LUT INVERSE is shown as stored."""
    image = ct(photometric_interpretation="MONOCHROME1", inverted=True)

    assert np.array_equal(image.display(), ct().display())


def test_colour_is_shown_as_it_is() -> None:
    """Windows are for grey values."""
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    image = Image(pixels, photometric_interpretation="RGB", voi_lut=VoiLut(windows=(Window(0, 1),)))

    assert image.is_color
    assert image.display() is pixels


@pytest.mark.parametrize(
    ("pixels", "mode"),
    [
        (np.arange(-6, 6, dtype=np.int16).reshape(3, 4), "L"),
        (np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4), "L"),
        (np.arange(36, dtype=np.uint8).reshape(3, 4, 3), "RGB"),
        (np.arange(48, dtype=np.uint8).reshape(3, 4, 4), "RGBA"),
    ],
    ids=["int16", "float32", "RGB", "RGBA"],
)
def test_a_notebook_shows_what_display_gives(pixels: AnyArray, mode: str) -> None:
    """The PNG opens in Pillow, and `to_pil` is the same image."""
    image = Image(pixels)
    with pil.open(io.BytesIO(image._repr_png_())) as opened:
        assert opened.format == "PNG"
        assert opened.mode == mode
        assert np.array_equal(np.asarray(opened), image.display())

    assert np.array_equal(np.asarray(image.to_pil()), image.display())


def test_colour_of_12_bits_is_shown_bright() -> None:
    """White is the highest value of the bits stored, not of the dtype that holds them."""
    image = Image(np.full((2, 2, 3), 4095, np.uint16), photometric_interpretation="RGB", bits_stored=12)

    assert (image.display() == 255).all()
