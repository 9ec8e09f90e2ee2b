from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from loadstone import FetchError, InvalidIdError, LoadstoneError, Session
from loadstone.errors import IntegrityError
from loadstone.events import VolumeModified
from plugins.wado.tests.builders import identity, part10
from plugins.wado.tests.studies import ct_series, ct_slice, enhanced, modality_values, uid, write

if TYPE_CHECKING:
    from pathlib import Path

    from loadstone import Volume

SR_STORAGE = "1.2.840.10008.5.1.4.1.1.88.11"


def loaded(folder: Path) -> Volume:
    with Session() as session:
        return session.load_volume(f"dicomfile:{folder}")


def noted(volume: Volume) -> str:
    return "\n".join(finding.message for finding in volume.geometry.findings)


def test_a_folder_is_a_volume(tmp_path: Path) -> None:
    """The files of a folder become a volume, sorted by position, in HU, placed in space."""
    volume = loaded(write(ct_series(5), tmp_path))

    assert np.array_equal(volume.array, modality_values(5))
    assert volume.units == "HU"
    assert volume.spacing == (0.75, 0.5, 2.5)
    assert volume.origin == (-10.0, 20.0, 0.0)
    assert "left out" not in noted(volume)


def test_below_a_folder(tmp_path: Path) -> None:
    """Files are found at any depth."""
    slices = ct_series(5)
    write(slices[:2], tmp_path)
    write(slices[2:4], tmp_path / "a" / "b")
    write(slices[4:], tmp_path / "c.dcm")

    assert np.array_equal(loaded(tmp_path).array, modality_values(5))


def test_very_deep_folders(tmp_path: Path) -> None:
    """Depth is no problem."""
    deep = tmp_path.joinpath(*["d"] * 600)
    write(ct_series(2), deep)

    assert loaded(tmp_path).shape == (2, 4, 6)


def test_links_in_circles(tmp_path: Path) -> None:
    """A folder that is reached again through a link is read once; a link to itself is named."""
    write(ct_series(3), tmp_path / "a")
    (tmp_path / "a" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "a" / "beside").symlink_to(tmp_path / "a", target_is_directory=True)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    volume = loaded(tmp_path)

    assert np.array_equal(volume.array, modality_values(3))
    assert "copy" not in noted(volume)
    assert f"{tmp_path / 'self'}" in noted(volume)


def test_a_folder_behind_a_link(tmp_path: Path) -> None:
    """A link to a folder is followed."""
    write(ct_series(3), tmp_path / "a")
    (tmp_path / "link").symlink_to(tmp_path / "a", target_is_directory=True)

    assert loaded(tmp_path / "link").shape == (3, 4, 6)


def test_what_is_passed_over(tmp_path: Path) -> None:
    """Hidden files and folders and DICOMDIR are passed over without a word."""
    write(ct_series(3), tmp_path)
    write([ct_slice(7)], tmp_path / ".cache")
    for name in (".hidden.dcm", "DICOMDIR", "dicomdir"):
        (tmp_path / name).write_bytes(part10(ct_slice(8)))
    volume = loaded(tmp_path)

    assert volume.shape == (3, 4, 6)
    assert "left out" not in noted(volume)


def test_what_is_no_image_is_counted(tmp_path: Path) -> None:
    """What is no DICOM and what is no image does not disturb; both are counted."""
    write(ct_series(3), tmp_path)
    (tmp_path / "notes.dcm").write_text("no DICOM")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "report").write_bytes(part10(identity(SOPClassUID=SR_STORAGE, SOPInstanceUID="1.2.3.77")))
    found = noted(loaded(tmp_path))

    assert "2 left out: not DICOM" in found
    assert "1 left out: DICOM without an image" in found


def test_a_file_is_dicom_by_its_bytes(tmp_path: Path) -> None:
    """Neither suffix nor preamble makes a file DICOM."""
    one, two, three = ct_series(3)
    (tmp_path / "IM0001").write_bytes(part10(one))
    (tmp_path / "scan.txt").write_bytes(part10(two))
    (tmp_path / "bare.raw").write_bytes(part10(three)[132:])

    assert np.array_equal(loaded(tmp_path).array, modality_values(3))


