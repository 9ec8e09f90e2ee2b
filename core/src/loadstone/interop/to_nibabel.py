"""A volume as a nibabel image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from loadstone.errors import GeometryError, UnsupportedError
from loadstone.geometry import direction_and_spacing
from loadstone.interop.needing import needing
from loadstone.interop.time_axis import regular_step

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header, Nifti1Image

    from loadstone.volume import Volume

__all__ = ["to_nibabel"]

_COLOUR: Final = {
    "rgb": np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]),
    "rgba": np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1"), ("A", "u1")]),
}
_MOST_NIFTI1: Final = 32767
"""Longest axis of NIfTI-1; NIfTI-2 takes longer ones."""
_OF_ANALYZE: Final = ("descrip", "cal_max", "cal_min")
"""What an Analyze header says that neither voxels nor spacing do, under the same names as in NIfTI-1."""
_SCANNER: Final = 1
"""Code of coordinates of the scanner, which DICOM's are (nifti1.h, NIFTI_XFORM_SCANNER_ANAT)."""
_UNKNOWN: Final = 0
_SAME_MM: Final = 1e-4
_ORTHOGONAL: Final = 1e-4
"""Most cosine between two axes; the tolerance of orientations."""


def to_nibabel(volume: Volume) -> Nifti1Image:
    """
    Return the volume as a NIfTI image of nibabel; see `Volume.to_nibabel`.

    Raises
    ------
    GeometryError
        If the place in space is unknown, and the volume is no NIfTI or Analyze file that says so itself.
    UnsupportedError
        If NIfTI has no voxels of that kind, or nibabel is not installed.
    """
    with needing("nibabel"):
        from nibabel.nifti1 import Nifti1Image
        from nibabel.nifti2 import Nifti2Header, Nifti2Image

    header = _nifti_header(volume)
    _refuse_unknown_place(volume, header)
    voxels = _voxels(volume)
    is_large = isinstance(header, Nifti2Header) or max(voxels.shape) > _MOST_NIFTI1
    kind: type[Nifti1Image] = Nifti2Image if is_large else Nifti1Image
    affine = None if volume.origin is None else volume.affine("RAS")
    try:
        image = kind(voxels, affine, header, dtype=voxels.dtype)
    except Exception as error:
        raise UnsupportedError(
            f"NIfTI has no voxels of {volume.dtype}", source=volume.volume_id, hint="Load it with dtype=."
        ) from error
    is_kept = header is not None and affine is not None and _says(header, affine)
    _write_steps(image.header, volume, is_kept=is_kept)
    if affine is not None and not is_kept:
        _place(image, affine)
    return image


def _nifti_header(volume: Volume) -> Nifti1Header | None:
    """
    Return a copy of the header that the volume was read from, if it was a NIfTI file.

    Of an Analyze file, from which NIfTI comes, it is one without a place in space.
    """
    from nibabel.analyze import AnalyzeHeader
    from nibabel.nifti1 import Nifti1Header

    header = volume.header()
    if isinstance(header, Nifti1Header):
        kept: Nifti1Header = header.copy()  # type: ignore[no-untyped-call]
        return kept
    if not isinstance(header, AnalyzeHeader):
        return None
    made = Nifti1Header()  # type: ignore[no-untyped-call]
    for name in _OF_ANALYZE:
        made[name] = header[name]
    return made


def _says(header: Nifti1Header, affine: npt.NDArray[np.float64]) -> bool:
    """Whether a file's own header still tells where the voxels lie; not where it has other units than mm."""
    own = header.get_best_affine()  # type: ignore[no-untyped-call]
    return np.allclose(own, affine, rtol=0, atol=_SAME_MM)


def _refuse_unknown_place(volume: Volume, header: Nifti1Header | None) -> None:
    if volume.origin is not None:
        return
    if header is not None and header["sform_code"] <= 0 and header["qform_code"] <= 0:
        return  # a file without a place in space is written as one
    raise GeometryError(
        "the place in space is unknown, and nibabel would invent one",
        source=volume.volume_id,
        hint="If you know it: nibabel.Nifti1Image(volume.array.T, your_affine).",
        report=volume.geometry,
    )


def _voxels(volume: Volume) -> npt.NDArray[Any]:
    """Return the array with axes i, j, k, … as nibabel has them: a view; colour as one structured value."""
    array = volume.array
    colour = _COLOUR.get(volume.axes[-1])
    if colour is None:
        return array.T
    if array.dtype != np.uint8:
        raise UnsupportedError(
            f"NIfTI has colour of 8 bits a sample only, not {array.dtype}",
            source=volume.volume_id,
            hint="Hand over one sample at a time.",
        )
    return array.view(colour)[..., 0].T


def _write_steps(header: Nifti1Header, volume: Volume, *, is_kept: bool) -> None:
    """Write the sizes of voxels in mm and the step of time in s, where the header does not have them."""
    zooms: list[float] = list(header.get_zooms())  # type: ignore[no-untyped-call]
    space, time = header.get_xyzt_units()  # type: ignore[no-untyped-call]
    start, step = regular_step(volume)
    if not is_kept:
        zooms[:3], space = [each or 1.0 for each in volume.spacing], "mm"
    if step is not None:
        zooms[3], time, header["toffset"] = step, "sec", start
    header.set_zooms(zooms)  # type: ignore[no-untyped-call]
    header.set_xyzt_units(space, time)  # type: ignore[no-untyped-call]


def _place(image: Nifti1Image, affine: npt.NDArray[np.float64]) -> None:
    """Write where it lies in coordinates of the scanner; a quaternion cannot express axes that lean."""
    direction = direction_and_spacing(affine)[0]
    is_orthogonal = np.abs(direction @ direction.T - np.eye(3)).max() <= _ORTHOGONAL
    image.set_sform(affine, _SCANNER)  # type: ignore[no-untyped-call]
    image.set_qform(affine, _SCANNER if is_orthogonal else _UNKNOWN)  # type: ignore[no-untyped-call]
