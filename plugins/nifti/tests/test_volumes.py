from __future__ import annotations

import gzip
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from loadstone import (
    GeometryError,
    IntegrityError,
    InvalidIdError,
    LimitError,
    LoadstoneError,
    Session,
    UnsupportedError,
)
from plugins.nifti.tests.builders import (
    AFFINE,
    BUNDLED,
    VOXELS,
    by_nibabel,
    edited,
    memory_growth_below,
    nifti,
    shared,
    written,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REFUSED = {
    "analyze.hdr": "half of a pair",
    "nifti1.hdr": "half of a pair",
    "nifti2.hdr": "half of a pair",
    "empty.nii.gz": "empty",
    "not-nifti.nii": "unknown",
    "row_major.dconn.nii": "CIFTI-2",
}
"""Files that are refused, and what the message names."""
UNPLACED = {"minimal.nii", "minimal.nii.gz", "minimal.hdr", "minimal.hdr.gz", "complex_image.nii.gz"}
"""Files without sform and qform, for which nibabel invents an affine."""


@pytest.fixture
def session() -> Iterator[Session]:
    with Session() as session:
        yield session


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if ".nii" in path.name or ".hdr" in path.name)


def assert_equals_nibabel(session: Session, path: Path) -> None:
    volume = session.load_volume(f"nifti:{path}")
    voxels, affine = by_nibabel(path)

    assert volume.array.size == voxels.size
    np.testing.assert_array_equal(
        volume.array, voxels.reshape(volume.shape).astype(volume.dtype), err_msg=path.name
    )
    if path.name in UNPLACED:
        with pytest.raises(GeometryError):
            volume.affine()
    else:
        np.testing.assert_allclose(volume.affine(space="RAS"), affine, rtol=1e-6, atol=1e-5)


def check_folder(session: Session, folder: Path) -> int:
    equal = 0
    for path in files(folder):
        if path.name in REFUSED:
            with pytest.raises(LoadstoneError, match=REFUSED[path.name]):
                session.load_volume(f"nifti:{path}")
        else:
            assert_equals_nibabel(session, path)
            equal += 1
    return equal


def test_every_file_in_nibabels_wheel_equals_nibabel_or_is_refused_by_name(session: Session) -> None:
    """Voxels, scaled, and affine are those of nibabel; what is no NIfTI image is named."""
    assert check_folder(session, BUNDLED) >= 7


def test_every_shared_file_equals_nibabel_or_is_refused_by_name(session: Session) -> None:
    """The same for every datatype, byte order, orientation and dimension in the shared data."""
    assert check_folder(session, shared("nifti")) == 47


def test_every_reference_of_a_converter_equals_nibabel(session: Session) -> None:
    """The same for what dcm2niix and dicom2nifti wrote."""
    assert check_folder(session, shared("ref_generated")) == 4
    assert check_folder(session, shared("ref_nifti")) == 21


def test_all_orientations_of_one_brain_are_the_same_brain(session: Session) -> None:
    """Twelve storage orders of one brain put the same value at the same place."""
    reference: Any = nib.load(shared("nifti", "orient", "RAS.nii.gz"))
    for path in files(shared("nifti", "orient")):
        volume = session.load_volume(f"nifti:{path}")
        image: Any = nib.Nifti1Image(volume.array.T, volume.affine(space="RAS"))  # type: ignore[no-untyped-call]
        turned = nib.as_closest_canonical(image)  # type: ignore[no-untyped-call]

        np.testing.assert_allclose(turned.affine, reference.affine, atol=1e-4)
        np.testing.assert_allclose(turned.dataobj, reference.dataobj, rtol=1e-6)


DTYPES = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8")


@given(
    voxels=st.sampled_from(DTYPES).flatmap(
        lambda dtype: hnp.arrays(
            dtype,
            st.lists(st.integers(1, 5), min_size=2, max_size=5).map(tuple),
            elements=None if dtype[0] != "f" else st.floats(-1e6, 1e6, width=32),
        )
    ),
    version=st.sampled_from([1, 2]),
    order=st.sampled_from("<>"),
    compress=st.booleans(),
)
def test_stored_values_come_back_exactly(
    tmp_path_factory: pytest.TempPathFactory,
    voxels: npt.NDArray[Any],
    version: int,
    order: str,
    compress: bool,
) -> None:
    """Any shape, datatype, version, byte order and compression: the file's values in reversed axis order."""
    data = nifti(voxels, version=version, order=order)
    volume_id = written(tmp_path_factory.mktemp("nifti"), data, compress=compress)

    with Session() as session:
        volume = session.load_volume(volume_id, scaled=False)

    assert volume.dtype == voxels.dtype
    assert volume.dtype.isnative
    np.testing.assert_array_equal(volume.array.reshape(voxels.T.shape), voxels.T)


