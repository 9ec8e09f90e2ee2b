"""Errors about a part of an object say which object it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydicom.uid import ImplicitVRLittleEndian

from loadstone import MetadataError, Session
from loadstone.metadata import PatientStudy
from loadstone_wado.modules import frame_modules
from loadstone_wado.part10 import Part10
from plugins.wado.tests.builders import SETTINGS, image, part10

if TYPE_CHECKING:
    from pathlib import Path


WRONG = "1,5"
"""No number, of a length that fits where a number was."""


def with_wrong_number(keyword: str) -> bytes:
    """Return an object in which one decimal string is none; pydicom would not write it."""
    dataset = image()
    setattr(dataset, keyword, "7.5")
    data = part10(dataset, ImplicitVRLittleEndian)

    assert data.count(b"7.5") == 1
    return data.replace(b"7.5", WRONG.encode())


@pytest.mark.parametrize("keyword", ["RescaleIntercept", "ImagePositionPatient"])
def test_a_number_that_is_none(tmp_path: Path, keyword: str) -> None:
    """Whatever needs the number fails with the file's path."""
    path = tmp_path / "a.dcm"
    path.write_bytes(with_wrong_number(keyword))

    with Session() as session, pytest.raises(MetadataError) as caught:
        session.load_image(path)

    assert WRONG in caught.value.what or "values" in caught.value.what
    assert caught.value.source == str(path)


def test_modules_name_the_object() -> None:
    """A module that cannot be built says of what."""
    with (
        Part10.from_bytes(with_wrong_number("PatientWeight"), SETTINGS, source="a.dcm") as part,
        pytest.raises(MetadataError) as caught,
    ):
        frame_modules(part.instance, 1, scaled=True).get(PatientStudy)

    assert caught.value.source == "a.dcm"


def test_a_volume_names_the_object(tmp_path: Path) -> None:
    """So does what describes a volume."""
    path = tmp_path / "a.dcm"
    path.write_bytes(with_wrong_number("ImagePositionPatient"))

    with Session() as session, pytest.raises(MetadataError) as caught:
        session.volume_ids(path)

    assert caught.value.source == str(path)
