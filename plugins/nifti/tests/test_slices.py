"""How slices of files are read: in parts, forward, all at once, or through a seek index."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadstone import CacheFullError, IntegrityError, LoadCancelled, Session
from loadstone.testing.faults import Answer, FaultServer
from plugins.nifti.tests.builders import memory_growth_below, nifti, ranged, written

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence
    from pathlib import Path

VOXELS = np.random.default_rng(3).integers(0, 50, (256, 256, 96), np.int16)
"""12.6 MB along i, j, k: too many to be inflated all at once, and several points of a seek index."""
SEEK_INDEX: dict[str, Hashable] = {"seek_index": True}
FILE = gzip.compress(nifti(VOXELS), 1)


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(attempts=1) as session:
        yield session


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slices") / "image.nii.gz"
    path.write_bytes(FILE)
    return path


def check(
    session: Session, path: Path | str, frames: Sequence[int], options: dict[str, Hashable] | None = None
) -> None:
    for k in frames:
        image = session.load_image(f"nifti:{path}?frame={k}", cache=False, options=options)
        np.testing.assert_array_equal(image.pixels, VOXELS[:, :, k].T)


def test_slices_in_ascending_order_hold_no_voxels(session: Session, path: Path) -> None:
    """Each is inflated when it is asked for; the others are in nobody's memory."""
    with memory_growth_below(4 * 2**20):
        check(session, path, [0, 1, 40, 95])

    assert session.cache.stats().kept < 2 * 2**20


def test_slices_in_another_order_are_inflated_once_and_kept(session: Session, path: Path) -> None:
    """All voxels are then in the budget, and further slices are copies."""
    check(session, path, [40, 3, 95, 4])

    assert VOXELS.nbytes <= session.cache.stats().kept < VOXELS.nbytes + 2 * 2**20


@settings(max_examples=5, deadline=None)
@given(frames=st.lists(st.integers(0, 95), min_size=1, max_size=8))
def test_a_seek_index_gives_slices_in_any_order(path: Path, frames: list[int]) -> None:
    """Asked for, it gives what inflating everything gives, and holds a hundredth of it."""
    with Session() as session:
        check(session, path, frames, options=SEEK_INDEX)

        assert session.cache.stats().kept < 2**18


def test_voxels_beyond_the_budget_come_through_a_seek_index(path: Path) -> None:
    """A file that the budget cannot hold gives its slices all the same."""
    with Session(cache_bytes=4 * 2**20) as session, memory_growth_below(6 * 2**20):
        check(session, path, [90, 10, 50, 95, 0])


def test_a_seek_index_goes_through_several_members(session: Session, tmp_path: Path) -> None:
    """What bgzip and concatenation make is one file for it, too."""
    data = nifti(VOXELS)
    path = tmp_path / "image.nii.gz"
    path.write_bytes(b"".join(gzip.compress(data[at : at + 10**6], 1) for at in range(0, len(data), 10**6)))

    check(session, path, [95, 20, 60, 0], options=SEEK_INDEX)


@pytest.mark.parametrize("options", [{}, SEEK_INDEX])
@pytest.mark.parametrize("cut", [8, 20000])
def test_a_slice_behind_the_end_of_a_truncated_file_is_refused(
    session: Session, tmp_path: Path, options: dict[str, Hashable], cut: int
) -> None:
    """The file is named as truncated, nothing is kept, and what lies in front is still read."""
    path = tmp_path / "image.nii.gz"
    path.write_bytes(FILE[:-cut])
    with pytest.raises(IntegrityError, match="truncated"):
        session.load_image(f"nifti:{path}?frame=95", options=options)

    assert session.cache.stats().kept == 0
    check(session, path, [5], options)


@pytest.mark.parametrize("options", [{}, SEEK_INDEX])
def test_a_crc_that_is_wrong_is_found_with_the_last_slice(
    session: Session, tmp_path: Path, options: dict[str, Hashable]
) -> None:
    """Whoever reads to the end learns that the content is not what was compressed."""
    path = tmp_path / "image.nii.gz"
    path.write_bytes(FILE[:-8] + bytes(8))

    with pytest.raises(IntegrityError, match="damaged"):
        session.load_image(f"nifti:{path}?frame=95", options=options)


