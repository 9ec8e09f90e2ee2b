"""What stored voxels mean: scaling, the range to show, and what the header says in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from loadstone.geometry import Axis, Finding, FindingKind
from loadstone.metadata import GeneralSeries, Scaling, VoiLut, Window
from loadstone_nifti.header import AXES

if TYPE_CHECKING:
    from loadstone_nifti.header import NiftiHeader

__all__ = ["Meaning", "meaning_of"]

_AXIS_UNITS: Final = {
    8: (1.0, "s"),
    16: (1e-3, "s"),
    24: (1e-6, "s"),
    32: (1.0, "Hz"),
    40: (1.0, "ppm"),
    48: (1.0, "rad/s"),
}
"""Code of the unit of the fourth axis (s, ms, µs, …) to a factor and the unit of what it gives."""
_TIME_CODE: Final = 0x38


@dataclass(frozen=True, slots=True, eq=False)
class Meaning:
    """What stored voxels mean."""

    scaling: Scaling
    """Slope and intercept; 1 and 0 where the header has none."""
    voi_lut: VoiLut
    """The window from cal_min to cal_max, where the header has one."""
    series: GeneralSeries
    """With ``descrip`` as its description."""
    coordinates: tuple[Axis, ...]
    """The time points, in s where the unit is recorded; empty where there is no fourth axis."""
    summary: str
    """One line for a person."""
    findings: tuple[Finding, ...] = ()
    """What was noticed."""


def meaning_of(header: NiftiHeader) -> Meaning:
    """Return what the voxels of a header mean."""
    scaling, findings = _scaling(header)
    text = bytes(header.fields["descrip"]).split(b"\0")[0].decode("utf-8", "replace").strip()
    coordinates = _coordinates(header)
    return Meaning(
        scaling=scaling,
        voi_lut=_window(float(header.fields["cal_min"]), float(header.fields["cal_max"])),
        series=GeneralSeries(series_description=text),
        coordinates=coordinates,
        summary=", ".join(filter(None, (text, _intent(header), *map(_in_words, coordinates)))),
        findings=(*findings, *_step_finding(header)),
    )


def _scaling(header: NiftiHeader) -> tuple[Scaling, tuple[Finding, ...]]:
    """
    Return scl_slope and scl_inter by the standard.

    A slope of 0 means that there is no scaling, and so do values that are not finite; RGB is never scaled
    (nifti1.h, "DATA SCALING").
    """
    slope, intercept = float(header.fields["scl_slope"]), float(header.fields["scl_inter"])
    if slope == 0 or math.isnan(slope) or header.datatype.samples > 1:
        return Scaling(), ()
    if not (math.isfinite(slope) and math.isfinite(intercept)):
        message = f"scl_slope {slope:g} and scl_inter {intercept:g} are not finite; nothing is scaled"
        return Scaling(), (Finding(FindingKind.NOTED, message),)
    return Scaling(slope, intercept), ()


def _window(low: float, high: float) -> VoiLut:
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        return VoiLut()
    return VoiLut((Window((low + high) / 2, high - low, "cal_min to cal_max", "LINEAR_EXACT"),))


def _coordinates(header: NiftiHeader) -> tuple[Axis, ...]:
    """
    Return the points of the fourth axis: toffset + t * pixdim[4] (nifti1.h, "UNITS OF SPATIAL AND TEMPORAL").

    Without a usable step they are only counted.
    """
    if len(header.dims) < 4:
        return ()
    count, name = header.dims[3], AXES[3]
    step, start = float(header.fields["pixdim"][4]), float(header.fields["toffset"])
    factor, units = _AXIS_UNITS.get(int(header.fields["xyzt_units"]) & _TIME_CODE, (1.0, ""))
    if not (math.isfinite(step) and step > 0):
        return (Axis(name, tuple(map(float, range(count)))),)
    start = start if math.isfinite(start) else 0.0
    values = tuple((start + index * step) * factor for index in range(count))
    return (Axis(name, values, units, "pixdim[4]"),)


def _step_finding(header: NiftiHeader) -> tuple[Finding, ...]:
    """Say that the points of the fourth axis are only counted, where there is a unit and no usable step."""
    step = float(header.fields["pixdim"][4])
    units = int(header.fields["xyzt_units"]) & _TIME_CODE
    if len(header.dims) < 4 or header.dims[3] == 1 or not units or (math.isfinite(step) and step > 0):
        return ()
    message = f"pixdim[4] is {step:g}: the points of the fourth axis are counted, their distance is unknown"
    return (Finding(FindingKind.NOTED, message),)


def _in_words(axis: Axis) -> str:
    if len(axis) == 1:
        return ""
    step = f" {float(axis.values[1]) - float(axis.values[0]):g} {axis.units} apart" if axis.units else ""
    return f"{len(axis)} time points{step}" if axis.units in {"", "s"} else f"{len(axis)} points{step}"


def _intent(header: NiftiHeader) -> str:
    """Say what the values are meant to be, where the header has an intent."""
    if header.layout.is_analyze or not int(header.fields["intent_code"]):
        return ""
    return f"intent {header.fields.get_intent()[0]}"  # type: ignore[no-untyped-call]
