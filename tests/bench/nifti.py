"""NIfTI: compressed CT and fMRI as a whole and their first slice, an uncompressed CT."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np
import numpy.typing as npt
import SimpleITK
from isal import igzip

import loadstone
from tests.bench.bare import SLICE_BYTES
from tests.bench.contest import Contest
from tests.bench.folders import loaded
from tests.bench.kept import kept_folder
from tests.bench.phantom import SIZE, SLICES, slices

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["nifti_contests"]

AFFINE = np.diag([-0.78125, -0.78125, 1.5, 1.0])
FMRI = (200, 36, 64, 64)
HEADER_BYTES = 352


def nifti_contests(root: Path) -> Iterator[Contest]:
    """Against nibabel and SimpleITK, which reads the file only as a whole."""
    files = kept_folder(root, "nifti", _write)
    for name, goal_simpleitk in (("ct", 0.95), ("fmri", 0.7)):
        file = files / f"{name}.nii.gz"
        whole = partial(loaded, f"nifti:{file}")
        bare = [partial(_inflate, file)]
        yield Contest(f"{file.name}, whole", "nibabel", whole, partial(_nibabel, file), 2.2, bare)
        yield Contest(
            f"{file.name}, whole", "SimpleITK", whole, partial(_simpleitk, file), goal_simpleitk, bare
        )
    file = files / "ct.nii.gz"
    first = partial(_first_slice, f"nifti:{file}?frame=0")
    bare = [partial(_inflate_first, file)]
    yield Contest(f"{file.name}, first slice", "nibabel", first, partial(_nibabel_first, file), 40, bare)
    file = files / "plain" / "ct.nii"
    whole, peer, bare = partial(loaded, f"nifti:{file}"), partial(_simpleitk, file), [partial(_read, file)]
    yield Contest(f"{file.name}, whole", "SimpleITK", whole, peer, 1, bare)


def _write(folder: Path) -> None:
    ct = np.stack(list(slices())).astype(np.int16) - 1024
    # Apart: of x.nii.gz SimpleITK (nifticlib) reads the voxels of an x.nii in the same folder.
    (folder / "plain").mkdir()
    for name in ("plain/ct.nii", "ct.nii.gz"):
        _save(ct, AFFINE, folder / name)
    random = np.random.default_rng(22)
    head = 900.0 * np.hanning(64)[:, None] * np.hanning(64)
    fmri = (head + random.normal(0, 12, FMRI)).clip(0).astype(np.int16)
    _save(fmri, np.diag([3.0, 3.0, 3.5, 1.0]), folder / "fmri.nii.gz")


def _save(array: npt.NDArray[Any], affine: npt.NDArray[Any], path: Path) -> None:
    nifti: Any = nibabel
    nifti.Nifti1Image(array.T, affine).to_filename(path)


def _nibabel(file: Path) -> npt.NDArray[Any]:
    return np.asarray(nibabel.load(file).dataobj).T  # type: ignore[attr-defined]


def _nibabel_first(file: Path) -> npt.NDArray[Any]:
    return np.asarray(nibabel.load(file).dataobj[..., 0]).T  # type: ignore[attr-defined]


def _first_slice(image_id: str) -> npt.NDArray[Any]:
    with loadstone.Session() as session:
        return session.load_image(image_id).pixels


def _simpleitk(file: Path) -> npt.NDArray[Any]:
    sitk: Any = SimpleITK
    voxels: npt.NDArray[Any] = sitk.GetArrayFromImage(sitk.ReadImage(str(file)))
    return voxels


def _inflate(file: Path) -> object:
    inflater: Any = igzip
    return inflater.decompress(file.read_bytes())


def _inflate_first(file: Path) -> object:
    inflater: Any = igzip
    with inflater.open(file) as inflated:
        return inflated.read(HEADER_BYTES + SLICE_BYTES)


def _read(file: Path) -> object:
    voxels = np.empty((SLICES, SIZE, SIZE), np.int16)
    with file.open("rb", buffering=0) as opened:
        opened.seek(HEADER_BYTES)
        opened.readinto(voxels.data)
    return voxels
