"""An image as it is meant to be shown."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydicom.data import get_testdata_file
from pydicom.pixels import apply_rescale, apply_windowing

from loadstone.errors import MetadataError
from loadstone.metadata import VoiLut, Window
from loadstone.pixels import display
from loadstone.pixels.display import automatic_range

AnyArray = npt.NDArray[Any]

RAMP = np.arange(-2000, 2000, dtype=np.int16).reshape(40, 100)
WINDOWS = st.builds(
    Window,
    center=st.floats(-3000, 3000),
    width=st.floats(1, 5000),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)


def shown(
    pixels: AnyArray,
    voi_lut: VoiLut | None = None,
    *,
    window: Window | tuple[float, float] | None = None,
    padding: tuple[float, float] | None = None,
    inverted: bool = False,
) -> npt.NDArray[np.uint8]:
    """Display with nothing special unless told."""
    return display(pixels, voi_lut=voi_lut or VoiLut(), window=window, padding=padding, inverted=inverted)


def small_integers() -> st.SearchStrategy[AnyArray]:
    """Frames that are large enough, or narrow enough in values, for the table."""
    dtypes = st.sampled_from([np.dtype(name) for name in ("u1", "i1", "u2", "i2", "?", ">i2")])
    return dtypes.flatmap(
        lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=2, max_dims=2, max_side=20))
    )


@given(pixels=small_integers(), window=WINDOWS, inverted=st.booleans())
def test_the_table_equals_the_formula(pixels: AnyArray, window: Window, inverted: bool) -> None:
    """Small integers take the quick way to the same shades, bit for bit."""
    quick = shown(pixels, window=window, inverted=inverted)

    assert quick.dtype == np.uint8
    assert np.array_equal(quick, shown(pixels.astype(np.float64), window=window, inverted=inverted))


@given(pixels=small_integers(), first=st.integers(-300, 300), size=st.integers(1, 300))
def test_the_table_equals_the_lut(pixels: AnyArray, first: int, size: int) -> None:
    """The same holds for the VOI LUT."""
    voi_lut = VoiLut(lut=np.arange(size, dtype=np.uint16), lut_first=first, lut_bits=9)

    assert np.array_equal(shown(pixels, voi_lut), shown(pixels.astype(np.float64), voi_lut))


@pytest.mark.parametrize("dtype", ["i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("transposed", [False, True], ids=["contiguous", "transposed"])
def test_images_larger_than_a_block_are_shown_whole(dtype: str, transposed: bool) -> None:
    """Blocks meet without a seam, whatever the order in memory."""
    pixels = np.random.default_rng(1).integers(-2000, 2000, (700, 300)).astype(dtype)
    pixels = pixels.T if transposed else pixels
    expected = np.rint(np.clip((pixels.astype(np.float64) - 39.5) / 399 + 0.5, 0, 1) * 255)

    assert np.array_equal(shown(pixels, window=(40, 400)), expected)


def test_the_voi_lut_wins_over_windows() -> None:
    """PS3.3 C.11.2: alternatives; the LUT is the more careful one."""
    voi_lut = VoiLut(windows=(Window(0, 1),), lut=np.array([7, 9], np.uint8), lut_first=0)

    assert shown(np.array([[-5, 0, 1, 5]], np.int16), voi_lut).tolist() == [[7, 7, 9, 9]]


def test_a_given_window_wins_over_all() -> None:
    """The caller decides."""
    voi_lut = VoiLut(windows=(Window(0, 1),), lut=np.array([7, 9], np.uint8), lut_first=0)

    assert np.array_equal(shown(RAMP, voi_lut, window=(40, 400)), shown(RAMP, window=Window(40, 400)))


def test_the_first_possible_window_is_used(caplog: pytest.LogCaptureFixture) -> None:
    """Impossible ones are said to be ignored."""
    windows = (Window(40, 0), Window(float("nan"), 400), Window(40, 400), Window(0, 1))
    with caplog.at_level(logging.WARNING, "loadstone"):
        shades = shown(RAMP, VoiLut(windows=windows))

    assert np.array_equal(shades, shown(RAMP, window=Window(40, 400)))
    assert [record.message for record in caplog.records] == [
        "the LINEAR window with center 40 and width 0 is impossible: ignored",
        "the LINEAR window with center nan and width 400 is impossible: ignored",
    ]


def test_an_unusable_lut_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    """The windows are next."""
    voi_lut = VoiLut(windows=(Window(40, 400),), lut=np.array([], np.uint8))
    with caplog.at_level(logging.WARNING, "loadstone"):
        shades = shown(RAMP, voi_lut)

    assert np.array_equal(shades, shown(RAMP, window=(40, 400)))
    assert "LUT" in caplog.text


@pytest.mark.parametrize("window", [(40, 0), (40, -3), (float("nan"), 3), Window(0, 5, function="CUBIC")])
def test_an_impossible_given_window_is_an_error(window: Window | tuple[float, float]) -> None:
    """The caller finds out at once."""
    with pytest.raises(MetadataError, match="impossible"):
        shown(RAMP, window=window)


def test_a_narrow_pair_for_floats_is_exact() -> None:
    """Maps from 0 to 1 can be windowed without knowing the functions of the standard."""
    pixels = np.array([[0, 0.25, 0.5, 0.75, 1]], np.float32)

    assert shown(pixels, window=(0.5, 0.5)).tolist() == [[0, 0, 128, 255, 255]]
    assert shown(pixels, window=(0.5, 1)).tolist() == [[0, 64, 128, 191, 255]]


@pytest.mark.parametrize("dtype", ["i2", "i4", "f4", "f8"])
def test_without_a_window_the_percentiles_are_shown(dtype: str) -> None:
    """From the 1st to the 99th, as numpy computes them."""
    pixels = RAMP.astype(dtype)
    low, high = np.percentile(pixels, (1, 99))

    assert automatic_range(pixels, None) == pytest.approx((low, high))
    assert shown(pixels)[0, 0] == 0
    assert shown(pixels)[-1, -1] == 255
    assert 126 <= shown(pixels)[20, 0] <= 129


def test_percentiles_leave_out_what_is_no_data() -> None:
    """Padding, NaN and infinity say nothing about the image."""
    pixels = np.array([[-2000.0] * 50 + [np.nan, np.inf, -np.inf] + [float(x) for x in range(101)]])

    assert automatic_range(pixels, (-2000, -2000)) == (1, 99)


@given(
    pixels=arrays.arrays(
        st.sampled_from([np.dtype(name) for name in ("?", "u1", "i1", "i2", "u2", "i4")]),
        arrays.array_shapes(min_dims=2, max_dims=2, max_side=20),
    )
)
def test_percentiles_are_exact(pixels: AnyArray) -> None:
    """Those of numpy in float64, or the extremes where they are equal."""
    low, high = np.percentile(pixels.astype(np.float64), (1, 99))
    expected = (low, high) if low < high else (int(pixels.min()), int(pixels.max()))

    assert automatic_range(pixels, None) == pytest.approx(expected)


def test_large_images_are_sampled() -> None:
    """Every second row and column of an image of more than 4 million pixels."""
    pixels = np.zeros((2100, 2100), np.uint16)
    pixels[1::2, :] = 50
    pixels[:, 1::2] = 50
    pixels[::2, ::2] = np.arange(1050)

    assert automatic_range(pixels, None) == pytest.approx((10, 1039), abs=1)


def test_a_mostly_constant_image_shows_what_is_different() -> None:
    """The percentiles are equal, the extremes are not."""
    pixels = np.zeros((50, 50), np.int16)
    pixels[7, 7] = 3

    assert shown(pixels)[7, 7] == 255
    assert shown(pixels).sum() == 255


@pytest.mark.parametrize("dtype", ["?", "u1", "i2", "i8", "f2", "f8"])
@pytest.mark.parametrize("value", [1, 0.1])
def test_a_constant_image_is_black(dtype: str, value: float) -> None:
    """There is nothing to see, and nothing to divide by."""
    assert not shown(np.full((3, 4), value, dtype)).any()


@pytest.mark.parametrize("inverted", [False, True])
def test_an_image_of_nan_is_black(inverted: bool) -> None:
    """No value, no light."""
    assert not shown(np.full((3, 4), np.nan, np.float32), inverted=inverted).any()


@pytest.mark.parametrize("window", [None, (1, 5), Window(1, 5, function="SIGMOID")])
@pytest.mark.parametrize(
    "bits", [np.array([[0x7F800001, 0]], "u4"), np.array([[(0x7FF << 52) + 1, 0]], "u8")]
)
def test_a_signalling_nan_is_black(bits: AnyArray, window: Window | tuple[float, float] | None) -> None:
    """Files of floats hold any bits; none of them warns."""
    pixels = bits.view(f"f{bits.itemsize}")

    assert shown(pixels, window=window, padding=(5, 5), inverted=True)[0, 0] == 0


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4"])
def test_an_image_without_pixels_has_no_shades(dtype: str) -> None:
    """It stays empty."""
    assert shown(np.empty((0, 5), dtype)).shape == (0, 5)


def test_inverted_means_low_is_bright() -> None:
    """MONOCHROME1."""
    assert np.array_equal(shown(RAMP, window=(40, 400), inverted=True), 255 - shown(RAMP, window=(40, 400)))


@pytest.mark.parametrize("dtype", ["i2", "f4"])
@pytest.mark.parametrize("inverted", [False, True])
def test_padding_is_black_whatever_is_inverted(dtype: str, inverted: bool) -> None:
    """PS3.3 C.7.5.1.1.2: the background outside the image."""
    pixels = np.array([[-2000, 0, 100]], dtype)

    assert shown(pixels, window=(50, 101), padding=(-2000, -2000), inverted=inverted)[0, 0] == 0
    assert shown(pixels, window=(-2000, 10), padding=(0, 50), inverted=inverted)[0, 1] == 0


def test_complex_values_show_their_magnitude() -> None:
    """Raw MR data have no other order."""
    pixels = np.array([[3 + 4j, 1, 0]], np.complex64)

    assert np.array_equal(shown(pixels, window=(2, 5)), shown(np.array([[5.0, 1, 0]]), window=(2, 5)))


@given(
    pixels=arrays.arrays(
        st.sampled_from([np.dtype(name) for name in ("f2", "f4", "f8", "i8", "u8")]),
        arrays.array_shapes(min_dims=2, max_dims=2, min_side=0),
    ),
    inverted=st.booleans(),
)
def test_any_values_can_be_shown(pixels: AnyArray, inverted: bool) -> None:
    """Nothing warns or fails, not at the ends of the ranges either."""
    assert shown(pixels, inverted=inverted).shape == pixels.shape


@pytest.mark.parametrize("name", ["MR_small.dcm", "693_J2KI.dcm", "examples_overlay.dcm"])
def test_real_images_look_as_those_of_pydicom(name: str) -> None:
    """A window makes the same shades, to the one that rounding decides."""
    dataset = pydicom.dcmread(str(get_testdata_file(name, download=False)))
    modality_values = apply_rescale(dataset.pixel_array, dataset)
    theirs = apply_windowing(modality_values, dataset)
    limits = apply_windowing(np.array([-1e9, 1e9]), dataset)
    expected = (theirs - limits[0]) / (limits[1] - limits[0]) * 255
    center, width = (np.atleast_1d(each)[0] for each in (dataset.WindowCenter, dataset.WindowWidth))
    window = Window(float(center), float(width))

    assert np.abs(shown(modality_values, VoiLut(windows=(window,))) - expected).max() <= 0.5 + 1e-6


# Colour.


def test_colour_of_8_bits_stays() -> None:
    """Not even a copy is made."""
    pixels = np.array([[[1, 2, 3]]], np.uint8)

    assert shown(pixels, VoiLut(windows=(Window(0, 1),)), inverted=True) is pixels


@pytest.mark.parametrize(
    ("dtype", "samples", "expected"),
    [
        ("u2", [0, 257, 65535], [0, 1, 255]),
        ("u2", [128, 129, 32896], [0, 1, 128]),
        ("i2", [-5, 0, 32767], [0, 0, 255]),
        ("?", [0, 1, 1], [0, 255, 255]),
        ("f4", [0, 0.5, 1], [0, 128, 255]),
        ("f4", [0, 100, 255], [0, 100, 255]),
        ("f8", [0, 257, 65535], [0, 1, 255]),
        ("f8", [np.nan, 0, 1e6], [0, 0, 255]),
    ],
)
def test_other_colour_is_scaled_to_8_bits(dtype: str, samples: list[float], expected: list[int]) -> None:
    """By the range that the dtype, or for floats the values, suggest."""
    assert shown(np.array([[samples]]).astype(dtype)).tolist() == [[expected]]
