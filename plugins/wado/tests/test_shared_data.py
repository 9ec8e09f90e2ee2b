"""Real files of many transfer syntaxes and vendors, against what several independent decoders agree on."""

from __future__ import annotations

import csv
import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from loadstone import LoadstoneError
from loadstone_wado.decode import load_frame
from loadstone_wado.part10 import Part10
from plugins.wado.tests.builders import SETTINGS, shared_data

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

pytestmark = pytest.mark.filterwarnings("ignore")

TOLERANT = {
    "dicom/ts/misc/JPGExtended.dcm": "lossy",
    "dicom/ts/ctimage/CTImage.dcm_JPEGProcess2_4TransferSyntax_1.2.840.10008.1.2.4.51.dcm": "lossy",
    "dicom/ts/fragments/CT0012.fragmented_no_bot_jpeg_baseline.51.dcm": "lossy",
}
"""12-bit JPEG: two reference decoders differ from each other by rounding, and we from both."""

FOLDERS = ("ts", "colour", "objects", "bad", "series")


def rows(name: str) -> list[dict[str, str]]:
    with (shared_data() / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def stored(path: Path) -> npt.NDArray[Any]:
    with Part10.open(path, SETTINGS) as part:
        frames = part.instance.layout.frames
        found = [load_frame(part.frames, number + 1, scaled=False).pixels for number in range(frames)]
    return found[0] if frames == 1 else np.stack(found)


def modality(path: Path) -> npt.NDArray[np.float64]:
    """Return RGB with 8 bits, or modality values."""
    with Part10.open(path, SETTINGS) as part:
        frames = part.instance.layout.frames
        found = [load_frame(part.frames, number + 1) for number in range(frames)]
    values = [each.pixels * each.slope + each.intercept for each in found]
    if found[0].is_color and found[0].pixels.dtype == np.uint16:
        values = [each / 257 for each in values]
    return values[0] if frames == 1 else np.stack(values)


def sha256(array: npt.NDArray[Any]) -> str:
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return hashlib.sha256(np.ascontiguousarray(little).tobytes()).hexdigest()


@pytest.mark.parametrize("folder", FOLDERS)
def test_stored_values_are_the_agreed_ones(folder: str) -> None:
    """Every file with a reference has its checksum, lossy 12-bit JPEG aside."""
    expected = {
        row["path"]: row["sha"]
        for row in rows("EXPECTED.csv")
        if row["path"].startswith(f"dicom/{folder}/") and row["sha"] and not row["path"].endswith(".gz")
    }
    different = [path for path, sha in expected.items() if sha256(stored(shared_data() / path)) != sha]

    assert expected
    assert set(different) <= TOLERANT.keys()


@pytest.mark.parametrize("path", TOLERANT)
def test_lossy_values_are_close_to_the_agreed_ones(path: str) -> None:
    """Rounding differs, nothing else does: range and mean are those of the reference."""
    (expected,) = [row for row in rows("EXPECTED.csv") if row["path"] == path]
    found = stored(shared_data() / path)

    assert abs(int(found.min()) - int(expected["min"])) <= 1
    assert abs(int(found.max()) - int(expected["max"])) <= 1
    assert abs(found.mean() - float(expected["sum"]) / found.size) < 0.05


def test_compressed_files_are_as_close_to_their_twins_as_measured() -> None:
    """Equal where they are lossless, else within the measured difference."""
    for row in rows("TWINS.csv"):
        if not (row["path"].startswith("dicom/") and row["max_abs_diff"]) or row["path"].endswith(".gz"):
            continue
        found, twin = (modality(shared_data() / row[name]) for name in ("path", "twin"))
        most = float(row["max_abs_diff"]) + (0 if row["relation"] == "equal" else 2)

        assert np.abs(found - twin).max() <= most, row["path"]


def test_bad_files_give_pixels_or_a_typed_error() -> None:
    """Nothing hangs, nothing raises anything else."""
    for path in sorted((shared_data() / "dicom" / "bad").iterdir()):
        try:
            found = stored(path)
        except LoadstoneError as error:
            assert path.name in str(error)  # noqa: PT017 - either outcome is right
        else:
            assert found.size


def test_new_encodings_equal_their_plain_twins() -> None:
    """Deflated frames and RLE of single bits, which pydicom cannot read."""
    folder = shared_data() / "dicom" / "objects"
    for name, twin in (
        ("liver_deflate", "liver"),
        ("liver_rle", "liver"),
        ("liver_nonbyte_aligned_deflate", "liver_nonbyte_aligned"),
    ):
        assert np.array_equal(stored(folder / f"{name}.dcm"), stored(folder / f"{twin}.dcm")), name