def test_a_cancelled_slice_lets_the_next_one_begin_anew(session: Session, path: Path) -> None:
    """The inflater that was stopped in the middle is not used again."""
    load = session.request_image(f"nifti:{path}?frame=80")
    load.cancel()
    with pytest.raises(LoadCancelled):
        load.result(timeout=5)

    check(session, path, [10, 20])


@pytest.mark.parametrize("etag", ['"one"', ""])
def test_a_slice_on_a_server_costs_its_own_bytes(session: Session, etag: str) -> None:
    """Of a server that gives ranges, the header and the slice are asked for, and nothing else."""
    with FaultServer() as server:
        url = server.plan("/t1.nii", ranged(nifti(VOXELS), etag))
        check(session, url, [50, 2])

        asked = [request.headers["Range"] for request in server.requests]
    size = VOXELS[:, :, 0].nbytes

    assert asked == [
        "bytes=0-65535",
        *(f"bytes={352 + k * size}-{352 + (k + 1) * size - 1}" for k in (50, 2)),
    ]


def test_a_compressed_file_on_a_server_is_read_as_far_as_the_slice(session: Session) -> None:
    """The first slice does not cost the whole file, nor does the next; a seek index works as well."""
    with FaultServer() as server:
        url = server.plan("/t1.nii.gz", ranged(FILE, '"one"'))
        check(session, url, [0, 1])
        last = max(int(request.headers["Range"].rpartition("-")[2]) for request in server.requests)
        check(session, url, [80, 30], options=SEEK_INDEX)

    assert last < 2**20 < len(FILE)


def test_a_header_longer_than_the_first_range_is_read_on(session: Session) -> None:
    """Extensions of a megabyte cost a further range."""
    data = nifti(VOXELS)
    offset = 352 + 2**20
    data = nifti(VOXELS, vox_offset=offset)[:352] + bytes(2**20) + data[352:]
    with FaultServer() as server:
        check(session, server.plan("/t1.nii", ranged(data, '"one"')), [7])


def test_a_file_that_changes_between_two_ranges_is_refused(session: Session) -> None:
    """No slice is made of two versions; loading again gives the new one."""
    other = nifti(VOXELS + 1)
    with FaultServer() as server:
        url = server.plan("/t1.nii", ranged(nifti(VOXELS), '"one"'), ranged(other, '"two"'))
        with pytest.raises(IntegrityError, match="written anew"):
            session.load_image(f"nifti:{url}?frame=3")
        image = session.load_image(f"nifti:{url}?frame=3")

    np.testing.assert_array_equal(image.pixels, VOXELS[:, :, 3].T + 1)


def test_a_file_that_changes_between_header_and_volume_is_refused(session: Session) -> None:
    """Also when the header stays the same: the server's name of the version tells."""
    other = nifti(VOXELS + 1)
    with FaultServer() as server:
        url = server.plan("/t1.nii", ranged(nifti(VOXELS), '"one"'), ranged(other, '"two"'))

        with pytest.raises(IntegrityError, match="written anew"):
            session.load_volume(f"nifti:{url}")


def test_voxels_that_come_whole_and_exceed_the_budget_are_refused(tmp_path: Path) -> None:
    """A server without ranges gives all or nothing: the budget says no before anything is allocated."""
    with (
        FaultServer() as server,
        Session(cache_bytes=2**20) as session,
        memory_growth_below(2**21),
        pytest.raises(CacheFullError),
    ):
        session.load_image(f"nifti:{server.plan('/t1.nii.gz', Answer(body=FILE))}?frame=0")


def test_the_seek_index_of_a_file_written_anew_is_dropped(session: Session, tmp_path: Path) -> None:
    """Its points belong to the old bytes."""
    image_id = written(tmp_path, nifti(VOXELS), compress=True)
    check(session, image_id.removeprefix("nifti:"), [60], options=SEEK_INDEX)
    written(tmp_path, nifti(VOXELS[:, :, ::-1]), compress=True)

    image = session.load_image(f"{image_id}?frame=60", options=SEEK_INDEX)

    np.testing.assert_array_equal(image.pixels, VOXELS[:, :, 35].T)
