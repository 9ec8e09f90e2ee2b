from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

from loadstone import FetchError, IntegrityError, InvalidIdError, LoadstoneError, Session
from loadstone.metadata import GeneralSeries, ImagePixel, ImagePlane, Scaling, VoiLut
from plugins.nifti.tests.builders import AFFINE, VOXELS, nifti, written

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def session() -> Iterator[Session]:
    with Session() as session:
        yield session


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_slice_is_the_slice_of_the_volume(
    session: Session, tmp_path: Path, compress: bool, order: str
) -> None:
    """frame=k, from 0, is the slice k of the array, whatever the file is like."""
    image_id = written(tmp_path, nifti(order=order), compress=compress)

    for k in range(2):
        image = session.load_image(f"{image_id}?frame={k}")
        np.testing.assert_array_equal(image.pixels, VOXELS[:, :, k].T)


def test_a_time_point_is_chosen(session: Session, tmp_path: Path) -> None:
    """time=t chooses along the fourth axis; without it the first is meant."""
    voxels = np.arange(4 * 3 * 2 * 5, dtype=np.int16).reshape(4, 3, 2, 5)
    image_id = written(tmp_path, nifti(voxels))

    np.testing.assert_array_equal(
        session.load_image(f"{image_id}?frame=1&time=3").pixels, voxels[:, :, 1, 3].T
    )
    np.testing.assert_array_equal(session.load_image(f"{image_id}?frame=1").pixels, voxels[:, :, 1, 0].T)


def test_a_two_dimensional_file_is_one_image(session: Session, tmp_path: Path) -> None:
    """2-D needs no frame, and is a volume of one slice as well."""
    image_id = written(tmp_path, nifti(VOXELS[:, :, 0]))

    np.testing.assert_array_equal(session.load_image(image_id).pixels, VOXELS[:, :, 0].T)
    assert session.load_volume(image_id).shape == (1, 3, 4)


@pytest.mark.parametrize("selection", ["", "?frame=2", "?frame=0&time=1"])
def test_a_slice_that_is_not_there_is_refused(session: Session, tmp_path: Path, selection: str) -> None:
    """The message says which slices there are."""
    with pytest.raises(InvalidIdError, match=r"slices|beyond"):
        session.load_image(written(tmp_path, nifti()) + selection)


def test_the_image_ids_of_a_volume_load_its_slices(session: Session, tmp_path: Path) -> None:
    """What `volume.image_ids` names, `load_image` loads, equal to the volume."""
    voxels = np.arange(4 * 3 * 2 * 5, dtype=np.uint16).reshape(4, 3, 2, 5)
    volume_id = written(tmp_path, nifti(voxels), compress=True)
    volume = session.load_volume(volume_id, cache=False)
    slices = volume.array.reshape(-1, 3, 4)

    for index, image_id in enumerate(volume.image_ids):
        np.testing.assert_array_equal(session.load_image(image_id).pixels, slices[index])


def test_slices_know_where_they_lie(session: Session, tmp_path: Path) -> None:
    """Position and orientation are LPS, the spacing is that of rows (j), then columns (i)."""
    image = session.load_image(f"{written(tmp_path, nifti())}?frame=1")
    lps = np.diag([-1, -1, 1, 1]) @ AFFINE

    assert image.pixel_spacing == pytest.approx((np.hypot(2, 0.5), 2))
    assert image.plane.image_position_patient == pytest.approx((lps @ (0, 0, 1, 1))[:3])
    assert image.plane.image_orientation_patient is not None
    assert image.plane.image_orientation_patient[:3] == pytest.approx(lps[:3, 0] / 2)


