from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage, generate_uid

from loadstone import FetchError, IntegrityError, InvalidIdError, LoadstoneError, Session
from plugins.wado.tests.builders import bundled, identity, part10, shared_data
from plugins.wado.tests.studies import ct_slice, modality_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path


@pytest.fixture
def session() -> Iterator[Session]:
    with Session() as running:
        yield running


def directory(root: Path, files: Iterable[Sequence[str]], *, inactive: Sequence[str] = ()) -> str:
    """Write a DICOMDIR that names these files; return the id of it."""
    dataset = Dataset()
    dataset.FileSetID = "TEST"
    records = [Dataset()]
    records[0].DirectoryRecordType = "PATIENT"
    for names in files:
        record = Dataset()
        record.DirectoryRecordType = "IMAGE"
        record.RecordInUseFlag = 0 if list(names) == list(inactive) else 0xFFFF
        # Names that the standard does not allow are written without complaint.
        stored = "\\".join(names)
        record.add(DataElement(0x00041500, "CS", stored, validation_mode=config.IGNORE))
        records.append(record)
    dataset.DirectoryRecordSequence = records
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = root / "DICOMDIR"
    dataset.save_as(path, enforce_file_format=True)
    return f"dicomfile:{path}"


def medium(root: Path, count: int = 5) -> list[Sequence[str]]:
    """Write slices as a disc has them; return their names."""
    (root / "IMAGES").mkdir(parents=True)
    names: list[Sequence[str]] = [("IMAGES", f"IM{number}") for number in range(count)]
    for number, name in enumerate(names):
        root.joinpath(*name).write_bytes(part10(ct_slice(number)))
    return names


def test_a_medium(session: Session, tmp_path: Path) -> None:
    """A DICOMDIR names the volumes of its files, and no others that lie beside them."""
    names = medium(tmp_path)
    (tmp_path / "IMAGES" / "OTHER").write_bytes(part10(ct_slice(9, SOPInstanceUID="1.9")))
    place = directory(tmp_path, names)
    volume = session.load_volume(place)

    assert np.array_equal(volume.array, modality_values())
    assert session.load_image(volume.image_ids[2]).pixels.shape == (4, 6)
    assert [row.shape for row in session.scan(place)] == [(5, 4, 6)]


def test_names_in_another_case(session: Session, tmp_path: Path) -> None:
    """Files that were copied with lower-case names are found."""
    names = medium(tmp_path)
    place = directory(tmp_path, names)
    for path in sorted((tmp_path / "IMAGES").iterdir()):
        path.rename(path.with_name(path.name.lower()))
    (tmp_path / "IMAGES").rename(tmp_path / "images")

    assert session.load_volume(place).shape == (5, 4, 6)


def test_missing_files(session: Session, tmp_path: Path) -> None:
    """A file that is missing is named in the report; if all are, in the error."""
    names = medium(tmp_path)
    place = directory(tmp_path, names)
    (tmp_path / "IMAGES" / "IM1").unlink()
    (row,) = session.scan(place)
    for path in (tmp_path / "IMAGES").iterdir():
        path.unlink()

    assert row.count == 4
    assert any("IM1" in each and "missing" in each for each in row.remarks)
    with pytest.raises(IntegrityError, match=r"IM0.*missing"):
        session.scan(place)


@pytest.mark.parametrize(
    "names",
    [("..", "secret"), ("IMAGES", "..", "..", "secret"), ("../secret",), ("/", "secret"), (".", "IM")],
)
def test_out_of_its_folder(session: Session, tmp_path: Path, names: tuple[str, ...]) -> None:
    """A name that leads elsewhere is not followed, and said."""
    (tmp_path / "secret").write_bytes(part10(ct_slice(9, SOPInstanceUID="1.9")))
    inside = medium(tmp_path / "disc", 3)
    (row,) = session.scan(directory(tmp_path / "disc", [*inside, names]))

    assert row.count == 3
    assert len(row.remarks) == 1


def test_a_name_that_no_file_can_have(session: Session, tmp_path: Path) -> None:
    """A name that the file system refuses is a missing file, and the others load."""
    inside = medium(tmp_path, 3)
    (row,) = session.scan(directory(tmp_path, [*inside, ("N" * 5000,)]))

    assert row.count == 3
    assert len(row.remarks) == 1


