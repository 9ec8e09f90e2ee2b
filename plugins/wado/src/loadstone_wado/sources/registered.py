"""Objects that have no path: bytes and open files, which a session knows by an id until they are released."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, BinaryIO, Final, Self

from loadstone import FetchError, LimitError, LoadstoneError, StashKey, default_session
from loadstone_wado.blobs import MemoryBlob, StreamBlob
from loadstone_wado.part10 import Part10

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadstone import Session
    from loadstone_wado.blobs import Blob

__all__ = ["RegisteredObject", "find_registered", "is_registered", "register_object"]

_MARK: Final = "#"
"""Begins the names: in an id of a path it is percent-encoded, so that no path is ever taken for one."""


class RegisteredObject:
    """
    An object that a session knows by an id; made by `register_object`, and a context manager.

    Parameters
    ----------
    id
        Its id.
    release
        Takes it back.
    """

    def __init__(self, id: str, release: Callable[[], object]) -> None:
        self.id = id
        self._release = release

    def release(self) -> None:
        """Forget the object and give its bytes back to the budget; a second time does nothing."""
        self._release()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release it."""
        self.release()

    def __repr__(self) -> str:
        """Say its id."""
        return f"RegisteredObject({self.id!r})"


class _Registry:
    """What one session knows."""

    def __init__(self) -> None:
        self.numbers = itertools.count(1)
        self.objects: dict[str, Part10] = {}


_REGISTRY: StashKey[_Registry] = StashKey()


def register_object(
    data: bytes | bytearray | memoryview | BinaryIO, session: Session | None = None
) -> RegisteredObject:
    """
    Give a DICOM object in memory, or in an open file, an id.

    Parameters
    ----------
    data
        A Part-10 object. Bytes are charged to the memory budget until they are released. A file-like object
        must stay open: its frames are read when they are needed, from several threads in turn. One that
        cannot be sought is read now, into memory.
    session
        In which session the id holds; default: the default session.

    Returns
    -------
    RegisteredObject
        Its `id` is for `load_image`, with ``?frame=n`` for one of several frames, and for `load_volume`.
        No id is ever used again.

    Raises
    ------
    DecodeError, IntegrityError, LimitError
        If it is no DICOM object, or cut within its header.
    FetchError
        If the file is closed or cannot be read.
    CacheFullError
        If the budget cannot hold its bytes.
    LoadstoneError
        If it is neither bytes nor a file-like object that gives bytes.

    Examples
    --------
    >>> with register_object(request.body) as stored:  # doctest: +SKIP
    ...     image = loadstone.load_image(stored.id)
    """
    session = session or default_session()
    registry = session.stash.setdefault(_REGISTRY, _Registry)
    name = f"{_MARK}{next(registry.numbers)}"
    identity = f"dicomfile:{name}"
    blob = _blob(data, session.settings.max_response_bytes, identity)
    part10 = Part10.of(blob, session.settings)
    reservation = session.cache.reserve(part10.nbytes)
    registry.objects[name] = part10

    def release() -> None:
        if registry.objects.pop(name, None) is not None:
            reservation.release()

    return RegisteredObject(identity, release)


def is_registered(locator: str) -> bool:
    """Say whether an id without frame names an object that is registered, or was, and no path."""
    return locator.startswith(_MARK)


def find_registered(locator: str, session: Session) -> Part10 | None:
    """
    Return the object that an id without frame names; None where it names a path.

    Raises
    ------
    FetchError
        If it was released, or belongs to another session.
    """
    if not is_registered(locator):
        return None
    found = session.stash.setdefault(_REGISTRY, _Registry).objects.get(locator)
    if found is None:
        raise FetchError(
            "no such object is registered with this session",
            source=f"dicomfile:{locator}",
            hint="It was released, or registered with another one: see register_object.",
        )
    return found


def _blob(data: bytes | bytearray | memoryview | BinaryIO, most: int, source: str) -> Blob:
    if isinstance(data, bytes | bytearray | memoryview):
        # What may change under our hands is copied.
        return MemoryBlob(bytes(data), source)
    _check_is_binary_file(data, source)
    if data.seekable():
        return StreamBlob(data, source)
    content = data.read(most + 1)
    if len(content) > most:
        raise LimitError(
            f"the stream is longer than {most:,} bytes",
            source=source,
            hint="If that is right, raise max_response_bytes (LOADSTONE_MAX_RESPONSE_BYTES).",
        )
    return MemoryBlob(content, source)


def _check_is_binary_file(data: BinaryIO, source: str) -> None:
    """Refuse paths, text and closed files now, not within some later load."""
    try:
        is_binary = hasattr(data, "seekable") and isinstance(data.read(0), bytes)
    except (OSError, ValueError) as error:
        raise FetchError(f"the file object cannot be read: {error}", source=source) from error
    if not is_binary:
        raise LoadstoneError(
            f"register_object takes bytes or a file that is open in binary mode, not {type(data).__name__}",
            hint="A path needs no registration: load_image(path).",
        )