def test_metadata_comes_without_voxels(session: Session, tmp_path: Path) -> None:
    """All modules of a slice are known from the header, even where the voxels are damaged."""
    voxels = np.random.default_rng(0).integers(0, 9999, (4, 3, 5000), dtype=np.int16)
    data = nifti(voxels, scl_slope=2, scl_inter=1, cal_max=50, descrip=b"T1")
    whole = written(tmp_path, data, compress=True)
    path = tmp_path / "image.nii.gz"
    path.write_bytes(path.read_bytes()[:-8] + bytes(8))
    image_id = f"{whole}?frame=1"

    pixel = session.metadata.get(image_id, ImagePixel)
    plane = session.metadata.get(image_id, ImagePlane)
    series = session.metadata.get(image_id, GeneralSeries)
    lut = session.metadata.get(image_id, VoiLut)

    assert pixel == ImagePixel(3, 4, np.dtype(np.int16), bits_stored=16)
    assert plane is not None
    assert plane.pixel_spacing is not None
    assert session.metadata.get(image_id, Scaling) == Scaling(2, 1)
    assert series is not None
    assert series.series_description == "T1"
    assert lut is not None
    assert lut.windows[0].width == 50
    with pytest.raises(IntegrityError):
        session.load_image(image_id)


def test_a_file_is_inflated_once_for_all_its_slices(session: Session, tmp_path: Path) -> None:
    """Images of one compressed file share its voxels, which are counted in the budget."""
    voxels = np.zeros((64, 64, 20), np.int16)
    image_id = written(tmp_path, nifti(voxels), compress=True)

    session.load_image(f"{image_id}?frame=0", cache=False)
    once = session.cache.stats().kept
    session.load_image(f"{image_id}?frame=19", cache=False)

    assert voxels.nbytes <= once < voxels.nbytes + 5000
    assert session.cache.stats().kept == once


def test_only_the_bytes_of_a_slice_are_read(session: Session, tmp_path: Path) -> None:
    """A slice of an uncompressed file of 64 GB (with a hole) takes no more memory than itself."""
    path = tmp_path / "huge.nii"
    header = nifti(np.zeros((1, 1, 1), np.int16), dim={1: 1024, 2: 1024, 3: 32000})[:352]
    with path.open("wb") as file:
        file.write(header)
        file.seek(352 + 2 * 1024 * 1024 * 31999)
        file.write(np.full((1024, 1024), 7, np.int16).tobytes())

    image = session.load_image(f"nifti:{path}?frame=31999")

    assert (image.pixels == 7).all()
    assert session.cache.stats().kept < 4 * 2**20


@pytest.mark.parametrize("compress", [False, True])
def test_a_file_that_is_written_anew_is_read_anew(session: Session, tmp_path: Path, compress: bool) -> None:
    """Neither the image nor the header nor the inflated voxels of the old file are given again."""
    image_id = f"{written(tmp_path, nifti(), compress=compress)}?frame=0"
    first = session.load_image(image_id).pixels.copy()

    written(tmp_path, nifti(VOXELS + 1), compress=compress)
    os.utime(image_id[len("nifti:") :].partition("?")[0], (1, 1))

    np.testing.assert_array_equal(session.load_image(image_id).pixels, first + 1)


def test_a_missing_file_is_named(session: Session) -> None:
    """The path and what to do are in the message."""
    with pytest.raises(LoadstoneError, match=r"/nowhere/x\.nii.*Check the path"):
        session.load_image("nifti:/nowhere/x.nii?frame=0")


def test_the_header_is_nibabels(session: Session, tmp_path: Path) -> None:
    """`header()` gives the nibabel header with its extensions."""
    image = session.load_image(f"{written(tmp_path, nifti(descrip=b'T2'))}?frame=0")

    assert bytes(image.header()["descrip"]).rstrip(b"\0") == b"T2"


def test_a_folder_or_a_pipe_is_no_file(session: Session, tmp_path: Path) -> None:
    """Neither is opened: a pipe would wait for ever."""
    pipe = tmp_path / "x.nii"
    os.mkfifo(pipe)

    for path in (tmp_path, pipe):
        with pytest.raises(FetchError, match="not a file"):
            session.load_image(f"nifti:{path}")


def test_a_folder_is_refused_with_what_to_name_instead(session: Session, tmp_path: Path) -> None:
    """Files of NIfTI do not belong together: each is a volume of its own."""
    written(tmp_path, nifti())

    with pytest.raises(FetchError, match="Name one file"):
        session.load_volume(f"nifti:{tmp_path}")
