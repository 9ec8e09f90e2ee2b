"""
Analyze 7.5 headers (Mayo Clinic, dbh.h): the ancestor of NIfTI-1, without orientation.

A header says how many voxels of which type and size there are, at the same bytes as in NIfTI-1. Where the
bytes differ (xyzt_units, the two forms) they mean something else in Analyze, and programs disagree about
whether the first column is on the left or on the right: the place is unknown.
"""

from __future__ import annotations

import math
from typing import Final

from nibabel.analyze import AnalyzeHeader
from nibabel.nifti1 import Nifti1Header

from loadstone.geometry import Finding, FindingKind

__all__ = ["as_nifti", "header_of"]

_SHARED: Final = ("dim", "datatype", "bitpix", "pixdim", "vox_offset", "cal_max", "cal_min", "descrip")
"""Fields with the same name and meaning in both."""


def header_of(start: bytes, order: str) -> AnalyzeHeader:
    """Return the header as nibabel knows it, unchecked."""
    return AnalyzeHeader(start, order, check=False)  # type: ignore[no-untyped-call]


def as_nifti(start: bytes, order: str) -> tuple[Nifti1Header, tuple[Finding, ...]]:
    """
    Return what an Analyze header says as a NIfTI-1 header, and what was noticed.

    SPM keeps a factor where Analyze has an unused float (funused1), at the bytes of scl_slope; it is applied.
    """
    header = header_of(start, order)
    fields = Nifti1Header(endianness=order)  # type: ignore[no-untyped-call]
    for name in _SHARED:
        fields[name] = header[name]
    message = "this is an Analyze 7.5 file: it does not say how its voxels are oriented"
    findings = [Finding(FindingKind.NOTED, message)]
    factor = float(Nifti1Header(start, order, check=False)["scl_slope"])  # type: ignore[no-untyped-call]
    if math.isfinite(factor) and factor not in {0.0, 1.0}:
        fields["scl_slope"], fields["scl_inter"] = factor, 0
        message = (
            f"voxels were multiplied by {factor:g}, which SPM keeps in a field that Analyze does not use"
        )
        findings.append(Finding(FindingKind.NOTED, message))
    return fields, tuple(findings)
