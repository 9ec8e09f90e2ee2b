from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

from loadstone import FetchError, InvalidIdError, LoadstoneError, Session
from loadstone.errors import DecodeError, IntegrityError, UnsupportedError
from plugins.wado.tests.builders import bundled, identity, image, part10
from plugins.wado.tests.studies import ct_slice, enhanced, modality_values, stored_values

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def multi_frame(tmp_path: Path) -> Path:
    path = tmp_path / "frames.dcm"
    path.write_bytes(part10(enhanced(5)))
    return path


def test_a_file(tmp_path: Path) -> None:
    """A file is an image in modality values, and says who made it and where it lies."""
    path = tmp_path / "slice.dcm"
    path.write_bytes(part10(ct_slice(3)))
    with Session() as session:
        found = session.load_image(f"dicomfile:{path}")
        stored = session.load_image(f"dicomfile:{path}", scaled=False)

    assert np.array_equal(found.pixels, stored_values(3).astype(np.int16) - 1024)
    assert np.array_equal(stored.pixels, stored_values(3))
    assert found.plane.image_position_patient == (-10.0, 20.0, 7.5)
    assert (found.units, found.loader.distribution) == ("HU", "loadstone-wado")
    assert found.header().InstanceNumber == 3


def test_each_frame(multi_frame: Path) -> None:
    """Frames count from 1; each has its own plane; without a number it is the first."""
    with Session() as session:
        images = [session.load_image(f"dicomfile:{multi_frame}?frame={number}") for number in range(1, 6)]
        first = session.load_image(f"dicomfile:{multi_frame}")

    assert np.array_equal(np.stack([each.pixels for each in images])[::-1], modality_values(5))
    assert [each.plane.image_position_patient for each in images] == [
        (-10, 20, 2.5 * number) for number in (4, 3, 2, 1, 0)
    ]
    assert first is images[0]


@pytest.mark.parametrize(
    ("frame", "error"),
    [("0", InvalidIdError), ("x", InvalidIdError), ("", InvalidIdError), ("6", InvalidIdError)],
)
def test_no_such_frame(multi_frame: Path, frame: str, error: type[LoadstoneError]) -> None:
    """A frame that is not there is a typed error, and the next load works."""
    with Session() as session:
        with pytest.raises(error):
            session.load_image(f"dicomfile:{multi_frame}?frame={frame}")
        assert session.load_image(f"dicomfile:{multi_frame}?frame=5").pixels.shape == (4, 6)


def test_a_multi_frame_object_is_a_volume(multi_frame: Path) -> None:
    """Frames are sorted by their positions; every slice is an image without copying."""
    with Session() as session:
        volume = session.load_volume(f"dicomfile:{multi_frame}")
        slices = [session.load_image(each) for each in volume.image_ids]

    assert np.array_equal(volume.array, modality_values(5))
    assert volume.spacing == (0.75, 0.5, 2.5)
    assert volume.image_ids[0] == f"dicomfile:{multi_frame}?frame=5"
    assert all(np.array_equal(each.pixels, volume.array[k]) for k, each in enumerate(slices))


def test_frames_without_positions(tmp_path: Path) -> None:
    """Frames that do not say where they lie keep their order; the geometry is unknown."""
    path = tmp_path / "cine.dcm"
    path.write_bytes(part10(enhanced(4, placed=False)))
    with Session() as session:
        volume = session.load_volume(f"dicomfile:{path}")

    assert volume.array[:, 0, 0].tolist() == [stored_values(number)[0, 0] for number in (3, 2, 1, 0)]
    assert volume.origin is None
    assert "unknown_position" in volume.geometry.kinds


def test_one_image_is_a_volume_of_one_slice(tmp_path: Path) -> None:
    """A file with one image is a volume too."""
    path = tmp_path / "slice.dcm"
    path.write_bytes(part10(ct_slice(3, SliceThickness=3)))
    with Session() as session:
        volume = session.load_volume(path)

    assert volume.shape == (1, 4, 6)
    assert volume.spacing == (0.75, 0.5, 3.0)


def test_a_frame_is_no_volume(multi_frame: Path) -> None:
    """A volume id that names a frame says what to use instead."""
    with Session() as session, pytest.raises(InvalidIdError, match="load_image"):
        session.load_volume(f"dicomfile:{multi_frame}?frame=1")


@pytest.mark.parametrize(
    "name", ["a b.dcm", "50%.dcm", "what?.dcm", "#1.dcm", "a&frame=2.dcm", "x?frame=3", "%41"]
)
def test_names_with_signs(tmp_path: Path, name: str) -> None:
    """A path object loads whatever signs are in its name; its id, pasted, loads the same."""
    path = tmp_path / name
    path.write_bytes(part10(enhanced(3)))
    with Session() as session:
        source = (
            session.to_id(path)
            if path.suffix == ".dcm"
            else f"dicomfile:{session.to_id(path).partition(':')[2]}"
        )
        found = session.load_image(source)
        second = session.load_image(f"{source}?frame=2")

    assert np.array_equal(found.pixels, modality_values(3)[2])
    assert np.array_equal(second.pixels, modality_values(3)[1])


