"""Windows and the VOI LUT."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadstone.metadata import VoiLut, Window
from loadstone.pixels.windows import is_possible, looked_up, lut_shades, stretched, windowed

CENTERS = st.floats(-3000, 3000)
WIDTHS = st.floats(1, 5000)
VALUES = st.floats(-5000, 5000)
NARROW = 1e-6


def shade(value: float, center: float, width: float, function: str) -> int:
    """Shade one value, word for word as the standard says."""
    as_array = np.array([value])

    return int(windowed(as_array, Window(center, width, function=function))[0])


@given(x=VALUES, c=CENTERS, w=WIDTHS)
def test_linear_is_that_of_the_standard(x: float, c: float, w: float) -> None:
    """PS3.3 C.11.2.1.2.1, with ymin 0 and ymax 255, to half a shade."""
    if x <= c - 0.5 - (w - 1) / 2:
        expected = 0.0
    elif x > c - 0.5 + (w - 1) / 2:
        expected = 255.0
    else:
        expected = ((x - (c - 0.5)) / (w - 1) + 0.5) * 255

    assert abs(shade(x, c, w, "LINEAR") - expected) <= 0.5 + NARROW


@given(x=VALUES, c=CENTERS, w=st.floats(1e-3, 5000))
def test_linear_exact_is_that_of_the_standard(x: float, c: float, w: float) -> None:
    """PS3.3 C.11.2.1.3.2, to half a shade."""
    if x <= c - w / 2:
        expected = 0.0
    elif x > c + w / 2:
        expected = 255.0
    else:
        expected = ((x - c) / w + 0.5) * 255

    assert abs(shade(x, c, w, "LINEAR_EXACT") - expected) <= 0.5 + NARROW


@given(x=VALUES, c=CENTERS, w=WIDTHS)
def test_sigmoid_is_that_of_the_standard(x: float, c: float, w: float) -> None:
    """PS3.3 C.11.2.1.3.1, to half a shade, without overflow far from the centre."""
    power = -4 * (x - c) / w
    expected = 0 if power > 700 else 255 / (1 + math.exp(power))

    assert abs(shade(x, c, w, "SIGMOID") - expected) <= 0.5 + NARROW


def test_the_examples_of_the_standard() -> None:
    """C.11.2.1.2.1: center 2048 and width 4096 map 0 to black and 4095 to white, and so on."""
    assert [shade(x, 2048, 4096, "LINEAR") for x in (0, 4095)] == [0, 255]
    assert [shade(x, 127.5, 255, "LINEAR_EXACT") for x in (0, 100, 255)] == [0, 100, 255]
    assert [shade(x, 0, 1, "LINEAR") for x in (-1, -0.5, -0.4, 0)] == [0, 0, 255, 255]
    assert [shade(x, 0, 100, "LINEAR") for x in (-51, -50, 49, 50)] == [0, 0, 255, 255]


@given(center=CENTERS, width=WIDTHS, function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]))
def test_brighter_never_means_less(center: float, width: float, function: str) -> None:
    """Shades rise with the values, from infinity to infinity, and NaN is black."""
    values = np.array([-np.inf, *np.linspace(-6000, 6000, 500), np.inf])
    shades = windowed(values, Window(center, width, function=function)).astype(int)

    assert (np.diff(shades) >= 0).all()
    assert (shades[0], shades[-1]) == (0, 255)
    assert windowed(np.array([np.nan]), Window(center, width, function=function)).tolist() == [0]


@pytest.mark.parametrize(
    ("center", "width", "function", "possible"),
    [
        (40, 400, "LINEAR", True),
        (40, 1, "LINEAR", True),
        (40, 0.99, "LINEAR", False),
        (40, 0.01, "LINEAR_EXACT", True),
        (40, 0, "LINEAR_EXACT", False),
        (40, 0.01, "SIGMOID", True),
        (40, 0, "SIGMOID", False),
        (40, -1, "SIGMOID", False),
        (40, math.nan, "LINEAR", False),
        (40, math.inf, "LINEAR", False),
        (math.nan, 400, "LINEAR", False),
        (40, 400, "CUBIC", False),
    ],
)
def test_windows_that_the_standard_forbids_are_impossible(
    center: float, width: float, function: str, possible: bool
) -> None:
    """Nothing is divided by zero, and no function is guessed."""
    assert is_possible(Window(center, width, function=function)) is possible


def test_a_stretch_goes_from_black_to_white() -> None:
    """Its ends are reached."""
    assert stretched(np.array([-1, 0, 5, 10, 11, np.nan]), 0, 10).tolist() == [0, 0, 128, 255, 255, 0]


def test_a_stretch_without_width_is_a_step() -> None:
    """A constant image is black, and nothing is divided by zero."""
    assert stretched(np.array([2.0, 3.0, 4.0]), 3, 3).tolist() == [0, 0, 255]


def test_the_voi_lut_clamps_to_its_ends() -> None:
    """PS3.3 C.11.2.1.1: values outside take the first or the last entry."""
    shades = lut_shades(VoiLut(lut=np.array([0, 2048, 4095], np.uint16), lut_first=-1, lut_bits=12))
    assert shades is not None
    values = np.array([-np.inf, -50, -1, 0, 0.4, 1, 900, np.inf, np.nan])

    assert shades.tolist() == [0, 128, 255]
    assert looked_up(values, shades, -1).tolist() == [0, 0, 0, 128, 128, 255, 255, 255, 0]


@pytest.mark.parametrize(("bits", "entry", "expected"), [(8, 200, 200), (16, 65535, 255), (10, 2000, 255)])
def test_entries_are_scaled_by_their_bits(bits: int, entry: int, expected: int) -> None:
    """All bits set is white; more than that too."""
    shades = lut_shades(VoiLut(lut=np.array([entry], np.uint16), lut_bits=bits))

    assert shades is not None
    assert shades.tolist() == [expected]


@pytest.mark.parametrize(
    "voi_lut",
    [VoiLut(), VoiLut(lut=np.array([], np.uint16)), VoiLut(lut=np.array([1], np.uint8), lut_bits=0)],
    ids=["none", "empty", "no bits"],
)
def test_a_lut_that_cannot_be_used_has_no_shades(voi_lut: VoiLut) -> None:
    """The caller goes on to the windows."""
    assert lut_shades(voi_lut) is None
