"""
The datatypes of NIfTI-1 and NIfTI-2 (``datatype`` in nifti1.h) and the arrays that they become.

Those of Analyze 7.5 are the first of them, with the same codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from loadstone.errors import UnsupportedError

__all__ = ["Datatype", "datatype_of"]


@dataclass(frozen=True, slots=True)
class Datatype:
    """One datatype that can be read."""

    name: str
    """Its name in nifti1.h, without the prefix."""
    dtype: np.dtype[Any]
    """Of the array, native byte order."""
    samples: int = 1
    """Samples of a voxel: 1, 3 for RGB, 4 for RGBA."""

    @property
    def nbytes(self) -> int:
        """Bytes of a voxel."""
        return self.dtype.itemsize * self.samples

    @property
    def photometric_interpretation(self) -> str:
        """MONOCHROME2, RGB or RGBA."""
        return {1: "MONOCHROME2", 3: "RGB", 4: "RGBA"}[self.samples]

    @property
    def bits(self) -> int | None:
        """Bits of a sample that carry a value, for integers."""
        return self.dtype.itemsize * 8 if self.dtype.kind in "iu" else None


_READ = {
    2: Datatype("UINT8", np.dtype(np.uint8)),
    4: Datatype("INT16", np.dtype(np.int16)),
    8: Datatype("INT32", np.dtype(np.int32)),
    16: Datatype("FLOAT32", np.dtype(np.float32)),
    32: Datatype("COMPLEX64", np.dtype(np.complex64)),
    64: Datatype("FLOAT64", np.dtype(np.float64)),
    128: Datatype("RGB24", np.dtype(np.uint8), 3),
    256: Datatype("INT8", np.dtype(np.int8)),
    512: Datatype("UINT16", np.dtype(np.uint16)),
    768: Datatype("UINT32", np.dtype(np.uint32)),
    1024: Datatype("INT64", np.dtype(np.int64)),
    1280: Datatype("UINT64", np.dtype(np.uint64)),
    1792: Datatype("COMPLEX128", np.dtype(np.complex128)),
    2304: Datatype("RGBA32", np.dtype(np.uint8), 4),
}
_REFUSED = {0: "UNKNOWN", 1: "BINARY", 1536: "FLOAT128", 2048: "COMPLEX256"}
"""128-bit floats differ between machines (quadruple, 80 bits padded, two doubles): none is right."""


def datatype_of(code: int, *, source: str) -> Datatype:
    """
    Return the datatype of a code.

    Raises
    ------
    UnsupportedError
        If it is none that can be read; the message names it.
    """
    if code in _READ:
        return _READ[code]
    raise UnsupportedError(
        f"the voxels have the datatype {_REFUSED.get(code, 'that NIfTI does not have')} (code {code}), "
        "which is not read",
        source=source,
        hint="Integers of 8 to 64 bits, FLOAT32, FLOAT64, COMPLEX64, COMPLEX128, RGB24 and RGBA32 are; "
        "convert it with nibabel.",
    )
