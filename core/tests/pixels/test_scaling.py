"""The values after scaling."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydicom.data import get_testdata_file
from pydicom.pixels import apply_rescale

from loadstone.errors import MetadataError, PluginContractError
from loadstone.pixels import FrameDoesNotFit, ScalePlan, scale, scale_into, scale_plan, widened

AnyArray = npt.NDArray[Any]

INTEGERS = [np.dtype(f"{kind}{size}") for kind in "iu" for size in (1, 2, 4, 8)]
WIDE_INTEGERS = [dtype for dtype in INTEGERS if dtype.itemsize > 1]
FRACTIONS = st.floats(-1e6, 1e6, allow_subnormal=False).filter(lambda value: abs(value) > 1e-6)


def frames(
    dtypes: list[np.dtype[Any]], values: st.SearchStrategy[int] | None = None
) -> st.SearchStrategy[AnyArray]:
    """Frames with these values, or any that their dtype can hold."""
    shapes = arrays.array_shapes(min_dims=2, max_dims=3, max_side=5)
    return st.sampled_from(dtypes).flatmap(lambda dtype: arrays.arrays(dtype, shapes, elements=values))


def scaled_widening(plan: ScalePlan, stored: AnyArray) -> tuple[ScalePlan, AnyArray]:
    """Scale as a caller does: widen once when a frame does not fit."""
    try:
        return plan, scale(plan, stored)
    except FrameDoesNotFit:
        plan = widened(plan)
        return plan, scale(plan, stored)


def exact(stored: AnyArray, slope: int, intercept: int) -> list[int]:
    """Return what the result has to be, in integers of any length."""
    return [slope * int(value) + intercept for value in stored.flat]


@given(
    stored=frames(INTEGERS),
    bits=st.none() | st.integers(1, 64),
    slope=st.integers(-70000, 70000).filter(bool),
    intercept=st.integers(-(2**40), 2**40),
)
def test_integers_are_exact_whatever_the_frame_holds(
    stored: AnyArray, bits: int | None, slope: int, intercept: int
) -> None:
    """Nothing wraps, even where a frame breaks the promise of its header."""
    plan, result = scaled_widening(scale_plan(stored.dtype, slope, intercept, bits_stored=bits), stored)
    expected = exact(stored, slope, intercept)

    assert result.dtype == plan.dtype
    if plan.dtype.kind == "f":
        assert result.tolist() == (stored.astype(np.float64) * slope + intercept).astype(plan.dtype).tolist()
    else:
        assert [int(value) for value in result.flat] == expected


@given(
    stored=frames(INTEGERS),
    bits=st.integers(1, 64),
    slope=st.integers(-300, 300).filter(bool),
    intercept=st.integers(-70000, 70000),
)
def test_a_frame_is_refused_exactly_when_a_value_does_not_fit(
    stored: AnyArray, bits: int, slope: int, intercept: int
) -> None:
    """The check neither misses a value nor widens without need."""
    plan = scale_plan(stored.dtype, slope, intercept, bits_stored=bits)
    assume(plan.dtype.kind != "f" and not plan.identity)
    limits = np.iinfo(plan.dtype)
    fits = all(limits.min <= value <= limits.max for value in exact(stored, slope, intercept))
    out = np.zeros(stored.shape, plan.dtype)

    if fits:
        scale_into(plan, stored, out)
    else:
        with pytest.raises(FrameDoesNotFit):
            scale_into(plan, stored, out)
        assert not out.any()


def test_bounds_spare_a_look() -> None:
    """Bounds that the plan admits spare the look at the frame; others, and none, do not."""
    plan = scale_plan(np.dtype(np.uint16), 1, -1024, bits_stored=12)
    stored = np.array([[0, 4095]], np.uint16)
    beyond = np.array([[0, 65535]], np.uint16)
    out = np.zeros(stored.shape, plan.dtype)

    scale_into(plan, stored, out, (0, 4095))
    assert out.tolist() == [[-1024, 3071]]
    assert plan.admits((0, 4095))
    for bounds in (None, (0, 65535), (-1, 40000)):
        assert not plan.admits(bounds)
        with pytest.raises(FrameDoesNotFit):
            scale_into(plan, beyond, out, bounds)


@given(
    stored=frames(WIDE_INTEGERS, values=st.integers(0, 100)),
    slope=st.integers(-300, 300).filter(bool),
    intercept=st.integers(-2000, 2000),
    kind=st.sampled_from("if"),
)
def test_in_place_equals_elsewhere(stored: AnyArray, slope: int, intercept: int, kind: str) -> None:
    """Stored values may be overwritten by their results."""
    plan = scale_plan(stored.dtype, slope, intercept, dtype=f"{kind}{stored.itemsize}")
    expected = scale(plan, stored)
    scale_into(plan, stored, stored.view(plan.dtype))

    assert np.array_equal(stored.view(plan.dtype), expected)


@given(stored=frames([*INTEGERS, np.dtype(bool)]), slope=FRACTIONS, intercept=FRACTIONS)
def test_fractions_are_computed_in_float64_and_rounded_once(
    stored: AnyArray, slope: float, intercept: float
) -> None:
    """Equal bit for bit to the formula over the whole frame."""
    assume(not (slope.is_integer() and intercept.is_integer()))
    plan = scale_plan(stored.dtype, slope, intercept)
    expected = (stored.astype(np.float64) * slope + intercept).astype(plan.dtype)

    assert scale(plan, stored).tobytes() == expected.tobytes()


@given(value=st.integers(0, 65535), slope=FRACTIONS, intercept=FRACTIONS)
def test_fractions_are_near_the_rational_result(value: int, slope: float, intercept: float) -> None:
    """float32 is as near as its precision allows, with no cancellation but that of float64."""
    plan = scale_plan(np.dtype(np.uint16), slope, intercept, dtype=np.float32)
    result = Fraction(float(scale(plan, np.array([value], np.uint16))[0]))
    exact_result = Fraction(slope) * value + Fraction(intercept)
    parts = abs(Fraction(slope) * value) + abs(Fraction(intercept))

    assert abs(result - exact_result) <= abs(exact_result) * Fraction(2) ** -23 + parts * Fraction(2) ** -51


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("transposed", [False, True], ids=["contiguous", "transposed"])
def test_frames_larger_than_a_block_are_scaled_whole(dtype: npt.DTypeLike, *, transposed: bool) -> None:
    """Blocks meet without a seam, also in memory that is not contiguous."""
    stored = np.random.default_rng(0).integers(0, 4096, (700, 333)).astype(np.uint16)
    stored = stored.T if transposed else stored
    plan = scale_plan(stored.dtype, 0.1, -3.7, dtype=dtype)

    assert np.array_equal(scale(plan, stored), (stored.astype(np.float64) * 0.1 - 3.7).astype(dtype))


@pytest.mark.parametrize(("slope", "dtype"), [(1, "i2"), (3, "i2"), (1, "i4"), (0.1, "f4"), (0.1, "f8")])
def test_scaling_needs_no_copy_of_the_frame(slope: float, dtype: str) -> None:
    """A volume takes its own memory and little more."""
    stored = np.full((1024, 1024), 7, np.uint16)
    plan = scale_plan(stored.dtype, slope, -100, dtype=dtype)
    out = np.empty(stored.shape, plan.dtype)
    tracemalloc.start()
    try:
        scale_into(plan, stored, out)
        if plan.in_place:
            scale_into(plan, stored, stored.view(plan.dtype))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < stored.nbytes / 4


@pytest.mark.parametrize("intercept", [-1024, 0.5])
def test_a_frame_without_pixels_stays_empty(intercept: float) -> None:
    """There is nothing to check or compute."""
    stored = np.empty((0, 4), np.uint16)

    assert scale(scale_plan(stored.dtype, 1, intercept), stored).shape == (0, 4)


def test_identity_gives_the_same_memory() -> None:
    """No copy where nothing is applied."""
    stored = np.array([[True, False]])
    result = scale(scale_plan(stored.dtype, 1, 0), stored)

    assert np.shares_memory(result, stored)
    assert result.dtype == np.uint8
    assert result.tolist() == [[1, 0]]


def test_identity_in_place_leaves_the_memory_alone() -> None:
    """What is where it belongs needs no copy, not even onto itself."""
    stored = np.array([[1, 2]], np.int16)
    stored.setflags(write=False)
    scale_into(scale_plan(stored.dtype, 1, 0), stored, stored.view())

    assert stored.tolist() == [[1, 2]]


def test_identity_is_copied_into_given_memory() -> None:
    """A volume's slice gets the stored values."""
    stored = np.arange(6, dtype=np.int16).reshape(2, 3)
    out = np.zeros((2, 3), np.int16)
    scale_into(scale_plan(stored.dtype, 1, 0), stored, out)

    assert np.array_equal(out, stored)