@pytest.mark.parametrize("samples", [3, 4])
def test_colour_has_its_samples_last(session: Session, tmp_path: Path, samples: int) -> None:
    """RGB24 and RGBA32 get one more axis, with a name."""
    values = np.arange(4 * 3 * 2 * samples, dtype=np.uint8).reshape(4, 3, 2, samples)
    names = "RGBA"[:samples]
    voxels = np.ascontiguousarray(values).view([(name, "u1") for name in names])[..., 0]

    volume = session.load_volume(written(tmp_path, nifti(voxels)))

    assert volume.axes == ("k", "j", "i", names.lower())
    np.testing.assert_array_equal(volume.array, values.transpose(2, 1, 0, 3))


def test_scaling_is_applied_and_can_be_left_out(session: Session, tmp_path: Path) -> None:
    """scl_slope and scl_inter give the modality values; scaled=False the stored ones."""
    volume_id = written(tmp_path, nifti(scl_slope=0.5, scl_inter=-10))

    np.testing.assert_array_equal(session.load_volume(volume_id).array, VOXELS.T * 0.5 - 10)
    np.testing.assert_array_equal(session.load_volume(volume_id, scaled=False).array, VOXELS.T)


def test_what_is_known_beside_the_voxels(session: Session, tmp_path: Path) -> None:
    """Axes, spacing, findings, window and header come with the volume."""
    data = nifti(np.zeros((4, 3, 2, 5), np.int16), xyzt_units=0, cal_max=100)
    volume = session.load_volume(written(tmp_path, data))

    assert volume.axes == ("t", "k", "j", "i")
    assert volume.spacing == pytest.approx(np.linalg.norm(AFFINE[:3, :3], axis=0))
    assert "units_assumed" in volume.geometry.kinds
    assert volume.voi_lut.windows[0].width == 100
    assert len(volume.image_ids) == 10


@pytest.mark.parametrize("compress", [False, True])
def test_slices_arrive_one_by_one(session: Session, tmp_path: Path, compress: bool) -> None:
    """Every slice is announced, also along further axes, and the bytes received are counted."""
    volume_id = written(tmp_path, nifti(np.ones((4, 3, 6, 2), np.int16)), compress=compress)
    seen: list[Any] = []

    volume = session.load_volume(volume_id, progress=seen.append)

    assert volume.array.all()
    assert (seen[-1].done, seen[-1].total) == (12, 12)
    assert seen[-1].received_bytes == seen[-1].total_bytes


@pytest.mark.parametrize("compress", [False, True])
def test_a_header_that_claims_more_than_there_can_be_is_refused(
    session: Session, tmp_path: Path, compress: bool
) -> None:
    """32767³ voxels in 400 bytes: refused before memory is asked for."""
    data = edited(nifti(), dim={0: 3, 1: 16000, 2: 16000, 3: 32767})
    volume_id = written(tmp_path, data, compress=compress)

    with memory_growth_below(8 * 2**20), pytest.raises(IntegrityError, match="but the file"):
        session.load_volume(volume_id)


@given(cut=st.integers(1, 400))
@pytest.mark.parametrize("compress", [False, True])
def test_a_truncated_file_is_refused_wherever_it_ends(
    tmp_path_factory: pytest.TempPathFactory, compress: bool, cut: int
) -> None:
    """No byte can be missing at the end, compressed or not; the next correct load works."""
    data = nifti(np.arange(2000, dtype=np.int32).reshape(10, 10, 20))
    whole = gzip.compress(data, 1) if compress else data
    path = tmp_path_factory.mktemp("nifti") / "image.nii"
    path.write_bytes(whole[:-cut])

    with Session() as session:
        with pytest.raises(IntegrityError):
            session.load_volume(f"nifti:{path}")
        path.write_bytes(whole)

        assert session.load_volume(f"nifti:{path}").array.max() == 1999