def test_copies(tmp_path: Path) -> None:
    """The same instance twice is one if the files are equal."""
    write(ct_series(3), tmp_path)
    shutil.copy(tmp_path / "1.dcm", tmp_path / "copy.dcm")
    (tmp_path / "link.dcm").symlink_to(tmp_path / "0.dcm")
    volume = loaded(tmp_path)

    assert np.array_equal(volume.array, modality_values(3))
    assert "2 left out: a copy of another file" in noted(volume)


@pytest.mark.parametrize("change", [{"RescaleIntercept": -1000}, {"SeriesDescription": "another"}])
def test_an_instance_twice(tmp_path: Path, change: dict[str, object]) -> None:
    """The same instance twice and different is an error that names both files."""
    write(ct_series(3), tmp_path)
    (tmp_path / "other.dcm").write_bytes(part10(ct_slice(1, **change)))

    with pytest.raises(IntegrityError, match="same instance") as caught:
        loaded(tmp_path)
    assert "other.dcm" in str(caught.value)


def test_an_instance_twice_beside_other_series(tmp_path: Path) -> None:
    """The scan says it in the row of its series; the others are loaded as ever."""
    write(ct_series(3), tmp_path)
    (tmp_path / "other.dcm").write_bytes(part10(ct_slice(1, RescaleIntercept=-1000)))
    (tmp_path / "whole.dcm").write_bytes(part10(ct_slice(9, SeriesInstanceUID="1.2.3.7")))
    with Session() as session:
        damaged, whole = session.scan(tmp_path)

        assert "other.dcm: two files claim to be the same instance" in " ".join(damaged.remarks)
        assert (damaged.count, damaged.modality) == (4, "CT")
        assert session.load_volume(whole.id).shape == whole.shape
        with pytest.raises(IntegrityError, match=r"other\.dcm"):
            session.load_volume(damaged.id)
        with pytest.raises(IntegrityError, match="same instance"):
            session.load_volumes(tmp_path)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    """What is damaged does not disturb what is not, and is named."""
    write(ct_series(3), tmp_path)
    (tmp_path / "cut.dcm").write_bytes(part10(ct_slice(7))[:300])
    (tmp_path / "spacing.dcm").write_bytes(part10(ct_slice(8, PixelSpacing=[0, 0])))
    (tmp_path / "gone.dcm").symlink_to(tmp_path / "nowhere")
    found = noted(loaded(tmp_path))

    assert "cut.dcm" in found
    assert "spacing.dcm" in found
    assert "gone.dcm" in found


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.timeout(20)
def test_a_named_pipe_does_not_block(tmp_path: Path) -> None:
    """A pipe that nobody writes into is no file, in a folder or by itself."""
    write(ct_series(3), tmp_path)
    os.mkfifo(tmp_path / "pipe.dcm")

    assert "pipe.dcm" in noted(loaded(tmp_path))
    with pytest.raises(FetchError, match="no regular file"), Session() as session:
        session.load_image(f"dicomfile:{tmp_path / 'pipe.dcm'}")


def test_truncated_pixels_fail_alone(tmp_path: Path) -> None:
    """A file whose pixels are cut fails by itself: the error names it and has the rest of the volume."""
    write(ct_series(3), tmp_path)
    path = tmp_path / "1.dcm"
    path.write_bytes(path.read_bytes()[:-4])

    with pytest.raises(LoadstoneError, match=r"1\.dcm") as caught, Session() as session:
        session.load_volume(f"dicomfile:{tmp_path}")
    assert len(caught.value.missing) == 1
    assert caught.value.volume is not None
    assert int((caught.value.volume.quality == 8).sum()) == 2


def test_an_empty_folder(tmp_path: Path) -> None:
    """A folder without images says what it has instead."""
    (tmp_path / "notes.txt").write_text("no DICOM")

    with pytest.raises(FetchError, match=r"holds no DICOM image.*1 left out: not DICOM"):
        loaded(tmp_path)


def test_nothing_but_damaged_files(tmp_path: Path) -> None:
    """A folder in which nothing can be read is damaged, not empty."""
    (tmp_path / "cut.dcm").write_bytes(part10(ct_slice(7))[:300])

    with pytest.raises(IntegrityError, match=r"cut\.dcm"):
        loaded(tmp_path)