def test_out_of_its_folder_by_a_link(session: Session, tmp_path: Path) -> None:
    """A symbolic link that leads out of the folder is not followed either."""
    (tmp_path / "secret").write_bytes(part10(ct_slice(9, SOPInstanceUID="1.9")))
    inside = medium(tmp_path / "disc", 3)
    (tmp_path / "disc" / "LINK").symlink_to(tmp_path / "secret")
    (tmp_path / "disc" / "AWAY").symlink_to(tmp_path)
    (row,) = session.scan(directory(tmp_path / "disc", [*inside, ("LINK",), ("AWAY", "secret")]))

    assert row.count == 3
    assert all("outside of its own folder" in each for each in row.remarks)
    assert len(row.remarks) == 2


def test_a_medium_behind_a_link(session: Session, tmp_path: Path) -> None:
    """The folder itself may be a link."""
    directory(tmp_path, medium(tmp_path, 3))
    (tmp_path / "link").symlink_to(tmp_path)

    assert session.load_volume(f"dicomfile:{tmp_path / 'link' / 'DICOMDIR'}").shape == (3, 4, 6)


def test_records_that_are_not_in_use(session: Session, tmp_path: Path) -> None:
    """A record that is marked as deleted, and one that names a file a second time, change nothing."""
    names = medium(tmp_path, 4)
    place = directory(tmp_path, [*names, names[0]], inactive=names[3])

    assert session.load_volume(place).shape == (3, 4, 6)


def test_files_that_are_no_images(session: Session, tmp_path: Path) -> None:
    """Reports on the medium are counted."""
    names = medium(tmp_path, 3)
    report = identity(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", Modality="SR")
    (tmp_path / "REPORT").write_bytes(part10(report))
    (row,) = session.scan(directory(tmp_path, [*names, ("REPORT",)]))

    assert row.remarks == ("1 left out: DICOM without an image",)


def test_it_is_read_anew(session: Session, tmp_path: Path) -> None:
    """A DICOMDIR that is written anew is read anew."""
    names = medium(tmp_path)
    place = directory(tmp_path, names[:3])
    before = session.load_volume(place).shape
    directory(tmp_path, names)

    assert before == (3, 4, 6)
    assert session.load_volume(place).shape == (5, 4, 6)


def test_it_is_no_image(session: Session, tmp_path: Path) -> None:
    """Asked for as an image, it says what to do; so does a folder."""
    place = directory(tmp_path, medium(tmp_path))
    for source in (place, f"dicomfile:{tmp_path}"):
        with pytest.raises(InvalidIdError, match="load_volume"):
            session.load_image(source)


def test_what_is_no_directory(session: Session, tmp_path: Path) -> None:
    """A file with the name that is something else, cut, or not there, is a typed error."""
    path = tmp_path / "DICOMDIR"
    with pytest.raises(FetchError):
        session.scan(f"dicomfile:{path}")
    for content in (b"", b"text" * 100, part10(ct_slice(1))):
        path.write_bytes(content)
        with pytest.raises(LoadstoneError):
            session.scan(f"dicomfile:{path}")


@pytest.mark.parametrize("step", [97])
def test_cut_anywhere(session: Session, tmp_path: Path, step: int) -> None:
    """A DICOMDIR that ends early is a typed error: nobody would miss the files of the records behind."""
    directory(tmp_path, medium(tmp_path, 2))
    path = tmp_path / "DICOMDIR"
    whole = path.read_bytes()
    for length in range(0, len(whole), step):
        path.write_bytes(whole[:length])
        with pytest.raises(LoadstoneError):
            session.scan(f"dicomfile:{path}")


def test_a_real_one(session: Session) -> None:
    """The DICOMDIR inside the pydicom wheel names what its folder holds."""
    place = bundled("dicomdirtests/DICOMDIR")
    beside = {row.description for row in session.scan(place.parent)}

    rows = session.scan(place)
    assert rows
    assert {row.description for row in rows} <= beside


def test_a_disc(session: Session) -> None:
    """A real disc holds, by its DICOMDIR, the very volumes that its folder holds."""
    root = shared_data() / "dicom" / "dicomdir"
    by_list, by_folder = session.scan(f"dicomfile:{root / 'DICOMDIR'}"), session.scan(root)

    assert sum(row.count for row in by_list) == 31
    assert sorted((row.modality, row.shape) for row in by_list) == sorted(
        (row.modality, row.shape) for row in by_folder
    )
