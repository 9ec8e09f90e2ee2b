"""The dtype of modality values."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from loadstone.errors import MetadataError, UnsupportedError
from loadstone.pixels import alike, scale, scale_plan, widened

INTEGERS = [np.dtype(f"{kind}{size}") for kind in "iu" for size in (1, 2, 4, 8)]


@pytest.mark.parametrize(
    "stored", [*INTEGERS, *map(np.dtype, ("f2", "f4", "f8", "c8", "c16"))], ids=lambda dtype: dtype.name
)
def test_identity_keeps_the_stored_dtype(stored: np.dtype[Any]) -> None:
    """Nothing is applied, so nothing changes."""
    plan = scale_plan(stored, 1, 0, bits_stored=12)

    assert plan.dtype == stored
    assert plan.identity
    assert not plan.checked


def test_one_bit_becomes_uint8() -> None:
    """Segmentations are 0 and 1 as uint8, in their own memory."""
    plan = scale_plan(np.dtype(bool), 1, 0)

    assert plan.dtype == np.uint8
    assert plan.identity
    assert plan.in_place


@pytest.mark.parametrize(
    ("stored", "bits", "slope", "intercept", "expected"),
    [
        ("u2", 12, 1, -1024, "i2"),  # CT
        ("i2", 12, 1, -1024, "i2"),
        ("u2", 15, 1, -1024, "i2"),
        ("u2", 16, 1, -1024, "i2"),  # CT of GE: only the theoretical range is too long
        ("u2", None, 1, -1024, "i2"),
        ("i2", 16, 1, -1024, "i2"),
        ("u2", 16, 1, -32768, "i2"),
        ("u2", 16, 1, -40000, "i4"),  # not only the last bit is in the way
        ("i2", 16, 1, 20000, "i4"),
        ("i2", 16, 1, 32768, "u2"),
        ("u2", 16, 1, 10, "u2"),
        ("u2", 16, 2, 0, "u2"),
        ("u2", 16, 1000, 0, "u4"),
        ("u2", 12, 100, 0, "u4"),
        ("u2", 12, -1, 0, "i2"),
        ("u2", 12, 2, -4096, "i2"),
        ("u1", 8, 1, -1024, "i2"),  # 8 bits are all in use
        ("u1", 8, 2, 0, "u2"),
        ("u1", 7, 2, 0, "u1"),
        ("i1", 8, 1, 128, "u1"),
        ("i4", 32, 1, -1024, "i4"),
        ("u4", 32, 100000, 0, "u8"),
        ("?", 1, 1, -1, "i1"),
        ("u1", 12, 1, 1, "u2"),  # more bits than there are: all of them
    ],
)
def test_integral_scaling_takes_the_smallest_integer_type(
    stored: str, bits: int | None, slope: float, intercept: float, expected: str
) -> None:
    """It holds the declared range, and is never narrower than what is stored."""
    plan = scale_plan(np.dtype(stored), slope, intercept, bits_stored=bits)

    assert plan.dtype == expected


@pytest.mark.parametrize(
    ("stored", "slope", "intercept", "expected"),
    [
        ("u2", 0.5, 0, "f4"),
        ("u2", 1, 0.5, "f4"),
        ("u1", 1e-3, -1, "f4"),
        ("?", 0.5, 0, "f4"),
        ("f4", 2, 1, "f4"),
        ("f2", 2, 1, "f4"),
        ("f8", 2, 1, "f8"),
        ("i4", 0.5, 0, "f8"),
        ("u8", 0.5, 0, "f8"),
        ("u2", 1e36, 0, "f8"),
        ("u2", 1e-40, 0, "f8"),
        ("i8", 2.0**63, 0, "f8"),
        ("u2", 1e20, 0, "f4"),
    ],
)
def test_everything_else_becomes_a_float(stored: str, slope: float, intercept: float, expected: str) -> None:
    """float32, or float64 where float32 would lose integers or the range."""
    assert scale_plan(np.dtype(stored), slope, intercept).dtype == expected


@pytest.mark.parametrize("bits", [12, 16, None])
def test_frames_are_checked_while_a_stored_value_could_leave_the_dtype(bits: int | None) -> None:
    """Bits above BitsStored may be set in spite of the header."""
    plan = scale_plan(np.dtype(np.uint16), 1, -1024, bits_stored=bits)

    assert plan.checked
    assert plan.least is None
    assert plan.most == 32767 + 1024


@pytest.mark.parametrize(
    ("stored", "bits", "intercept"), [("u1", 8, -1024), ("u2", 16, -32768), ("u2", 16, -40000)]
)
def test_frames_are_not_checked_when_every_stored_value_fits(stored: str, bits: int, intercept: int) -> None:
    """No time is spent on what cannot happen."""
    assert not scale_plan(np.dtype(stored), 1, intercept, bits_stored=bits).checked


@given(
    stored=st.sampled_from(INTEGERS),
    bits=st.none() | st.integers(1, 64),
    slope=st.integers(-5000, 5000).filter(bool),
    intercept=st.integers(-70000, 70000),
)
def test_a_widened_plan_holds_every_stored_value(
    stored: np.dtype[Any], bits: int | None, slope: int, intercept: int
) -> None:
    """One widening suffices, whatever the frames hold."""
    wide = widened(scale_plan(stored, slope, intercept, bits_stored=bits))
    ends = np.array([np.iinfo(stored).min, np.iinfo(stored).max], stored)

    assert not wide.checked
    assert wide.dtype == np.float64 or scale(wide, ends).tolist() == [
        slope * end + intercept for end in ends.tolist()
    ]


@given(
    stored=st.sampled_from(INTEGERS),
    bits=st.none() | st.integers(1, 64),
    slope=st.integers(-5000, 5000).filter(bool),
    intercept=st.integers(-70000, 70000),
)
def test_widening_keeps_what_is_scaled_already(
    stored: np.dtype[Any], bits: int | None, slope: int, intercept: int
) -> None:
    """The results so far convert to the wider dtype without a loss."""
    plan = scale_plan(stored, slope, intercept, bits_stored=bits)
    wide = widened(plan)
    assume(wide.dtype != np.float64)
    ends = [value for value in (plan.least, plan.most) if value is not None]
    fitting = np.array(ends, stored)

    assert np.array_equal(scale(plan, fitting).astype(wide.dtype), scale(wide, fitting))


def test_a_widened_ct_is_int32() -> None:
    """The next type after int16."""
    assert widened(scale_plan(np.dtype(np.uint16), 1, -1024)).dtype == np.int32


@pytest.mark.parametrize(
    ("slope", "intercept", "dtype"), [(0.5, 0, None), (1, -32768, None), (1, -1024, "i2"), (1, -1024, "f4")]
)
def test_what_cannot_overflow_or_is_requested_is_not_widened(
    slope: float, intercept: float, dtype: str | None
) -> None:
    """Other parts of the block may be; these stay as they are."""
    plan = scale_plan(np.dtype(np.uint16), slope, intercept, dtype=dtype)

    assert widened(plan) is plan


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (("u2", 1, 0), ("u2", 1, -1024), "i4"),
        (("i2", 1, 0), ("i2", 1, -1024), "i2"),
        (("u1", 1, 0), ("i2", 1, 0), "i2"),
        (("i2", 1, 0), ("i2", 0.5, 0), "f4"),
        (("i4", 1, 0), ("i2", 0.5, 0), "f8"),
    ],
)
def test_plans_for_one_array_have_one_dtype(
    first: tuple[str, float, float], second: tuple[str, float, float], expected: str
) -> None:
    """It holds what each of them holds."""
    plans = [scale_plan(np.dtype(stored), slope, intercept) for stored, slope, intercept in (first, second)]

    assert {plan.dtype for plan in alike(plans)} == {np.dtype(expected)}
    assert [plan.slope for plan in alike(plans)] == [first[1], second[1]]


def test_plans_for_one_array_still_widen() -> None:
    """The dtype that they share is not one that the caller asked for."""
    stored = np.dtype(np.uint16)
    plans = alike([scale_plan(stored, 1, -1024), scale_plan(np.dtype(np.int16), 1, 0)])
    wide = alike([widened(plan) for plan in plans])

    assert [plan.checked for plan in plans] == [True, False]
    assert not any(plan.requested for plan in plans)
    assert {plan.dtype for plan in wide} == {np.dtype(np.int32)}
    assert scale(wide[0], np.array([65535], stored)).tolist() == [64511]


@pytest.mark.parametrize("slope", [0, math.nan, math.inf, -math.inf])
def test_an_impossible_slope_is_refused(slope: float) -> None:
    """It would make all values equal, or none."""
    with pytest.raises(MetadataError, match="slope"):
        scale_plan(np.dtype(np.int16), slope, 0)


@pytest.mark.parametrize("intercept", [math.nan, math.inf])
def test_an_impossible_intercept_is_refused(intercept: float) -> None:
    """No value would be left."""
    with pytest.raises(MetadataError, match="intercept"):
        scale_plan(np.dtype(np.int16), 1, intercept)


def test_a_slope_beyond_the_range_of_floats_is_refused() -> None:
    """Infinity is no modality value."""
    with pytest.raises(MetadataError, match="range of floats"):
        scale_plan(np.dtype(np.int16), 1e308, 0)


@pytest.mark.parametrize(("scaled", "colour"), [(False, False), (True, True)])
def test_what_is_not_scaled_does_not_look_at_the_slope(scaled: bool, colour: bool) -> None:
    """A broken slope does not keep anybody from the stored values or from colours."""
    plan = scale_plan(np.dtype(np.uint8), 0, math.nan, bits_stored=0, scaled=scaled, colour=colour)

    assert plan.identity


def test_no_bits_stored_is_refused() -> None:
    """A sample needs a bit."""
    with pytest.raises(MetadataError, match="0 bits"):
        scale_plan(np.dtype(np.uint8), 1, -1, bits_stored=0)


@pytest.mark.parametrize("stored", ["M8[s]", "O", "U4"])
def test_what_are_no_pixels_is_refused(stored: str) -> None:
    """Only numbers are pixels."""
    with pytest.raises(UnsupportedError, match="dtype"):
        scale_plan(np.dtype(stored), 1, 0)


def test_complex_values_are_not_scaled() -> None:
    """Rescaling is not defined for them."""
    with pytest.raises(UnsupportedError, match="complex64"):
        scale_plan(np.dtype(np.complex64), 2, 0)


@pytest.mark.parametrize("dtype", ["c8", "?", "U1", "O"])
def test_a_wanted_dtype_is_an_integer_or_a_float(dtype: str) -> None:
    """Nothing else can hold modality values."""
    with pytest.raises(MetadataError, match="cannot be loaded"):
        scale_plan(np.dtype(np.int16), 1, 0, dtype=dtype)


def test_a_wanted_dtype_wins() -> None:
    """The caller decides."""
    plan = scale_plan(np.dtype(np.uint16), 1, -1024, bits_stored=12, dtype=">f8")

    assert plan.dtype == np.float64
    assert plan.dtype.isnative


def test_the_other_byte_order_becomes_native_outside_its_own_memory() -> None:
    """Results are native, which swapped bytes in place are not."""
    plan = scale_plan(np.dtype(">i2"), 1, 0)

    assert plan.dtype == np.dtype("=i2")
    assert not plan.in_place
    assert not plan.identity


def test_a_plan_pickles() -> None:
    """It may go to another process."""
    plan = scale_plan(np.dtype(np.uint16), 1, -1024)

    assert pickle.loads(pickle.dumps(plan)) == plan