@pytest.mark.parametrize(("intercept", "expected"), [(0, [1, 256]), (-2, [-1, 254]), (0.5, [1.5, 256.5])])
def test_the_other_byte_order_gives_the_same_values(intercept: float, expected: list[float]) -> None:
    """Swapped bytes are values like any others."""
    stored = np.array([1, 256], ">u2")

    assert scale(scale_plan(stored.dtype, 1, intercept, bits_stored=12), stored).tolist() == expected


def test_a_frame_of_another_dtype_is_refused() -> None:
    """The check of the range would look at the wrong range."""
    plan = scale_plan(np.dtype(np.uint16), 1, -1024)
    with pytest.raises(PluginContractError, match="int16, the headers promised uint16"):
        scale(plan, np.zeros((2, 2), np.int16))


@pytest.mark.parametrize("name", ["CT_small.dcm", "693_J2KI.dcm", "J2K_pixelrep_mismatch.dcm"])
def test_real_images_equal_those_of_pydicom(name: str) -> None:
    """Modality values are a matter of the standard, not of the program."""
    dataset = pydicom.dcmread(str(get_testdata_file(name, download=False)))
    stored = dataset.pixel_array
    plan = scale_plan(
        stored.dtype,
        float(dataset.RescaleSlope),
        float(dataset.RescaleIntercept),
        bits_stored=dataset.BitsStored,
    )

    assert np.array_equal(scale(plan, stored), apply_rescale(stored, dataset))
    assert plan.dtype == np.int16


