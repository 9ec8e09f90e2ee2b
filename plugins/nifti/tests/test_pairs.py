from __future__ import annotations

import gzip
import os
from io import BytesIO
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pytest

from loadstone import FetchError, GeometryError, IntegrityError, LoadstoneError, Session, UnsupportedError
from loadstone.testing.faults import Answer, FaultServer
from plugins.nifti.tests.builders import AFFINE, VOXELS, edited, nifti

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(attempts=1) as session:
        yield session


def pair(kind: Any = nib.Nifti1Pair, order: str = "<", **fields: Any) -> tuple[bytes, bytes]:
    """Return the bytes of a header and of its voxels."""
    header = kind.header_class(endianness=order)
    header.set_data_dtype(VOXELS.dtype)
    files = kind.make_file_map()
    for holder in files.values():
        holder.fileobj = BytesIO()
    kind(VOXELS, AFFINE, header).to_file_map(files)
    head, voxels = (files[name].fileobj.getvalue() for name in ("header", "image"))
    return (edited(head, **fields) if fields else head), voxels


def analyze(order: str = "<", factor: float = 0.0) -> tuple[bytes, bytes]:
    """Return an Analyze 7.5 header, with SPM's factor where there is one, and its voxels."""
    head, voxels = pair(nib.AnalyzeImage, order)
    unused = np.array(factor, f"{order}f4").tobytes()
    return head[:112] + unused + head[116:], voxels


def written(folder: Path, head: bytes, voxels: bytes, *, names: tuple[str, str] = ("x.hdr", "x.img")) -> str:
    """Write both files and return the id by the name of the first."""
    for name, data in zip(names, (head, voxels), strict=True):
        (folder / name).write_bytes(gzip.compress(data, 1) if name.endswith(".gz") else data)
    return f"nifti:{folder / names[0]}"


@pytest.mark.parametrize("kind", [nib.Nifti1Pair, nib.Nifti2Pair])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "names",
    [
        ("x.hdr", "x.img"),
        ("x.hdr.gz", "x.img.gz"),
        ("x.hdr", "x.img.gz"),
        ("x.hdr.gz", "x.img"),
        ("X.HDR", "X.IMG"),
    ],
)
def test_either_file_of_a_pair_names_both(
    session: Session, tmp_path: Path, kind: Any, order: str, names: tuple[str, str]
) -> None:
    """Plain or compressed, in both byte orders, by the header or by the voxels."""
    written(tmp_path, *pair(kind, order), names=names)

    for name in names:
        volume = session.load_volume(f"nifti:{tmp_path / name}")
        image = session.load_image(f"nifti:{tmp_path / name}?frame=1", cache=False)

        np.testing.assert_array_equal(volume.array, VOXELS.T)
        np.testing.assert_array_equal(image.pixels, VOXELS[:, :, 1].T)
        np.testing.assert_allclose(volume.affine(space="RAS"), AFFINE, atol=1e-6)


def test_voxels_of_a_pair_may_begin_behind_others(session: Session, tmp_path: Path) -> None:
    """vox_offset counts in the file of the voxels, compressed or not."""
    head, voxels = pair(vox_offset=48)

    for name in ("x.img", "x.img.gz"):
        volume_id = written(tmp_path, head, bytes(48) + voxels, names=("x.hdr", name))
        np.testing.assert_array_equal(session.load_volume(volume_id, cache=False).array, VOXELS.T)
        (tmp_path / name).unlink()


def test_a_bare_path_to_a_pair_is_enough(session: Session, tmp_path: Path) -> None:
    """The suffixes of both halves lead to the plugin."""
    written(tmp_path, *pair())

    assert session.load_volume(tmp_path / "x.img").shape == (2, 3, 4)
    assert session.load_volume(tmp_path / "x.hdr").shape == (2, 3, 4)


def test_half_of_a_pair_is_refused_by_name(session: Session, tmp_path: Path) -> None:
    """What is missing is said, and where it was looked for."""
    written(tmp_path, *pair())
    (tmp_path / "x.img").rename(tmp_path / "y.img")

    with pytest.raises(FetchError, match=r"voxels \(\.img\) is not there"):
        session.load_volume(f"nifti:{tmp_path / 'x.hdr'}")
    with pytest.raises(FetchError, match=r"header \(\.hdr\) is not there"):
        session.load_volume(f"nifti:{tmp_path / 'y.img'}")


def test_voxels_that_are_too_few_are_refused(session: Session, tmp_path: Path) -> None:
    """A short .img is an error before anything is allocated, and leaves nothing."""
    head, voxels = pair()
    volume_id = written(tmp_path, head, voxels[:-1])

    with pytest.raises(IntegrityError, match="truncated"):
        session.load_volume(volume_id)

    assert session.cache.stats().kept == 0


