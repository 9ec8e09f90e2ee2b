"""Which pixels are padding, and the range of the others."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from loadstone.pixels import padding_mask, scale, scale_plan, value_range

AnyArray = npt.NDArray[Any]
DTYPES = [np.dtype(name) for name in ("u1", "i1", "u2", "i2", "i4", "u8", "i8", "f4", "f8")]
ENDS = st.integers(-70000, 70000) | st.floats(-300, 300)


def frames() -> st.SearchStrategy[AnyArray]:
    """Frames of any dtype, mostly of small values."""
    small = st.sampled_from([0, 1, 2, 5, 100])
    any_frame = st.sampled_from(DTYPES).flatmap(
        lambda dtype: arrays.arrays(
            dtype, arrays.array_shapes(min_dims=2, max_dims=2), elements=small | arrays.from_dtype(dtype)
        )
    )
    return any_frame.filter(lambda frame: not np.isinf(frame).any())


def is_padding(value: Any, padding: tuple[float, float]) -> bool:
    """Say so for one value, the ends rounded as the value was."""
    low, high = sorted(padding)
    if isinstance(value, np.floating):
        return bool(type(value)(low) <= value <= type(value)(high))
    return low <= int(value) <= high


@given(frame=frames(), padding=st.tuples(ENDS, ENDS))
def test_the_mask_is_the_range(frame: AnyArray, padding: tuple[float, float]) -> None:
    """Both ends belong to it, in any order, also where the dtype does not reach them."""
    expected = [[is_padding(value, padding) for value in row] for row in frame]

    assert padding_mask(frame, padding).tolist() == expected


@given(frame=frames(), padding=st.none() | st.tuples(ENDS, ENDS))
def test_the_range_leaves_padding_and_nan_out(frame: AnyArray, padding: tuple[float, float] | None) -> None:
    """It equals the extremes of what is left, or NaN."""
    kept = [
        float(value)
        for value in frame.flat
        if not np.isnan(value) and not (padding and is_padding(value, padding))
    ]
    expected = (min(kept), max(kept)) if kept else (math.nan, math.nan)

    assert np.array_equal(value_range(frame, padding), expected, equal_nan=True)


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4"])
def test_an_empty_frame_has_no_range(dtype: str) -> None:
    """NaN, not an error, because an image without pixels may still be described."""
    assert np.isnan(value_range(np.empty((0, 3), dtype), (0, 1))).all()


def test_padding_is_found_in_frames_larger_than_a_block() -> None:
    """The range is that of all blocks together, also where a block is nothing but padding."""
    frame = np.full((1000, 300), -2000, np.int16)
    frame[3, 4], frame[998, 299] = -1000, 3000

    assert value_range(frame, (-2000, -2000)) == (-1000, 3000)


def test_a_frame_of_padding_has_no_range() -> None:
    """There is nothing to show."""
    assert np.isnan(value_range(np.full((3, 3), -2000, np.int16), (-2000, -2000))).all()


def test_infinity_is_a_value() -> None:
    """Only NaN is none."""
    assert value_range(np.array([[-np.inf, np.nan, 1]]), None) == (-np.inf, 1)


def test_complex_values_have_the_range_of_their_magnitude() -> None:
    """They have no order of their own."""
    assert value_range(np.array([[3 + 4j, -1]]), None) == (1, 5)


@pytest.mark.parametrize("padding", [None, (math.nan, 1), (1, math.nan), (math.inf, math.inf), (300, 400)])
def test_what_no_pixel_can_be_is_no_padding(padding: tuple[float, float] | None) -> None:
    """A value outside the dtype stands for nothing."""
    mask = padding_mask(np.array([[0, 1, 255]], np.uint8), padding)

    assert mask.dtype == bool
    assert not mask.any()


def test_infinite_ends_mean_all_on_that_side() -> None:
    """A range may be open."""
    assert padding_mask(np.array([[0, 1, 255]], np.uint8), (-math.inf, 1)).tolist() == [[True, True, False]]


def test_a_colour_is_padding_when_all_samples_are() -> None:
    """One mask for the pixel."""
    frame = np.array([[[0, 0, 0], [0, 0, 9]]], np.uint8)

    assert padding_mask(frame, (0, 0)).tolist() == [[True, False]]


def test_bits_may_be_padding() -> None:
    """A mask of one bit has values too."""
    assert padding_mask(np.array([[True, False]]), (0, 0)).tolist() == [[False, True]]


@given(value=st.integers(0, 65535), slope=st.floats(1e-3, 1e3), intercept=st.floats(-1e4, 1e4))
def test_padding_is_found_after_scaling(value: int, slope: float, intercept: float) -> None:
    """The ends are rounded as the pixels were."""
    plan = scale_plan(np.dtype(np.uint16), slope, intercept, dtype=np.float32)
    frame = scale(plan, np.array([[value]], np.uint16))
    end = value * slope + intercept

    assert padding_mask(frame, (end, end)).all()