def test_no_folder(tmp_path: Path) -> None:
    """A path that is not there is named."""
    with pytest.raises(FetchError, match="nowhere"):
        loaded(tmp_path / "nowhere")


def test_several_volumes_list_ids_to_paste(tmp_path: Path) -> None:
    """Several volumes are an error that lists ids, and each of these, pasted, loads its volume."""
    write(ct_series(3), tmp_path / "a")
    write([ct_slice(7, SeriesInstanceUID="1.2.3.2")], tmp_path / "b")
    write([enhanced(2, SOPInstanceUID=uid(20), SeriesInstanceUID="1.2.3.2")], tmp_path / "c")
    with Session() as session:
        with pytest.raises(InvalidIdError, match="there are 3 volumes") as caught:
            session.load_volume(f"dicomfile:{tmp_path}")
        listed = [line.split()[0] for line in str(caught.value).splitlines() if line.startswith("  ")]
        volumes = [session.load_volume(each) for each in listed]
        everything = session.load_volumes(f"dicomfile:{tmp_path}")

    assert listed == [each.volume_id for each in volumes] == [each.volume_id for each in everything]
    assert [each.shape for each in volumes] == [(3, 4, 6), (1, 4, 6), (2, 4, 6)]
    assert [each.array.tolist() for each in volumes] == [each.array.tolist() for each in everything]


def test_the_images_of_a_folder(tmp_path: Path) -> None:
    """`image_ids` names every image, and each loads."""
    write([*ct_series(2), enhanced(2, SOPInstanceUID=uid(20))], tmp_path)
    with Session() as session:
        ids = session.image_ids(f"dicomfile:{tmp_path}")
        shapes = [session.load_image(each).pixels.shape for each in ids]

    assert len(ids) == len(set(ids)) == 4
    assert shapes == [(4, 6)] * 4


def test_a_file_that_is_added_is_found(tmp_path: Path) -> None:
    """A folder is what it is now: files that are added, written anew or removed are noticed."""
    write(ct_series(2), tmp_path)
    with Session() as session:
        before = session.load_volume(f"dicomfile:{tmp_path}")
        again = session.load_volume(f"dicomfile:{tmp_path}")
        (tmp_path / "more.dcm").write_bytes(part10(ct_slice(2)))
        more = session.load_volume(f"dicomfile:{tmp_path}")
        (tmp_path / "more.dcm").unlink()
        (tmp_path / "1.dcm").write_bytes(part10(ct_slice(0, RescaleIntercept=-1000)))
        (tmp_path / "0.dcm").write_bytes(part10(ct_slice(1, RescaleIntercept=-1000)))
        changed = session.load_volume(f"dicomfile:{tmp_path}")

    assert again is before
    assert more.shape == (3, 4, 6)
    assert np.array_equal(changed.array, before.array + 24)


def test_a_file_written_anew_between_header_and_pixels(tmp_path: Path) -> None:
    """Pixels are never combined with the header of a file that was there before; the next load is whole."""
    write(ct_series(3), tmp_path)

    def write_last_anew(event: VolumeModified) -> None:
        if event.indices == (0,):
            (tmp_path / "2.dcm").write_bytes(part10(ct_slice(2, RescaleIntercept=-1000)))

    with Session(compute_permits=1) as session:
        with session.events.subscribe(VolumeModified, write_last_anew):
            volume = session.load_volume(f"dicomfile:{tmp_path}", errors="collect")
        (error,), missing = volume.errors, volume.missing
        volume.load()

    assert isinstance(error, IntegrityError)
    assert "written anew" in str(error)
    assert missing == (2,)
    assert volume.array[2, 0, 0] == volume.array[1, 0, 0] + 50 + 24


def test_a_path_with_every_sign(tmp_path: Path) -> None:
    """Signs that mean something in an id are encoded in the ids of the files, and their ids work."""
    folder = write(ct_series(2), tmp_path / "50% of? #1 & stack=2&frame=1 é")
    with Session() as session:
        source = session.to_id(folder)
        volume = session.load_volume(folder)
        images = [session.load_image(each) for each in volume.image_ids]

    assert source.startswith("dicomfile:")
    assert "%3F" in source
    assert [each.pixels.tolist() for each in images] == volume.array.tolist()
