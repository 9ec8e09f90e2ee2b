from __future__ import annotations

import gc
import io
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pytest

import loadstone
from loadstone import CacheFullError, DecodeError, FetchError, LimitError, LoadstoneError, Session
from loadstone_wado import register_object
from plugins.wado.tests.builders import part10
from plugins.wado.tests.studies import ct_slice, enhanced, modality_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Pipe(io.RawIOBase):
    """A stream that can be read once, from its beginning."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def readinto(self, buffer: Any) -> int:
        return self._content.readinto(buffer)


@pytest.fixture
def session() -> Iterator[Session]:
    with Session() as running:
        yield running


MAKERS: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "file-like": io.BytesIO,
    "pipe": lambda content: io.BufferedReader(Pipe(content)),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_an_image(session: Session, make: Callable[[bytes], Any]) -> None:
    """Bytes and file-like objects have an id that loads as any other does."""
    with register_object(make(part10(ct_slice(2))), session) as stored:
        image = session.load_image(stored.id)

        assert np.array_equal(image.pixels, modality_values()[2])
        assert image.plane.image_position_patient == (-10.0, 20.0, 5.0)
        assert image.header().InstanceNumber == 2
        assert session.load_volume(stored.id).shape == (1, 4, 6)


@pytest.mark.parametrize("make", [MAKERS["bytes"], MAKERS["file-like"]], ids=["bytes", "file-like"])
def test_frames(session: Session, make: Callable[[bytes], Any]) -> None:
    """Frames are addressed on their own, and are a volume together; several threads may read one file."""
    stored = register_object(make(part10(enhanced(5))), session)
    with ThreadPoolExecutor(4) as threads:
        names = [f"{stored.id}?frame={number}" for number in (5, 4, 3, 2, 1)]
        frames = list(threads.map(lambda name: session.load_image(name).pixels, names))

    assert np.array_equal(frames, modality_values())
    assert np.array_equal(session.load_volume(stored.id).array, modality_values())


def test_an_open_file(session: Session, tmp_path: Path) -> None:
    """An open file is read where it is needed, wherever it stood."""
    path = tmp_path / "a.dcm"
    path.write_bytes(part10(ct_slice(1)))
    with path.open("rb") as file, register_object(file, session) as stored:
        file.seek(100)

        assert np.array_equal(session.load_image(stored.id).pixels, modality_values()[1])


def test_it_is_counted_until_it_is_released(session: Session) -> None:
    """The budget holds the bytes from registration to release, once."""
    content = part10(ct_slice(1))
    before = session.cache.stats()
    stored = register_object(content, session)
    held = session.cache.stats()
    stored.release()
    stored.release()
    after = session.cache.stats()

    assert held.reserved - before.reserved >= len(content)
    assert after.reserved == before.reserved


def test_it_is_released() -> None:
    """A released id loads no more, and no other object ever gets it."""
    with Session() as session:
        first = register_object(part10(ct_slice(1)), session)
        first.release()
        second = register_object(part10(ct_slice(2)), session)
        for use in (session.load_image, session.load_volume):
            with pytest.raises(FetchError, match="released"):
                use(first.id)

        assert second.id != first.id


def test_it_belongs_to_one_session(session: Session) -> None:
    """Another session does not know the id."""
    stored = register_object(part10(ct_slice(1)), session)
    with Session() as other, pytest.raises(FetchError, match="registered"):
        other.load_image(stored.id)


def test_a_closed_session() -> None:
    """Objects of a session that is closed can still be released."""
    session = Session()
    stored = register_object(part10(ct_slice(1)), session)
    session.close()
    stored.release()

    assert session.cache.stats().reserved == 0


def test_the_default_session() -> None:
    """Without a session it is the one that the functions of the package use."""
    with register_object(part10(ct_slice(1))) as stored:
        assert loadstone.load_image(stored.id).pixels.shape == (4, 6)


def test_what_changes_later(session: Session) -> None:
    """A bytearray that is overwritten changes no image."""
    content = bytearray(part10(ct_slice(1)))
    stored = register_object(content, session)
    content[:] = bytes(len(content))

    assert np.array_equal(session.load_image(stored.id).pixels, modality_values()[1])


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\xfd" * 90], ids=["empty", "text"])
def test_what_is_no_object(session: Session, content: bytes) -> None:
    """What is no DICOM object is refused when it is registered, and nothing is kept."""
    with pytest.raises(DecodeError, match="dicomfile:#1"):
        register_object(content, session)
    gc.collect()

    assert session.cache.stats().reserved == 0


@pytest.mark.parametrize(
    "wrong", ["slice.dcm", 5, None, io.StringIO("DICM")], ids=["path", "number", "nothing", "text file"]
)
def test_what_is_neither_bytes_nor_a_file(session: Session, wrong: Any) -> None:
    """Something else is refused at once, and its type is named."""
    with pytest.raises(LoadstoneError, match=f"not {type(wrong).__name__}"):
        register_object(wrong, session)


def test_a_file_that_is_closed_already(session: Session) -> None:
    """A closed file is an error when it is registered."""
    stream = io.BytesIO(part10(ct_slice(1)))
    stream.close()
    with pytest.raises(FetchError, match="closed"):
        register_object(stream, session)


def test_beyond_the_budget() -> None:
    """Bytes that the budget cannot hold are refused."""
    with Session(cache_bytes=1000) as session, pytest.raises(CacheFullError):
        register_object(part10(ct_slice(1)) + bytes(2000), session)


def test_an_endless_stream() -> None:
    """A stream that cannot be sought is read up to the limit of an answer."""
    stream: BinaryIO = io.BufferedReader(Pipe(bytes(5000)))
    with Session(max_response_bytes=1000) as session, pytest.raises(LimitError, match="1,000"):
        register_object(stream, session)


def test_a_file_that_was_closed(session: Session) -> None:
    """A file object that is closed too early is an error that says so."""
    stream = io.BytesIO(part10(ct_slice(1)))
    stored = register_object(stream, session)
    stream.close()
    with pytest.raises(FetchError, match="Keep it open"):
        session.load_image(stored.id)


def test_a_path_is_no_registered_object(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file whose name looks like such an id is a file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "#1").write_bytes(part10(ct_slice(3)))
    register_object(part10(ct_slice(1)), session)

    assert np.array_equal(
        session.load_image(f"dicomfile:{loadstone.ids.rest_of('#1')}").pixels, modality_values()[3]
    )