# A wanted dtype.


@given(stored=frames(INTEGERS), dtype=st.sampled_from(INTEGERS), slope=st.sampled_from([1, -1, 7]))
def test_a_wanted_integer_dtype_is_exact_or_refused(
    stored: AnyArray, dtype: np.dtype[Any], slope: int
) -> None:
    """Every value is representable, or the load fails."""
    plan = scale_plan(stored.dtype, slope, 3, dtype=dtype)
    limits = np.iinfo(dtype)
    expected = exact(stored, slope, 3)

    if all(limits.min <= value <= limits.max for value in expected):
        assert [int(value) for value in scale(plan, stored).flat] == expected
    else:
        with pytest.raises(MetadataError, match=f"is no {dtype}"):
            scale(plan, stored)


@pytest.mark.parametrize("dtype", ["i1", "i2", "i8", "u8"])
def test_floats_that_are_integers_become_integers_when_asked(dtype: str) -> None:
    """Many NIfTI files hold labels as floats."""
    stored = np.array([[0, 3, 40]], np.float32)

    assert scale(scale_plan(stored.dtype, 2, 1, dtype=dtype), stored).tolist() == [[1, 7, 81]]


@pytest.mark.parametrize("value", [0.5, 300, -200, np.nan, np.inf, 2.0**70])
def test_floats_that_are_no_integers_of_that_dtype_are_refused(value: float) -> None:
    """Fractions are not cut off, NaN does not become a number."""
    stored = np.array([[1, value]], np.float64)
    with pytest.raises(MetadataError, match="is no int8"):
        scale(scale_plan(stored.dtype, 1, 0, dtype="i1"), stored)


@pytest.mark.parametrize("dtype", ["f2", "f4"])
@pytest.mark.parametrize("slope", [1, 2])
def test_a_float_beyond_the_wanted_range_is_refused(dtype: str, slope: float) -> None:
    """Infinity is not a rounding of a number."""
    stored = np.array([[1e300]])
    with pytest.raises(MetadataError, match="range of float"):
        scale(scale_plan(stored.dtype, slope, 0, dtype=dtype), stored)


def test_stored_infinity_and_nan_stay() -> None:
    """What the file holds is not an overflow."""
    stored = np.array([[np.inf, -np.inf, np.nan]], np.float32)

    assert np.array_equal(scale(scale_plan(stored.dtype, -2, 1), stored), -stored, equal_nan=True)


@pytest.mark.parametrize("dtype", [None, "f4", "f8"])
@pytest.mark.parametrize("slope", [1, 2])
@pytest.mark.parametrize("stored", ["f2", "f4", "f8"])
def test_a_signalling_nan_is_a_nan(stored: str, slope: float, dtype: str | None) -> None:
    """Files of floats hold any bits; none of them warns."""
    frame = np.array([[np.inf, 1]], stored)
    frame.view(f"u{frame.itemsize}")[0, 0] += (
        1  # the exponent of infinity with a fraction whose first bit is 0
    )
    result = scale(scale_plan(frame.dtype, slope, 0, dtype=dtype), frame)

    assert np.array_equal(result, [[np.nan, slope]], equal_nan=True)


def test_colour_takes_a_wanted_dtype_without_scaling() -> None:
    """Slope and intercept do not apply to samples of colour."""
    stored = np.array([[[1, 2, 3]]], np.uint8)
    plan = scale_plan(stored.dtype, 2, -1, colour=True, dtype=np.float32)

    assert scale(plan, stored).tolist() == [[[1, 2, 3]]]