@pytest.mark.parametrize("name", ["x.hdr", "x.img"])
def test_a_pair_of_which_one_file_is_written_anew_is_read_anew(
    session: Session, tmp_path: Path, name: str
) -> None:
    """Both files are looked at on every hit."""
    volume_id = written(tmp_path, *pair())
    before = session.load_volume(volume_id).array.copy()
    head, voxels = pair(scl_slope=2.0)
    (tmp_path / name).write_bytes(head if name == "x.hdr" else bytes(len(voxels)))
    os.utime(tmp_path / name, (1, 1))

    np.testing.assert_array_equal(
        session.load_volume(volume_id).array, before * 2 if name == "x.hdr" else before * 0
    )


def test_a_header_of_a_pair_that_is_not_called_hdr_is_refused(session: Session, tmp_path: Path) -> None:
    """Only the name tells where the voxels are; the message says so for NIfTI and Analyze."""
    for index, (head, _) in enumerate((pair(), analyze())):
        path = tmp_path / f"{index}.nii"
        path.write_bytes(head)

        with pytest.raises(UnsupportedError, match=r"header of a pair, but its name"):
            session.load_volume(f"nifti:{path}")


@pytest.mark.parametrize("order", ["<", ">"])
def test_analyze_is_read_and_said_to_be_so(session: Session, tmp_path: Path, order: str) -> None:
    """Voxels and spacing are those of the header; how they are oriented is unknown, and never made up."""
    volume = session.load_volume(written(tmp_path, *analyze(order)))

    np.testing.assert_array_equal(volume.array, VOXELS.T)
    assert volume.spacing == pytest.approx(tuple(np.linalg.norm(AFFINE[:3, :3], axis=0)))
    assert "Analyze 7.5" in str(volume.geometry)
    assert isinstance(volume.header(), nib.AnalyzeHeader)
    with pytest.raises(GeometryError, match=r"Analyze 7\.5"):
        volume.affine()


def test_analyze_is_given_to_nibabel_without_a_place(session: Session, tmp_path: Path) -> None:
    """Where its voxels lie is unknown, and a file that is written says so: codes 0 and 0."""
    image: Any = session.load_volume(written(tmp_path, *analyze())).to_nibabel()

    np.testing.assert_array_equal(np.asanyarray(image.dataobj), VOXELS)
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (0, 0)
    np.testing.assert_allclose(image.header.get_zooms(), np.linalg.norm(AFFINE[:3, :3], axis=0), rtol=1e-6)


def test_both_names_of_a_pair_are_one_image(session: Session, tmp_path: Path) -> None:
    """What was loaded by the name of one file is there by the name of the other."""
    image_id = written(tmp_path, *pair())
    first = session.load_image(f"{image_id}?frame=1")

    assert session.load_image(f"{image_id.replace('.hdr', '.img')}?frame=1") is first


def test_the_factor_that_spm_keeps_in_an_analyze_header_is_applied(session: Session, tmp_path: Path) -> None:
    """As nibabel applies it; the report says so."""
    volume_id = written(tmp_path, *analyze(factor=0.5))
    volume = session.load_volume(volume_id)
    by_nibabel: Any = nib.load(tmp_path / "x.hdr")

    np.testing.assert_array_equal(volume.array, np.asarray(by_nibabel.dataobj).T)
    assert "multiplied by 0.5" in str(volume.geometry)
    np.testing.assert_array_equal(session.load_volume(volume_id, scaled=False).array, VOXELS.T)


def test_a_pair_on_a_server_is_two_files(session: Session) -> None:
    """Both have the query of the id, which may sign them."""
    with FaultServer() as server:
        head, voxels = pair()
        server.plan("/x.hdr", Answer(body=head))
        server.plan("/x.img", Answer(body=voxels))
        volume = session.load_volume(f"nifti:{server.url('/x.img')}?token=1")

        np.testing.assert_array_equal(volume.array, VOXELS.T)
        assert {request.target.partition("?")[2] for request in server.requests} == {"token=1"}


def test_a_pair_of_which_a_server_has_one_file_is_a_fetch_error(session: Session) -> None:
    """The status of the missing half is told."""
    with FaultServer() as server:
        server.plan("/x.hdr", Answer(body=pair()[0]))
        server.plan("/x.img", Answer(status=404))

        with pytest.raises(FetchError) as caught:
            session.load_volume(f"nifti:{server.url('/x.hdr')}")

        assert caught.value.status == 404


def test_a_single_file_cut_where_a_pair_ends_is_no_pair(session: Session, tmp_path: Path) -> None:
    """The signature tells a single file, whatever its name says."""
    (tmp_path / "x.img").write_bytes(b"")
    (tmp_path / "x.hdr").write_bytes(nifti())

    np.testing.assert_array_equal(session.load_volume(f"nifti:{tmp_path / 'x.hdr'}").array, VOXELS.T)
    (tmp_path / "x.hdr").write_bytes(nifti()[:348])
    with pytest.raises(LoadstoneError, match="truncated"):
        session.load_volume(f"nifti:{tmp_path / 'x.hdr'}", reload=True)
