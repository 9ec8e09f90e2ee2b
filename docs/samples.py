"""Copy a few real images out of the pydicom and nibabel packages into this folder."""

from pathlib import Path
from shutil import copy, copytree

import nibabel
from pydicom.data import get_testdata_file

dicom = Path(str(get_testdata_file("CT_small.dcm"))).parent
nifti = Path(nibabel.__file__).parent / "tests" / "data"

copy(dicom / "CT_small.dcm", "slice.dcm")  # one CT slice
copytree(dicom / "dicomdirtests" / "98892001" / "CT5N", "ct")  # a CT series of 5 slices
copytree(dicom / "dicomdirtests" / "98892001", "study")  # the same, beside a series of 2 scouts
copy(nifti / "anatomical.nii", "t1.nii")  # 3-D
copy(nifti / "functional.nii", "bold.nii")  # 4-D
