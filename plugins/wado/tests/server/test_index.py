from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from loadstone_wado.server.index import build_archive
from plugins.wado.tests.server.builders import make_dataset, native, part10

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_is_dicom_by_its_bytes(tmp_path: Path) -> None:
    """The name of a file decides nothing; what is no DICOM instance is counted and left out."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "no-suffix").write_bytes(native())
    (tmp_path / "text.dcm").write_text("not DICOM")
    (tmp_path / ".hidden.dcm").write_bytes(native())
    no_study = make_dataset()
    del no_study.StudyInstanceUID
    (tmp_path / "no-study.dcm").write_bytes(part10(no_study))

    archive = build_archive(tmp_path)

    assert len(archive.instances) == archive.counts.instances == 1
    assert (archive.counts.not_dicom, archive.counts.not_instances) == (1, 1)


def test_a_broken_header_is_counted(tmp_path: Path) -> None:
    """A file that begins as DICOM and cannot be read does not keep the others from being served."""
    (tmp_path / "a.dcm").write_bytes(native()[:136] + b"\xff" * 40)
    (tmp_path / "b.dcm").write_bytes(native())

    counts = build_archive(tmp_path).counts

    assert counts.instances == 1
    assert counts.unreadable + counts.not_instances == 1


def test_the_first_of_two_equal_instances_is_served() -> None:
    """Of one SOPInstanceUID the first object wins, and the other is counted."""
    first, second = (native(SOPInstanceUID="1.2.3.4", PatientID=name) for name in ("first", "second"))

    archive = build_archive([first, second])

    assert archive.counts.duplicates == 1
    assert archive.instances["1.2.3.4"].attributes["00100020"]["Value"] == ["first"]


def test_a_folder_a_list_and_bytes_are_one(tmp_path: Path) -> None:
    """Folders, paths and bytes can be mixed."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a").write_bytes(native())
    (tmp_path / "b").write_bytes(native())

    archive = build_archive([tmp_path / "folder", os.fspath(tmp_path / "b"), native()])

    assert archive.counts.instances == 3


def test_a_missing_path_is_an_error(tmp_path: Path) -> None:
    """A path that does not exist is a mistake of the caller, not a file to skip."""
    with pytest.raises(FileNotFoundError):
        build_archive([tmp_path / "nowhere"])


def test_the_order_is_that_of_the_names(tmp_path: Path) -> None:
    """Instances come in the order of the names of their files, whatever the file system says."""
    uids = [f"1.2.3.{number}" for number in (7, 3, 5)]
    for name, uid in zip("bca", uids, strict=True):
        (tmp_path / name).write_bytes(native(SOPInstanceUID=uid))

    assert list(build_archive(tmp_path).instances) == [uids[2], uids[0], uids[1]]
