"""Several frames of one instance with one request: ``/frames/1,2,3`` (DICOM PS3.18 10.4.1.1.6)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from loadstone import IntegrityError
from loadstone.transport import redact
from loadstone_wado.dicomweb.answers import refuse_text
from loadstone_wado.dicomweb.ladder import FRAME, climb
from loadstone_wado.dicomweb.multipart import parts_of
from loadstone_wado.dicomweb.syntax import syntax_of
from loadstone_wado.frames import EncodedFrame

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loadstone import LoadContext
    from loadstone_wado.dicomweb.parts import Part
    from loadstone_wado.ids import RsUrl
    from loadstone_wado.layout import PixelLayout

__all__ = ["frame_lists", "stream_frames"]

LONGEST_URL: Final = 2000
"""Characters of a URL that every server and proxy takes."""
MOST_FRAMES: Final = 50
"""
Frames of one request: few enough to be held until the last one came, where only their order tells what they
are. Servers that look a whole object through for each request gain little from more.
"""

_LOCATION: Final = re.compile(r"/frames/([0-9]{1,9})/?(?:\?.*)?\Z")


def frame_lists(url: RsUrl, numbers: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """
    Divide frames among requests whose URLs are short enough.

    Parameters
    ----------
    url
        Of one of the frames.
    numbers
        The frames, from 1.
    """
    room = LONGEST_URL - len(f"{url.instance_url}/frames/{url.query}")
    some: list[int] = []
    used = 0
    for number in numbers:
        size = len(str(number)) + 1
        if some and (len(some) == MOST_FRAMES or used + size > room):
            yield tuple(some)
            some, used = [], 0
        some.append(number)
        used += size
    if some:
        yield tuple(some)


def stream_frames(
    url: RsUrl, numbers: Sequence[int], layout: PixelLayout, context: LoadContext
) -> Iterator[tuple[int, EncodedFrame]]:
    """
    Yield frames of one instance, each with its number, as they arrive.

    A part says by ``Content-Location`` which frame it is. Parts that do not say so are in the order of the
    request, which is believed only if they are as many as were asked for.

    Parameters
    ----------
    url
        Of one of the frames.
    numbers
        The frames that are wanted, from 1.
    layout
        What each is to become.
    context
        Of the load.

    Raises
    ------
    FetchError
        If the server does not give them so.
    IntegrityError, LimitError, DecodeError
        If the answer is truncated, too large, no pixels, or it is not clear which frame is which.
    """
    target = f"{url.instance_url}/frames/{','.join(map(str, numbers))}{url.query}"
    opened = climb(
        FRAME, url.root, context.session, lambda accept: context.stream(target, headers={"Accept": accept})
    )
    unnamed: list[EncodedFrame] = []
    named = 0
    with opened as stream:
        refuse_text(stream)
        source, content_type = redact(stream.url), stream.headers.get("Content-Type", "")
        for part in parts_of(stream, content_type, context.settings, source=source):
            context.progress(stream.received, stream.length)
            frame = EncodedFrame(part.body, syntax_of(part, content_type, layout))
            number = _number_of(part)
            if number is None:
                unnamed.append(frame)
            else:
                named += 1
                yield number, frame
    if not unnamed:
        return
    if named or len(unnamed) != len(numbers):
        raise IntegrityError(
            f"the answer has {named + len(unnamed)} parts where {len(numbers)} frames were asked for, and "
            "does not say which is which",
            source=source,
        )
    yield from zip(numbers, unnamed, strict=True)


def _number_of(part: Part) -> int | None:
    found = _LOCATION.search(part.headers.get("content-location", ""))
    return int(found[1]) if found else None