@given(st.data())
def test_a_flipped_bit_in_compressed_data_never_gives_other_voxels(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Length and CRC-32 are checked before the last slice is given; a bit of an unused code has no effect."""
    voxels = np.arange(2000, dtype=np.int32).reshape(10, 10, 20)
    damaged = bytearray(gzip.compress(nifti(voxels), 1))
    at = data.draw(st.integers(10 * 8, len(damaged) * 8 - 1))
    damaged[at // 8] ^= 1 << at % 8
    path = tmp_path_factory.mktemp("nifti") / "image.nii.gz"
    path.write_bytes(damaged)

    with Session() as session:
        try:
            volume = session.load_volume(f"nifti:{path}")
        except LoadstoneError:
            return

    np.testing.assert_array_equal(volume.array, voxels.T)


def test_several_gzip_members_are_one_file(session: Session, tmp_path: Path) -> None:
    """What bgzip and concatenation make is read through to its end."""
    data = nifti()
    path = tmp_path / "image.nii.gz"
    path.write_bytes(b"".join(gzip.compress(data[at : at + 50]) for at in range(0, len(data), 50)))

    np.testing.assert_array_equal(session.load_volume(f"nifti:{path}").array, VOXELS.T)


def test_a_bomb_behind_the_voxels_is_not_inflated(tmp_path: Path) -> None:
    """What follows the voxels is read to check the CRC, but only so far."""
    bomb = gzip.compress(nifti() + bytes(64 * 2**20), 9)
    path = tmp_path / "image.nii.gz"
    path.write_bytes(bomb)

    with Session(free_ratio_bytes=2**20) as session, memory_growth_below(8 * 2**20):
        volume = session.load_volume(f"nifti:{path}")

    np.testing.assert_array_equal(volume.array, VOXELS.T)


def test_a_bomb_in_front_of_the_voxels_is_not_inflated(tmp_path: Path) -> None:
    """Extensions that expand as no text does are refused where that is seen, in a file and in a pair."""
    single = nifti(vox_offset=2**27)[:352]
    pair = nifti(magic=b"ni1")[:352]
    for head, name in ((single, "x.nii.gz"), (pair, "x.hdr.gz")):
        (tmp_path / name).write_bytes(gzip.compress(head + bytes(2**27), 1))
    (tmp_path / "x.img").write_bytes(bytes(VOXELS.nbytes))

    for name in ("x.nii.gz", "x.hdr.gz"):
        with Session(free_ratio_bytes=2**22) as session, memory_growth_below(2**26):
            with pytest.raises(LimitError, match="expands"):
                session.load_volume(f"nifti:{tmp_path / name}")
            assert session.cache.stats().kept == 0


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize(
    "fields",
    [
        {"dim": {1: 32767, 2: 32767, 3: 32767}},
        {"dim": {0: 7, 1: 32767, 2: 1, 3: 32767, 4: 32767, 5: 32767, 6: 32767, 7: 32767}},
        {"dim": {0: -3}},
        {"dim": {2: -3}},
        {"dim": {0: 8}},
        {"vox_offset": np.nan},
        {"vox_offset": np.inf},
        {"vox_offset": -1e30},
        {"vox_offset": 1e30},
        {"datatype": -1},
    ],
)
def test_a_header_that_attacks_gets_an_error_and_no_memory(
    session: Session, tmp_path: Path, fields: dict[str, Any], compress: bool
) -> None:
    """480 bytes that claim the world are refused before anything is allocated, and leave nothing behind."""
    volume_id = written(tmp_path, nifti(**fields)[:480], compress=compress)

    for load in (session.load_volume, lambda name: session.load_image(f"{name}?frame=0")):
        with memory_growth_below(2**21), pytest.raises((IntegrityError, LimitError, UnsupportedError)):
            load(volume_id)

    assert session.cache.stats().kept == 0


def test_garbage_behind_compressed_data_is_refused(session: Session, tmp_path: Path) -> None:
    """Bytes behind the end that are no zeros are not what the writer wrote."""
    path = tmp_path / "image.nii.gz"
    path.write_bytes(gzip.compress(nifti()) + b"garbage")

    with pytest.raises(IntegrityError):
        session.load_volume(f"nifti:{path}")


@pytest.mark.parametrize(
    "fields",
    [{"srow_x": np.nan}, {"srow_x": 0, "srow_y": 0, "srow_z": 0}, {"sform_code": 0, "qform_code": 0}],
)
def test_voxels_are_readable_where_the_place_is_not(
    session: Session, tmp_path: Path, fields: dict[str, Any]
) -> None:
    """A singular, NaN or missing affine is an error of `affine`, not of loading."""
    volume = session.load_volume(written(tmp_path, nifti(**fields)))

    np.testing.assert_array_equal(volume.array, VOXELS.T)
    assert "unknown_position" in volume.geometry.kinds
    with pytest.raises(GeometryError):
        volume.affine()


def test_a_failed_load_leaves_nothing(session: Session, tmp_path: Path) -> None:
    """After an error the budget is as it was, and the corrected file loads."""
    path = tmp_path / "image.nii.gz"
    whole = gzip.compress(nifti())
    path.write_bytes(whole[:-9])
    before = session.cache.stats().kept

    with pytest.raises(IntegrityError):
        session.load_volume(f"nifti:{path}")

    assert session.cache.stats().kept - before < 1000
    path.write_bytes(whole)
    np.testing.assert_array_equal(session.load_volume(f"nifti:{path}").array, VOXELS.T)


def test_a_volume_id_with_a_frame_is_refused(session: Session, tmp_path: Path) -> None:
    """An id that names a slice is no volume."""
    with pytest.raises(InvalidIdError, match="frame"):
        session.load_volume(f"{written(tmp_path, nifti())}?frame=1")


def test_a_bare_path_is_enough(session: Session, tmp_path: Path) -> None:
    """The suffix leads to the plugin, whatever is in the name."""
    path = tmp_path / "what? 50%&time=1#.nii.gz"
    path.write_bytes(gzip.compress(nifti()))

    np.testing.assert_array_equal(session.load_volume(path).array, VOXELS.T)


def test_bytes_tell_and_not_the_name(session: Session, tmp_path: Path) -> None:
    """A compressed file called .nii and a plain one called .nii.gz are read."""
    for compress in (False, True):
        path = tmp_path / ("a.nii" if compress else "b.nii.gz")
        path.write_bytes(gzip.compress(nifti()) if compress else nifti())

        np.testing.assert_array_equal(session.load_volume(f"nifti:{path}").array, VOXELS.T)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_complex_voxels_stay_complex(
    session: Session, tmp_path: Path, dtype: type[np.complexfloating[Any, Any]], order: str
) -> None:
    """Both parts are exact; what is shown, and the range, is the magnitude."""
    voxels = (VOXELS * (3 - 4j)).astype(dtype)
    volume_id = written(tmp_path, nifti(voxels, order=order))
    volume = session.load_volume(volume_id)
    image = session.load_image(f"{volume_id}?frame=1", cache=False)

    assert volume.dtype == dtype
    np.testing.assert_array_equal(volume.array, voxels.T)
    np.testing.assert_array_equal(image.pixels, voxels[:, :, 1].T)
    assert image.max_value == abs(VOXELS[:, :, 1].astype(float)).max() * 5
    assert image.display().dtype == np.uint8


def test_complex_voxels_with_a_slope_are_had_as_stored(session: Session, tmp_path: Path) -> None:
    """Programs disagree about the intercept of imaginary parts: nothing is guessed."""
    voxels = (VOXELS * (3 - 4j)).astype(np.complex64)
    volume_id = written(tmp_path, nifti(voxels, scl_slope=2.0))

    with pytest.raises(UnsupportedError, match="scaled=False"):
        session.load_volume(volume_id)
    np.testing.assert_array_equal(session.load_volume(volume_id, scaled=False).array, voxels.T)


def test_time_points_come_with_the_volume(session: Session, tmp_path: Path) -> None:
    """The axis of time has its times in s, whatever the unit of the file."""
    voxels = np.zeros((4, 3, 2, 3), np.int16)
    volume = session.load_volume(written(tmp_path, nifti(voxels, xyzt_units=2 | 16, pixdim={4: 2500})))

    assert volume.axes == ("t", "k", "j", "i")
    assert volume.coordinates["t"].values == (0.0, 2.5, 5.0)
    assert volume.coordinates["t"].units == "s"


def test_the_plugin_imports_nothing_heavy() -> None:
    """Nibabel and isal wait for the first load."""
    code = "import sys, loadstone_nifti.plugin; print({'nibabel', 'isal'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "set()"
