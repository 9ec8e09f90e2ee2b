"""Every file with pixels inside the pydicom wheel, against pydicom itself."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pydicom
import pytest
from pydicom.pixels import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_rescale, convert_color_space

from loadstone import LoadstoneError
from loadstone_wado.decode import load_frame
from loadstone_wado.part10 import Part10
from plugins.wado.tests.builders import SETTINGS, bundled, bundled_files

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt
    from pydicom.dataset import Dataset

    from loadstone import Image

pytestmark = pytest.mark.filterwarnings("ignore")

WITHOUT_DECODER = {
    "JPEG-lossy.dcm": "Pillow has no 12 bits",
    "JPGExtended.dcm": "Pillow has no 12 bits",
    "SC_rgb_jpeg_gdcm.dcm": "pydicom needs a plugin that is not installed",
}
"""Files that only Loadstone decodes here, with what keeps pydicom from it."""

DAMAGED = {
    "JPEG2000-embedded-sequence-delimiter.dcm": "the size in the codestream was overwritten",
    "MR_truncated.dcm": "62 bytes are missing",
    "badVR.dcm": "NumberOfFrames is '1A'",
    "meta_missing_tsyntax.dcm": "no transfer syntax and no image attributes",
    "nested_priv_SQ.dcm": "no image attributes",
}
"""Files that neither reads."""


def has_pixels(path: Path) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = pydicom.dcmread(path, force=True)
        except Exception:  # noqa: BLE001 - files that are no DICOM raise anything
            return False
    return any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"))


FILES = {str(path.relative_to(bundled(""))): path for path in bundled_files() if has_pixels(path)}
COMPARED = sorted(FILES.keys() - WITHOUT_DECODER.keys() - DAMAGED.keys())


def frames_of(path: Path, *, scaled: bool) -> list[Image]:
    with Part10.open(path, SETTINGS) as part:
        frames = part.instance.layout.frames
        return [load_frame(part.frames, number + 1, scaled=scaled) for number in range(frames)]


def raw_frames(dataset: Dataset) -> list[npt.NDArray[Any]]:
    decoder = get_decoder(dataset.file_meta.TransferSyntaxUID)
    frames = int(dataset.get("NumberOfFrames", 1) or 1)
    return [decoder.as_array(dataset, index=index, raw=True)[0] for index in range(frames)]


def test_the_wheel_holds_what_is_expected() -> None:
    """The exceptions above are files of the wheel, and most files are none of them."""
    assert FILES.keys() >= WITHOUT_DECODER.keys() | DAMAGED.keys()
    assert len(COMPARED) >= 50


@pytest.mark.parametrize("name", COMPARED)
def test_stored_values_are_those_of_pydicom(name: str) -> None:
    """Every frame has pydicom's raw values, in native byte order."""
    expected = raw_frames(pydicom.dcmread(FILES[name]))
    found = frames_of(FILES[name], scaled=False)

    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.pixels.dtype == theirs.dtype.newbyteorder("=")
        assert np.array_equal(ours.pixels, theirs)


@pytest.mark.parametrize("name", COMPARED)
def test_default_values_are_those_of_pydicom(name: str) -> None:
    """By default colours are RGB, and slope and intercept give pydicom's modality values."""
    dataset = pydicom.dcmread(FILES[name])
    for ours, raw in zip(frames_of(FILES[name], scaled=True), raw_frames(dataset), strict=True):
        recorded = dataset.PhotometricInterpretation
        if recorded == "PALETTE COLOR":
            expected = apply_color_lut(raw, dataset)
        elif recorded.startswith("YBR_FULL"):
            expected = convert_color_space(raw, "YBR_FULL", "RGB")
        else:
            expected = apply_rescale(raw, dataset)

        assert ours.photometric_interpretation in {"RGB", "MONOCHROME1", "MONOCHROME2"}
        dose = "DoseGridScaling" in dataset
        slope = ours.slope / float(dataset.DoseGridScaling) if dose else ours.slope
        assert np.array_equal(ours.pixels * slope + ours.intercept, expected)


@pytest.mark.parametrize("name", WITHOUT_DECODER)
def test_files_beyond_the_installed_decoders_of_pydicom_load(name: str) -> None:
    """They have the described shape, and values that fit their bits."""
    dataset = pydicom.dcmread(FILES[name])
    (found,) = frames_of(FILES[name], scaled=False)

    assert found.pixels.shape[:2] == (dataset.Rows, dataset.Columns)
    assert found.pixels.max() > found.pixels.min()
    assert found.pixels.max() < 2**dataset.BitsStored


def test_lossless_twins_are_equal() -> None:
    """A JPEG-LS file has the values of its uncompressed twin."""
    (compressed,) = frames_of(FILES["MR_small_jpeg_ls_lossless.dcm"], scaled=False)
    (plain,) = frames_of(FILES["MR_small.dcm"], scaled=False)

    assert np.array_equal(compressed.pixels, plain.pixels)


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_files_give_a_typed_error(name: str) -> None:
    """What pydicom cannot read either is a typed error that names the file."""
    with pytest.raises(LoadstoneError, match=name.replace(".", r"\.")):
        frames_of(FILES[name], scaled=False)


@pytest.mark.parametrize(
    "path", [path for path in bundled_files() if not has_pixels(path)], ids=lambda path: path.name
)
def test_files_without_pixels_say_what_they_are(path: Path) -> None:
    """Structured reports, plans, text files: a typed error, never anything else."""
    with pytest.raises(LoadstoneError, match=path.name.replace(".", r"\.")):
        frames_of(path, scaled=True)
