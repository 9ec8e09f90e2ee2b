from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from loadstone import LoadCancelled, Session
from loadstone_wado.blobs import FileBlob, HeadBlob
from loadstone_wado.sources import scanning
from plugins.wado.tests.studies import ct_series, write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with slices, a text, and a damaged file."""
    write(ct_series(40), tmp_path / "ct")
    (tmp_path / "note.txt").write_text("not DICOM")
    (tmp_path / "cut.dcm").write_bytes((tmp_path / "ct" / "0.dcm").read_bytes()[:200])
    return tmp_path


def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every disk for one that makes wait."""
    monkeypatch.setattr(scanning, "SLOW_SECONDS", -1.0)
    monkeypatch.setattr(scanning, "MOSTLY", -1.0)


def seen(folder: Path) -> tuple[list[str], str]:
    with Session() as session:
        (volume,) = session.load_volumes(f"dicomfile:{folder}")
        return list(volume.image_ids), str(volume.geometry)


def test_many_at_a_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder holds the same whether its files are read one by one or side by side."""
    before = seen(folder)
    slow(monkeypatch)

    assert seen(folder) == before
    assert len(before[0]) == 40


def test_a_slow_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where opening a file waits, many wait at the same time."""
    slow(monkeypatch)
    together = threading.Barrier(3, timeout=20)
    opened: list[str] = []
    real = os.open

    def waiting(path: Any, *rest: Any) -> int:
        opened.append(str(path))
        # The first file shows what disk it is.
        if 1 < len(opened) <= 4:
            together.wait()
        return real(path, *rest)

    monkeypatch.setattr(scanning, "TRIAL", 1)
    monkeypatch.setattr(scanning, "BATCH", 1)
    monkeypatch.setattr(os, "open", waiting)

    with Session() as session:
        assert len(session.volume_ids(f"dicomfile:{folder}")) == 1
    assert not together.broken


def test_a_cached_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing waits, one thread reads all."""
    monkeypatch.setattr(scanning, "SLOW_SECONDS", 10.0)
    threads = set()
    real = os.open

    def noted(path: Any, *rest: Any) -> int:
        threads.add(threading.get_ident())
        return real(path, *rest)

    monkeypatch.setattr(os, "open", noted)
    with Session() as session:
        session.volume_ids(f"dicomfile:{folder}")

    assert len(threads) == 1


def test_a_header_is_read_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Telling what a file is and reading its header costs one read."""
    reads: list[int] = []
    real = os.pread

    def counted(descriptor: int, length: int, offset: int) -> bytes:
        reads.append(length)
        return real(descriptor, length, offset)

    monkeypatch.setattr(os, "pread", counted)
    with Session() as session:
        session.volume_ids(f"dicomfile:{folder / 'ct'}")

    assert len(reads) == 40


def test_cancelled_while_reading(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan that nobody waits for ends."""
    started, go_on = threading.Event(), threading.Event()
    real = os.open

    def waiting(path: Any, *rest: Any) -> int:
        if str(path).startswith(str(folder)):
            started.set()
            go_on.wait(20)
        return real(path, *rest)

    monkeypatch.setattr(os, "open", waiting)
    with Session() as session:
        handle = session.request_volume(f"dicomfile:{folder}")
        started.wait(20)
        handle.cancel()
        go_on.set()
        with pytest.raises(LoadCancelled):
            handle.result(20)


@pytest.mark.parametrize(("offset", "length"), [(0, 16), (3, 5), (8, 100), (15, 1), (0, 17), (30, 4)])
def test_the_head_of_a_file(tmp_path: Path, offset: int, length: int) -> None:
    """A file whose first bytes are at hand reads as any other."""
    path = tmp_path / "file"
    path.write_bytes(bytes(range(32)))
    with FileBlob(path) as file:
        blob = HeadBlob(file, 16)
        target = bytearray(length)
        count = blob.readinto(offset, memoryview(target))

        assert blob.read(offset, length) == file.read(offset, length) == bytes(target[:count])
        assert (blob.size, blob.source) == (32, str(path))


def test_all_limits_at_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow disk is read also where only one thing may run at a time."""
    slow(monkeypatch)
    with Session(host_permits=1, file_permits=1, compute_permits=1) as session:
        assert [row.count for row in session.scan(f"dicomfile:{folder}")] == [40]
