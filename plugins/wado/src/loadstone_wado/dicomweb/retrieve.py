"""Asking for frames and series: which Accept a server understands, and what comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadstone import FetchError, StashKey
from loadstone_wado.dicomweb.multipart import Part, parts_of
from loadstone_wado.part10 import Part10

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from loadstone import LoadContext
    from loadstone.transport import HttpStream
    from loadstone_wado.ids import RsUrl

__all__ = ["fetch_frame", "fetch_instance", "stream_series"]

_FRAME_LADDER: Final = (
    'multipart/related; type="application/octet-stream"; transfer-syntax=*',
    "multipart/related; type=application/octet-stream; transfer-syntax=*",
    'multipart/related; type="application/octet-stream"',
    "*/*",
)
"""Accept headers in the order in which they are tried; servers differ in what they understand."""

_OBJECT_LADDER: Final = (
    'multipart/related; type="application/dicom"; transfer-syntax=*',
    "multipart/related; type=application/dicom; transfer-syntax=*",
    'multipart/related; type="application/dicom"',
    "*/*",
)

_NOT_UNDERSTOOD: Final = frozenset({400, 406, 415})
"""Statuses that say: ask in another way."""

_RUNGS: StashKey[dict[tuple[str, str], int]] = StashKey()


def fetch_frame(url: RsUrl, context: LoadContext) -> tuple[Part, str]:
    """
    Return the bytes of a frame as the server stores them, and the Content-Type of the answer.

    Raises
    ------
    FetchError
        If the server does not give it in any way.
    IntegrityError, LimitError
        If the answer is truncated, or too large.
    """
    with _asked(f"{url.frame_url}{url.query}", url.root, "frame", _FRAME_LADDER, context) as stream:
        part = next(iter(parts_of(stream, context.settings)), None)
        if part is None:
            raise FetchError("the answer is empty", source=stream.url, status=stream.status)
        return part, stream.headers.get("Content-Type", "")


def fetch_instance(url: RsUrl, context: LoadContext) -> Part10:
    """Return a whole instance, which all its frames share; errors as `fetch_frame`."""

    def fetch() -> Part10:
        return next(_objects(f"{url.instance_url}{url.query}", url.root, context))

    return context.source(("wadors object", url.instance_url, url.query), fetch)


def stream_series(url: RsUrl, context: LoadContext) -> Iterator[Part10]:
    """Yield the instances of a series as they arrive, in the server's order; errors as `fetch_frame`."""
    return _objects(f"{url.series_url}{url.query}", url.root, context)


def _objects(target: str, root: str, context: LoadContext) -> Iterator[Part10]:
    with _asked(target, root, "object", _OBJECT_LADDER, context) as stream:
        count = 0
        for part in parts_of(stream, context.settings):
            count += 1
            yield Part10.from_bytes(part.body, context.settings, source=stream.url)
        if not count:
            raise FetchError("the answer is empty", source=stream.url, status=stream.status)


def _asked(
    target: str, root: str, kind: str, ladder: tuple[str, ...], context: LoadContext
) -> AbstractContextManager[HttpStream]:
    """Open an answer with the first Accept header that the server understands; the rung is remembered."""
    rungs = context.session.stash.setdefault(_RUNGS, dict)
    rung = rungs.get((root, kind), 0)
    while True:
        try:
            stream = context.stream(target, headers={"Accept": ladder[rung]})
        except FetchError as error:
            if error.status not in _NOT_UNDERSTOOD or rung + 1 == len(ladder):
                raise
            rung += 1
        else:
            rungs[root, kind] = rung
            return stream
