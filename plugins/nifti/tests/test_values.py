from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from loadstone.metadata import Scaling, Window
from loadstone_nifti.values import Meaning, meaning_of
from plugins.nifti.tests.builders import header_of, nifti


def meaning(**fields: Any) -> Meaning:
    return meaning_of(header_of(nifti(**fields)))


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, 0.0), (2.5, -1024.0), (-0.5, 3.0), (1.0, 7.0)])
def test_slope_and_intercept_are_those_of_the_header(slope: float, intercept: float) -> None:
    """Scaling is used when either differs from the identity, also when negative."""
    assert meaning(scl_slope=slope, scl_inter=intercept).scaling == Scaling(slope, intercept)


@pytest.mark.parametrize(("slope", "noted"), [(0.0, False), (math.nan, False), (math.inf, True)])
def test_a_slope_of_0_or_not_finite_is_no_scaling(slope: float, noted: bool) -> None:
    """By the standard 0 means none; what is not finite cannot be meant."""
    found = meaning(scl_slope=slope, scl_inter=5)

    assert found.scaling == Scaling()
    assert bool(found.findings) == noted


def test_an_intercept_that_is_not_finite_is_no_scaling() -> None:
    """A slope without a usable intercept is left out as well, and the report says so."""
    found = meaning(scl_slope=2, scl_inter=math.nan)

    assert found.scaling == Scaling()
    assert "not finite" in found.findings[0].message


def test_rgb_is_never_scaled() -> None:
    """The standard leaves RGB unscaled, whatever the fields say."""
    voxels = np.zeros((2, 2, 2), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))

    assert meaning(voxels=voxels, scl_slope=2, scl_inter=1).scaling == Scaling()


def test_cal_min_and_max_are_a_window() -> None:
    """The range to show becomes an exact linear window."""
    assert meaning(cal_min=-100, cal_max=300).voi_lut.windows == (
        Window(100, 400, "cal_min to cal_max", "LINEAR_EXACT"),
    )


@pytest.mark.parametrize(("low", "high"), [(0, 0), (5, 5), (9, 3), (math.nan, 3), (0, math.inf)])
def test_a_range_that_makes_no_sense_is_no_window(low: float, high: float) -> None:
    """An empty, reversed or infinite range is left out."""
    assert not meaning(cal_min=low, cal_max=high).voi_lut.windows


@pytest.mark.parametrize(("units", "text"), [(2 | 8, "2.5 s"), (2 | 16, "0.0025 s"), (2, "5 time points")])
def test_the_summary_names_the_time_step(units: int, text: str) -> None:
    """Seconds and milliseconds become seconds; without a unit of time there is no step."""
    found = meaning(voxels=np.zeros((2, 2, 2, 5), np.int16), xyzt_units=units, pixdim={4: 2.5})

    assert text in found.summary
    assert ("apart" in found.summary) == (units != 2)


def test_the_description_is_the_text_before_the_first_nul() -> None:
    """What follows the end of the text in the field is not shown."""
    found = meaning(descrip=b"T1 MPRAGE\0left over")

    assert found.series.series_description == "T1 MPRAGE"


@pytest.mark.parametrize(
    ("code", "values", "units"),
    [
        (8, (1.0, 3.5, 6.0), "s"),
        (16, (0.001, 0.0035, 0.006), "s"),
        (24, (1e-6, 3.5e-6, 6e-6), "s"),
        (32, (1.0, 3.5, 6.0), "Hz"),
        (0, (1.0, 3.5, 6.0), ""),
    ],
)
def test_time_points_are_in_seconds(code: int, values: tuple[float, ...], units: str) -> None:
    """The fourth axis is toffset + t * pixdim[4], in s or in what else it counts; no unit is no unit."""
    voxels = np.zeros((2, 2, 2, 3), np.int16)
    (axis,) = meaning(voxels=voxels, xyzt_units=2 | code, pixdim={4: 2.5}, toffset=1).coordinates

    assert (axis.name, axis.units, axis.source) == ("t", units, "pixdim[4]")
    assert axis.values == pytest.approx(values)


@pytest.mark.parametrize("step", [0, -2, math.nan, math.inf])
def test_time_points_without_a_step_are_counted(step: float) -> None:
    """What is no duration gives no times."""
    (axis,) = meaning(voxels=np.zeros((2, 2, 2, 3), np.int16), pixdim={4: step}).coordinates

    assert (axis.values, axis.units, axis.source) == ((0, 1, 2), "", "")


def test_a_step_that_is_no_step_is_noted_where_there_is_a_unit() -> None:
    """Seconds between time points are promised and not there; without a unit nothing was promised."""
    voxels = np.zeros((2, 2, 2, 3), np.int16)

    (finding,) = meaning(voxels=voxels, xyzt_units=2 | 8, pixdim={4: 0}).findings
    assert "counted" in finding.message
    assert not meaning(voxels=voxels, xyzt_units=2, pixdim={4: 0}).findings
    assert not meaning(voxels=voxels[..., :1], xyzt_units=2 | 8, pixdim={4: 0}).findings


@pytest.mark.parametrize(
    ("code", "text"), [(0, ""), (5, "intent z score"), (9999, "intent unknown code 9999")]
)
def test_the_summary_names_the_intent(code: int, text: str) -> None:
    """What the values are meant to be is told by name, or by its code where it has none."""
    assert meaning(intent_code=code, descrip=b"").summary == text
