"""A real MR volume that comes with nibabel, written as a DICOM series of one HTJ2K file a slice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nibabel
import numpy as np
from imagecodecs import htj2k_encode
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import HTJ2KLossless, MRImageStorage, generate_uid

from loadstone_wado.demo.samples import nifti_sample

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    import numpy.typing as npt

__all__ = ["write_series"]


def write_series(folder: Path) -> Dataset:
    """Write a series of 24 files into a folder and return the dataset of its last slice."""
    voxels, affine = _lps_volume()
    common = _common(voxels, affine)
    dataset = common
    for index, pixels in enumerate(voxels):
        dataset = _slice(common, pixels, index, affine @ (0, 0, index, 1))
        # Names say nothing about the order, as with most archives.
        dataset.save_as(folder / f"{dataset.SOPInstanceUID}.dcm", enforce_file_format=True)
    return dataset


def _lps_volume() -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.float64]]:
    """Return the first of its volumes with axes k, j, i along S, P, L, as in DICOM, and its LPS affine."""
    turns: Any = nibabel.orientations
    image: Any = nibabel.load(nifti_sample("example4d.nii.gz"))
    image = image.as_reoriented(
        turns.ornt_transform(turns.io_orientation(image.affine), turns.axcodes2ornt("LPS"))
    )
    voxels = np.asarray(image.dataobj)[..., 0]
    return voxels.T.astype(np.uint16), np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine


def _common(voxels: npt.NDArray[np.uint16], affine: npt.NDArray[np.float64]) -> Dataset:
    along_row, along_column = affine[:3, 0], affine[:3, 1]
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    low, high = np.percentile(voxels, (1, 99.5))
    dataset = Dataset()
    dataset.SOPClassUID = MRImageStorage
    dataset.Modality = "MR"
    dataset.PatientName = dataset.PatientID = "demo"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.FrameOfReferenceUID = generate_uid()
    dataset.SeriesDescription = "diffusion, first volume"
    dataset.Rows, dataset.Columns = voxels.shape[1:]
    dataset.PixelSpacing = _text(spacing[1], spacing[0])
    dataset.SliceThickness = _text(spacing[2])[0]
    dataset.ImageOrientationPatient = _text(*along_row / spacing[0], *along_column / spacing[1])
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 0
    dataset.WindowCenter, dataset.WindowWidth = _text((low + high) / 2, high - low)
    return dataset


def _slice(
    common: Dataset, pixels: npt.NDArray[np.uint16], index: int, position: npt.NDArray[np.float64]
) -> Dataset:
    dataset = Dataset()
    dataset.update(common)
    dataset.SOPInstanceUID = generate_uid()
    dataset.InstanceNumber = index + 1
    dataset.ImagePositionPatient = _text(*position[:3])
    codestream = bytes(htj2k_encode(np.ascontiguousarray(pixels), reversible=True))
    dataset.PixelData = encapsulate([codestream])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = HTJ2KLossless
    return dataset


def _text(*values: float) -> list[str]:
    """Return decimal strings, which have 16 characters at most."""
    return [f"{value:.8f}"[:16] for value in values]
