"""
Where the voxels of a NIfTI file lie: its affine in LPS and mm, or why there is none.

sform if its code is positive, else qform (nifti1.h, "3D IMAGE (VOLUME) ORIENTATION AND LOCATION IN SPACE").
Where neither has a code the place is unknown: the fall-back of the standard is a convention of display, and
nibabel and ITK invent different ones.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from nibabel.spatialimages import HeaderDataError

from loadstone.geometry import Finding, FindingKind
from loadstone_nifti.header import copied

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header


__all__ = ["Placement", "SlicePlane", "placement_of"]

Affine = npt.NDArray[np.float64]

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_UNITS = {1: 1000.0, 2: 1.0, 3: 0.001}
"""Code of the unit of length (m, mm, µm) to mm."""
_SPACE_CODE = 0x07
_SAME_PLACE = 0.01
"""sform and qform agree when no corner moves by more than this part of the smallest spacing."""
_FLAT = 1e-6
"""Volume of the cell of unit steps under which three directions lie in a plane."""


@dataclass(frozen=True, slots=True)
class SlicePlane:
    """Where one slice lies, in the terms of DICOM."""

    position: tuple[float, float, float]
    """Centre of the voxel (0, 0) of the slice, LPS, mm."""
    orientation: tuple[float, float, float, float, float, float]
    """Unit vectors along i and along j, LPS."""
    pixel_spacing: tuple[float, float]
    """Length of the steps of j (between rows) and of i (between columns), mm."""
    slice_distance: float
    """Perpendicular distance of neighbouring slices, mm."""


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """Where the voxels lie."""

    affine: Affine | None
    """4 x 4, LPS, mm: columns are the steps of i, j, k and the centre of voxel 0; None when unknown."""
    spacing: tuple[float | None, float | None, float | None]
    """Of i, j, k in mm."""
    findings: tuple[Finding, ...]
    """What was noticed."""

    def slice_plane(self, k: int) -> SlicePlane | None:
        """Return the place of slice `k`, or None when it is unknown."""
        if self.affine is None:
            return None
        # In Python's floats: of three numbers, each call of numpy takes longer than all of this.
        (ix, jx, kx, x), (iy, jy, ky, y), (iz, jz, kz, z) = self.affine[:3].tolist()
        columns, rows = math.hypot(ix, iy, iz), math.hypot(jx, jy, jz)
        normal = iy * jz - iz * jy, iz * jx - ix * jz, ix * jy - iy * jx
        return SlicePlane(
            position=(x + k * kx, y + k * ky, z + k * kz),
            orientation=(ix / columns, iy / columns, iz / columns, jx / rows, jy / rows, jz / rows),
            pixel_spacing=(rows, columns),
            slice_distance=abs(normal[0] * kx + normal[1] * ky + normal[2] * kz) / math.hypot(*normal),
        )


def placement_of(fields: Nifti1Header, dims: tuple[int, ...]) -> Placement:
    """
    Return where the voxels of a header lie; never raises, whatever the header says.

    Parameters
    ----------
    fields
        As nibabel reads it, unchecked.
    dims
        Sizes of i, j, k, …
    """
    findings: list[Finding] = []
    scale = _scale(fields, findings)
    with np.errstate(all="ignore"):  # what is not finite is found below
        affine = _affine(fields, dims, scale, findings)
    if affine is None:
        return Placement(None, _spacing_of_header(fields, scale), tuple(findings))
    affine = np.diag([scale, scale, scale, 1.0]) @ _RAS_TO_LPS @ affine
    i, j, k = (float(np.linalg.norm(affine[:3, axis])) for axis in range(3))
    return Placement(affine, (i, j, k), tuple(findings))


def _scale(fields: Nifti1Header, findings: list[Finding]) -> float:
    code = int(fields["xyzt_units"]) & _SPACE_CODE
    if code not in _UNITS:
        what = "has no unit" if code == 0 else f"has the undefined unit code {code}"
        findings.append(Finding(FindingKind.UNITS_ASSUMED, f"length {what}; it was taken as mm"))
    return _UNITS.get(code, 1.0)


def _spacing_of_header(fields: Nifti1Header, scale: float) -> tuple[float | None, float | None, float | None]:
    values = [abs(float(value)) * scale for value in fields["pixdim"][1:4]]
    i, j, k = (value if np.isfinite(value) and value > 0 else None for value in values)
    return i, j, k


def _affine(
    fields: Nifti1Header, dims: tuple[int, ...], scale: float, findings: list[Finding]
) -> Affine | None:
    """Return the affine in RAS and the file's unit."""
    sform_code, qform_code = int(fields["sform_code"]), int(fields["qform_code"])
    if sform_code <= 0 and qform_code <= 0:
        message = "neither sform nor qform has a code: where the voxels lie is unknown"
        findings.append(Finding(FindingKind.UNKNOWN_POSITION, message))
        return None
    qform = _qform(fields, findings) if qform_code > 0 else None
    if sform_code <= 0:
        return qform
    rows = (fields["srow_x"], fields["srow_y"], fields["srow_z"], (0, 0, 0, 1))
    sform = _checked(np.array(rows, dtype=np.float64), "sform", findings)
    if sform is None and qform is not None:
        message = f"the qform (code {qform_code}) is valid, but the sform has precedence"
        findings.append(Finding(FindingKind.NOTED, message))
    if sform is not None and qform is not None:
        _compare(sform, qform, dims, scale, findings)
    return sform