def test_a_file_url(tmp_path: Path) -> None:
    """A file: URL is decoded as the URL that it is."""
    path = tmp_path / "a b%.dcm"
    path.write_bytes(part10(ct_slice(1)))
    with Session() as session:
        found = session.load_image(f"dicomfile:{path.as_uri()}")
        plain = session.load_image(path.as_uri())

    assert np.array_equal(found.pixels, plain.pixels)


def test_a_file_written_anew_is_read_anew(tmp_path: Path) -> None:
    """What is cached is good only as long as the file is the same."""
    path = tmp_path / "slice.dcm"
    path.write_bytes(part10(ct_slice(1)))
    with Session() as session:
        before = session.load_image(f"dicomfile:{path}")
        assert session.load_image(f"dicomfile:{path}") is before
        path.write_bytes(part10(ct_slice(2)))
        after = session.load_image(f"dicomfile:{path}")
        status = path.stat()
        path.write_bytes(part10(ct_slice(3)))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
        later = session.load_image(f"dicomfile:{path}")

    assert np.array_equal(after.pixels, before.pixels + 50)
    assert np.array_equal(later.pixels, before.pixels + 100)


def test_a_compressed_file_is_read_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """One read for the header, one for all fragments: each costs a round trip on a network disk."""
    reads: list[int] = []
    real = os.pread

    def counted(descriptor: int, length: int, offset: int) -> bytes:
        reads.append(length)
        return real(descriptor, length, offset)

    monkeypatch.setattr(os, "pread", counted)
    with Session() as session:
        found = session.load_image(bundled("MR_small_RLE.dcm"))

    assert found.pixels.shape == (64, 64)
    assert len(reads) == 2


def test_a_multi_frame_file_replaced(multi_frame: Path) -> None:
    """A file that is replaced while its frames are in use is never mixed with its successor."""
    with Session() as session:
        session.load_image(f"dicomfile:{multi_frame}?frame=1")
        replaced = multi_frame.with_suffix(".new")
        replaced.write_bytes(part10(enhanced(4)))
        replaced.rename(multi_frame)
        second = session.load_image(f"dicomfile:{multi_frame}?frame=2")

    assert np.array_equal(second.pixels, modality_values(4)[2])


BAD = {
    "missing": (None, FetchError, "nowhere"),
    "empty": (b"", DecodeError, "DICOM"),
    "text": (b"this is a text, not an image" * 10, DecodeError, "DICOM"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(300), UnsupportedError, "but a PNG image"),
    "compressed": (b"\x1f\x8b\x08" + bytes(300), UnsupportedError, "but compressed by gzip"),
    "other volume": (bytes(344) + b"n+1\0" + bytes(50), UnsupportedError, "but a NIfTI image"),
    "truncated": (part10(ct_slice(1))[:-2], IntegrityError, "truncated"),
    "header only": (part10(ct_slice(1))[:250], IntegrityError, "ends within its header"),
    "no pixel data": (part10(identity(Rows=4, Columns=6)), UnsupportedError, "without pixel data"),
    "report": (
        part10(identity(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11")),
        UnsupportedError,
        "Basic Text SR",
    ),
    "unknown syntax": (
        part10(image()).replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.9.9\0"),
        LoadstoneError,
        "1.2.840.10008.1.9.9",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input(tmp_path: Path, kind: str) -> None:
    """Bad files are typed errors that name the file; nothing is kept, and the next load works."""
    content, error, words = BAD[kind]
    path = tmp_path / "nowhere.dcm"
    if content is not None:
        path.write_bytes(content)
    good = tmp_path / "good.dcm"
    good.write_bytes(part10(ct_slice(1)))
    with Session() as session:
        for _ in range(2):
            with pytest.raises(error, match=words) as caught:
                session.load_image(f"dicomfile:{path}")
            assert "nowhere.dcm" in str(caught.value)
        with pytest.raises(LoadstoneError):
            session.load_volume(f"dicomfile:{path}")
        entries = session.cache.stats().entries
        good_pixels = session.load_image(f"dicomfile:{good}").pixels
        path.write_bytes(part10(ct_slice(2)))
        repaired = session.load_image(f"dicomfile:{path}")

    assert entries <= 1  # the header of a file whose pixels are bad
    assert np.array_equal(good_pixels + 50, repaired.pixels)


@pytest.mark.parametrize("rest", ["", "/\0", "file://otherhost/x.dcm"])
def test_no_path(rest: str) -> None:
    """An id without a path is refused."""
    with Session() as session, pytest.raises(LoadstoneError):
        session.load_image(f"dicomfile:{rest}")


def test_a_folder_is_no_image(tmp_path: Path) -> None:
    """A folder asked for as an image says what to call."""
    with Session() as session, pytest.raises(InvalidIdError, match="load_volume"):
        session.load_image(f"dicomfile:{tmp_path}")


def test_both_names_of_a_frame_are_one(multi_frame: Path) -> None:
    """A file and its first frame are one image in the cache."""
    with Session() as session:
        assert session.load_image(f"dicomfile:{multi_frame}") is session.load_image(
            f"dicomfile:{multi_frame}?frame=1"
        )
