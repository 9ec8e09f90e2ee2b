"""Frames by byte ranges: the beginning first, the rest when it is wanted (RFC 9110, section 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from loadstone import IntegrityError
from loadstone.transport import redact
from loadstone_wado.dicomweb.answers import refuse_text
from loadstone_wado.dicomweb.bodies import Received
from loadstone_wado.dicomweb.ladder import FRAME, Ladder, climb
from loadstone_wado.dicomweb.media import MediaType
from loadstone_wado.dicomweb.multipart import header_fields, parts_of
from loadstone_wado.dicomweb.parts import Part
from loadstone_wado.dicomweb.syntax import syntax_of
from loadstone_wado.frames import EncodedFrame

if TYPE_CHECKING:
    from loadstone import LoadContext
    from loadstone.transport import HttpResponse
    from loadstone_wado.ids import RsUrl
    from loadstone_wado.layout import PixelLayout

__all__ = ["Fetched", "fetch_range"]

_RANGED: Final = Ladder(("application/octet-stream; transfer-syntax=*", *FRAME.rungs))
"""A body without parts comes first: the boundary of a multipart answer may change with each request."""
_CONTENT_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII)
_PARTIAL: Final = 206


@dataclass(frozen=True, slots=True)
class Fetched:
    """The body of a frame's answer, as far as it is there."""

    body: bytes
    """From its first byte on."""
    total: int | None
    """Bytes of the whole body; None where the server does not say."""
    content_type: str
    """Of the answer."""
    tag: str
    """The server's strong name for this version of the body (ETag), or empty."""
    to_the_end: bool = False
    """Whether it was asked for to its end, wherever that is."""

    @property
    def complete(self) -> bool:
        """Whether all of it is there."""
        return self.total is not None and len(self.body) >= self.total

    @property
    def share(self) -> float:
        """About how much of it is there, up to 1."""
        return len(self.body) / self.total if self.total else 0.0

    def frame(self, layout: PixelLayout, context: LoadContext, source: str) -> EncodedFrame:
        """
        Return the frame in it, or the beginning of the frame.

        Raises
        ------
        IntegrityError
            If nothing says how it is encoded, or a whole body does not end as it should.
        """
        part = self._part(context, source) if self.complete else self._cut_part(source)
        return EncodedFrame(part.body, syntax_of(part, self.content_type, layout))

    def _part(self, context: LoadContext, source: str) -> Part:
        for part in parts_of(Received(self.body), self.content_type, context.settings, source=source):
            return part
        raise IntegrityError("the answer has no parts", source=source)

    def _cut_part(self, source: str) -> Part:
        """Return the first part of a body whose end is not there."""
        if not MediaType.of(self.content_type).name.startswith("multipart/"):
            return Part({"content-type": self.content_type}, memoryview(self.body))
        head, blank, _ = self.body.partition(b"\r\n\r\n")
        if not blank:
            raise IntegrityError("the range ends within the header of a part", source=source)
        return Part(header_fields(head), memoryview(self.body)[len(head) + len(blank) :])


def fetch_range(url: RsUrl, stop: int | None, known: Fetched | None, context: LoadContext) -> Fetched:
    """
    Return a frame's answer up to a byte, asking only for what is not known.

    A server that does not care for ranges answers with everything; then everything is returned.

    Parameters
    ----------
    url
        Of the frame.
    stop
        The byte behind the last that is wanted; None: all.
    known
        What is there already.
    context
        Of the load.

    Raises
    ------
    FetchError
        If the server does not give it.
    IntegrityError
        If it gives another range than it was asked for, or says nothing about it.
    DecodeError
        If it gives a text.
    """
    start = 0 if known is None else len(known.body)
    headers = {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"}
    if known is not None and known.tag:
        headers["If-Range"] = known.tag
    answer = climb(
        _RANGED,
        url.root,
        context.session,
        lambda accept: context.fetch(url.frame_url + url.query, headers={"Accept": accept, **headers}),
    )
    refuse_text(answer)
    return replace(_joined(answer, known), to_the_end=stop is None)


def _joined(answer: HttpResponse, known: Fetched | None) -> Fetched:
    content_type = answer.headers.get("Content-Type", "")
    tag = answer.headers.get("ETag", "")
    tag = "" if tag.startswith("W/") else tag
    if answer.status != _PARTIAL:
        return Fetched(answer.body, len(answer.body), content_type, tag)
    found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
    before = b"" if known is None else known.body
    if found is None:
        raise _other_range("a part of it, and does not say which", answer)
    start, last = int(found[1]), int(found[2])
    total = None if found[3] == "*" else int(found[3])
    if start > len(before) or last - start + 1 != len(answer.body):
        raise _other_range(f"bytes {start} to {last} of it", answer)
    if known is not None and (known.total, known.tag) != (total, tag):
        raise _other_range("another version of it than before", answer)
    return Fetched(before[:start] + answer.body, total, content_type, tag)


def _other_range(what: str, answer: HttpResponse) -> IntegrityError:
    return IntegrityError(
        f"asked for a range of a frame, the server sent {what}",
        source=redact(answer.url),
        hint="Load it without byte ranges.",
    )
