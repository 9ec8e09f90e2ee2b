"""What stored voxels mean: scaling, the range to show, and what the header says in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadstone.geometry import Finding, FindingKind
from loadstone.metadata import GeneralSeries, Scaling, VoiLut, Window

if TYPE_CHECKING:
    from loadstone_nifti.header import NiftiHeader

__all__ = ["Meaning", "meaning_of"]

_TIME_UNITS = {8: 1.0, 16: 1e-3, 24: 1e-6}
"""Code of the unit of time (s, ms, µs) to s."""
_TIME_CODE = 0x38


@dataclass(frozen=True, slots=True, eq=False)
class Meaning:
    """What stored voxels mean."""

    scaling: Scaling
    """Slope and intercept; 1 and 0 where the header has none."""
    voi_lut: VoiLut
    """The window from cal_min to cal_max, where the header has one."""
    series: GeneralSeries
    """With ``descrip`` as its description."""
    summary: str
    """One line for a person."""
    findings: tuple[Finding, ...] = ()
    """What was noticed."""


def meaning_of(header: NiftiHeader) -> Meaning:
    """Return what the voxels of a header mean."""
    scaling, findings = _scaling(header)
    text = bytes(header.fields["descrip"]).split(b"\0")[0].decode("utf-8", "replace").strip()
    return Meaning(
        scaling=scaling,
        voi_lut=_window(float(header.fields["cal_min"]), float(header.fields["cal_max"])),
        series=GeneralSeries(series_description=text),
        summary=", ".join(filter(None, (text, _times(header)))),
        findings=findings,
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


def _times(header: NiftiHeader) -> str:
    if len(header.dims) < 4 or header.dims[3] == 1:
        return ""
    step = float(header.fields["pixdim"][4])
    unit = _TIME_UNITS.get(int(header.fields["xyzt_units"]) & _TIME_CODE)
    apart = f" {step * unit:g} s apart" if unit is not None and math.isfinite(step) and step > 0 else ""
    return f"{header.dims[3]} time points{apart}"