def _qform(fields: Nifti1Header, findings: list[Finding]) -> Affine | None:
    usable = copied(fields)
    pixdim = usable["pixdim"]
    if pixdim[0] == 0:
        pixdim[0] = 1  # "if qfac is 0 (which should not occur), it is taken to be 1"
    if (pixdim[1:4] < 0).any():
        message = f"pixdim has negative spacings {pixdim[1:4].tolist()}; their signs were left out"
        findings.append(Finding(FindingKind.NOTED, message))
        pixdim[1:4] = abs(pixdim[1:4])
    try:
        qform = usable.get_qform()  # type: ignore[no-untyped-call]
    except (HeaderDataError, ValueError) as error:
        message = f"the qform is not valid ({error}): where the voxels lie is unknown"
        findings.append(Finding(FindingKind.UNKNOWN_POSITION, message))
        return None
    return _checked(qform, "qform", findings)


def _checked(affine: Affine, name: str, findings: list[Finding]) -> Affine | None:
    """Return the affine if three independent directions are in it."""
    steps = np.asarray(affine, dtype=np.float64)[:3]
    lengths = np.linalg.norm(steps[:, :3], axis=0)
    if not np.isfinite(steps).all():
        why = "has values that are not finite"
    elif not lengths.all():
        why = f"has steps of length 0 along {', '.join(np.array(['i', 'j', 'k'])[lengths == 0])}"
    elif abs(np.linalg.det(steps[:, :3] / lengths)) < _FLAT:
        why = "has three directions that lie in one plane"
    else:
        return np.asarray(affine, dtype=np.float64)
    message = f"the {name} {why}: where the voxels lie is unknown"
    findings.append(Finding(FindingKind.UNKNOWN_POSITION, message))
    return None


def _compare(
    sform: Affine, qform: Affine, dims: tuple[int, ...], scale: float, findings: list[Finding]
) -> None:
    ends = itertools.product(*((0.0, float(size - 1)) for size in dims[:3]))
    corners = np.array([(*corner, 1.0) for corner in ends]).T
    moved = scale * float(np.linalg.norm(((sform - qform) @ corners)[:3], axis=0).max())
    tolerance = scale * _SAME_PLACE * float(np.linalg.norm(sform[:3, :3], axis=0).min())
    if moved > tolerance:
        message = f"sform and qform put a corner {moved:.4g} mm apart; the sform was used"
        kind = FindingKind.SFORM_QFORM_DIFFER
        findings.append(Finding(kind, message, distances=(moved,), tolerance=tolerance))
