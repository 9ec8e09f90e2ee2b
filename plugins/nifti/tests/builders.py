"""NIfTI files for tests: written by nibabel, damaged on purpose, or found in its wheel or our data."""

from __future__ import annotations

import gzip
import os
import re
import tracemalloc
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest

from loadstone import Settings
from loadstone.testing.faults import Answer, Received
from loadstone_nifti.header import NiftiHeader, read_header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[3]
BUNDLED = Path(nib.__file__).parent / "tests" / "data"
AFFINE = np.array([[-2.0, 0, 0, 90], [0, 2, 0.5, -126], [0, -0.5, 2.5, -72], [0, 0, 0, 1]])
VOXELS = (np.arange(2 * 3 * 4).reshape(4, 3, 2) * 100 - 700).astype(np.int16)
"""Shape (4, 3, 2) along i, j, k; every value once."""


def shared(*parts: str) -> Path:
    """Return a path in the shared test data, or skip."""
    data = Path(os.environ.get("LOADSTONE_TEST_DATA", ROOT / "../shared/data"))
    path = data.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"no test data at {path}; set LOADSTONE_TEST_DATA")
    return path


NibabelImage: Any = nib.Nifti1Image
"""nibabel's classes are not annotated."""


def nifti(
    voxels: npt.NDArray[Any] = VOXELS,
    affine: npt.NDArray[Any] | None = AFFINE,
    *,
    version: int = 1,
    order: str = "<",
    **fields: Any,
) -> bytes:
    """
    Write voxels (axes i, j, k, …) as an uncompressed file; `fields` are set in the header, legal or not.

    Voxels are written as they are: ``scl_slope`` is not applied.
    """
    kind: Any = nib.Nifti1Image if version == 1 else nib.Nifti2Image
    header = kind.header_class(endianness=order)
    header.set_data_dtype(voxels.dtype)
    header.set_xyzt_units("mm", "sec")
    data = kind(voxels, affine, header).to_bytes()
    return edited(data, **fields)


def edited(data: bytes, **fields: Any) -> bytes:
    """Return the file with header fields changed and nothing checked; ``dim`` and ``pixdim`` take a dict."""
    first = header_class(data)
    size = first.template_dtype.itemsize
    header = first(data[:size], check=False)
    for name, value in fields.items():
        if isinstance(value, dict):
            for index, item in value.items():
                header[name][index] = item
        else:
            header[name] = value
    return bytes(header.binaryblock) + data[size:]


def header_class(data: bytes) -> Any:
    one = int.from_bytes(data[:4], "little") in {348, 0x5C010000}
    return nib.Nifti1Header if one else nib.Nifti2Header


def header_of(data: bytes, settings: Settings | None = None) -> NiftiHeader:
    return read_header(BytesIO(data), settings or Settings(), source="test")


def written(folder: Path, data: bytes, name: str = "image.nii", *, compress: bool = False) -> str:
    """Write a file and return its id."""
    path = folder / (f"{name}.gz" if compress else name)
    path.write_bytes(gzip.compress(data, 1) if compress else data)
    return f"nifti:{path}"


def by_nibabel(path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return voxels in the axis order of Loadstone, scaled as nibabel scales, and the RAS affine."""
    image: Any = nib.load(path)
    voxels = np.asanyarray(image.dataobj)
    if voxels.dtype.names:
        samples = np.stack([voxels[name] for name in voxels.dtype.names], axis=-1)
        return samples.transpose(*range(samples.ndim - 2, -1, -1), samples.ndim - 1), image.affine
    return voxels.T, image.affine


@contextmanager
def memory_growth_below(most: int) -> Iterator[None]:
    """Fail when Python and numpy allocate more than `most` bytes inside."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < most


def ranged(body: bytes, etag: str) -> Callable[[Received], Answer]:
    """Answer as a server does that gives byte ranges (RFC 9110, 14), and names the version if it can."""

    def answer(request: Received) -> Answer:
        headers = {"ETag": etag} if etag else {}
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range", ""))
        if found is None or request.headers.get("If-Range", etag) != etag:
            return Answer(body=body, headers=headers)
        start, end = int(found[1]), min(int(found[2]) + 1, len(body))
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(body)}"
        return Answer(status=206, body=body[start:end], headers=headers)

    return answer
