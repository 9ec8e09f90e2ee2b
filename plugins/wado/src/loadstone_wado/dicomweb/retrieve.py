"""Asking for frames, instances and series, and reading what comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadstone import FetchError, IntegrityError, LoadCancelled, LoadstoneError, MetadataError, StashKey
from loadstone.transport import redact
from loadstone_wado.dicomweb.answers import ends_with_its_connection, refuse_cut, refuse_text
from loadstone_wado.dicomweb.arriving import ArrivingBlob
from loadstone_wado.dicomweb.bodies import Received
from loadstone_wado.dicomweb.ladder import FRAME, INSTANCE, PLAIN_FRAME, SERIES, Ladder, climb
from loadstone_wado.dicomweb.multipart import open_parts, parts_of
from loadstone_wado.dicomweb.syntax import syntax_of
from loadstone_wado.frames import EncodedFrame
from loadstone_wado.instance import Instance
from loadstone_wado.likeness import Likeness
from loadstone_wado.part10 import Part10

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadstone import LoadContext
    from loadstone.transport import HttpResponse
    from loadstone_wado.dicomweb.parts import Part
    from loadstone_wado.ids import RsUrl
    from loadstone_wado.layout import PixelLayout

__all__ = ["fetch_frame", "fetch_instance", "only_part", "stream_objects"]


_INTERNAL_ERROR: Final = 500

_FAILING: StashKey[set[str]] = StashKey()
"""URLs of series whose frames the server cannot give as it stores them."""


def fetch_frame(url: RsUrl, layout: PixelLayout, context: LoadContext) -> EncodedFrame:
    """
    Return a frame as the server stores it.

    Parameters
    ----------
    url
        Of the frame.
    layout
        What it is to become.
    context
        Of the load.

    Raises
    ------
    FetchError
        If the server does not give it in any way.
    IntegrityError, LimitError, DecodeError
        If the answer is truncated, too large, or no pixels.
    """
    part, answer = _fetched_frame(url, context)
    return EncodedFrame(part.body, syntax_of(part, answer.headers.get("Content-Type", ""), layout))


def _fetched_frame(url: RsUrl, context: LoadContext) -> tuple[Part, HttpResponse]:
    """
    Fetch a frame as it is stored, or else as every client must take it.

    Some servers answer 500 where they do not know the transfer syntax that they store, and give the frame, or
    its codestream under another name, to those who do not ask for what is stored.
    """
    failing = context.session.stash.setdefault(_FAILING, set)
    if url.series_url not in failing:
        try:
            return _fetched(url.frame_url, FRAME, url, context)
        except FetchError as error:
            if error.status != _INTERNAL_ERROR:
                raise
            found = _asked_plainly(url, context, error)
        failing.add(url.series_url)
        return found
    return _fetched(url.frame_url, PLAIN_FRAME, url, context)


def _asked_plainly(url: RsUrl, context: LoadContext, first: FetchError) -> tuple[Part, HttpResponse]:
    try:
        return _fetched(url.frame_url, PLAIN_FRAME, url, context)
    except FetchError:
        raise first from None


def fetch_instance(url: RsUrl, context: LoadContext) -> Part10:
    """
    Return a whole instance, fetched once for all its frames; errors as `fetch_frame`.

    Raises
    ------
    MetadataError
        If it is another one.
    """

    def fetch() -> Part10:
        part, answer = _fetched(url.instance_url, INSTANCE, url, context)
        source = redact(url.instance_url)
        found = Part10.from_bytes(part.body, context.settings, source=source)
        if found.instance.sop_instance_uid != url.instance:
            raise MetadataError("the server sent another instance than the one asked for", source=source)
        refuse_cut(found, answer)
        return found

    return context.source(("wadors object", url.instance_url, url.query), fetch)


def _fetched(target: str, ladder: Ladder, url: RsUrl, context: LoadContext) -> tuple[Part, HttpResponse]:
    """Fetch an answer of one part; return the part and the answer around it."""
    left = context.settings.attempts
    while True:
        answer = climb(
            ladder,
            url.root,
            context.session,
            lambda accept: context.fetch(target + url.query, headers={"Accept": accept}),
        )
        refuse_text(answer)
        left -= 1
        try:
            return only_part(answer, context), answer
        except IntegrityError:
            # A cut that the transport cannot know of: only the boundaries tell.
            if not left or not ends_with_its_connection(answer):
                raise


def only_part(answer: HttpResponse, context: LoadContext) -> Part:
    """
    Return the first part of an answer, or all of one that is not multipart.

    Raises
    ------
    IntegrityError, LimitError
        If it is cut or too large.
    """
    source, content_type = redact(answer.url), answer.headers.get("Content-Type", "")
    for part in parts_of(Received(answer.body), content_type, context.settings, source=source):
        return part
    raise IntegrityError("the answer has no parts", source=source)


def stream_objects(target: str, url: RsUrl, context: LoadContext) -> Iterator[tuple[Instance, ArrivingBlob]]:
    """
    Yield the instances of a series, or the one instance, as they arrive, in the server's order.

    Each comes with its bytes, of which only the header has been read. What cannot be read is passed over:
    whoever needs it asks for it by itself, and is told why.

    Parameters
    ----------
    target
        URL of the series or instance.
    url
        Of something in it.
    context
        Of the load.

    Raises
    ------
    FetchError
        If the server does not give it in any way.
    IntegrityError, LimitError, DecodeError
        If the answer is truncated, too large, or holds no objects.
    """
    ladder = SERIES if target == url.series_url else INSTANCE
    opened = climb(
        ladder,
        url.root,
        context.session,
        lambda accept: context.stream(target + url.query, headers={"Accept": accept}),
    )
    with opened as stream:
        refuse_text(stream)
        source, content_type = redact(stream.url), stream.headers.get("Content-Type", "")
        parts = open_parts(stream, content_type, context.settings, source=source, length=stream.length)
        likeness = Likeness()
        for part in parts:
            try:
                blob = ArrivingBlob(part, source)
                instance = Instance.from_blob(blob, context.settings, likeness=likeness)
            except LoadCancelled:
                raise
            except LoadstoneError:
                continue
            yield instance, blob
            context.progress(stream.received, stream.length)
