"""Answers that hold pixels, instances or bulk data."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from pydicom.uid import ExplicitVRBigEndian

from loadstone_wado.server.errors import (
    BadRequestError,
    NotAcceptableError,
    NotFoundError,
    RequestRefusedError,
)
from loadstone_wado.server.metadata import bulk_value
from loadstone_wado.server.multipart import Multipart, Part
from loadstone_wado.server.negotiation import (
    DICOM,
    EXPLICIT,
    OCTET_STREAM,
    Offer,
    accept_kinds,
    choose_frame_form,
    choose_instance_form,
    parse_accept,
)
from loadstone_wado.server.sources import Segment, Span, segment_bytes
from loadstone_wado.server.transcoding import explicit_frame, explicit_instance
from loadstone_wado.server.wire import Response

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loadstone_wado.server.behaviour import ServerBehaviour
    from loadstone_wado.server.frames import FrameReader
    from loadstone_wado.server.index import Instance
    from loadstone_wado.server.links import Links
    from loadstone_wado.server.negotiation import MediaRange

__all__ = ["Retrieval"]

Asked = TypeVar("Asked")

MOST_FRAMES = 65536
"""Bound of the numbers in one list of frames."""


class Retrieval:
    """Answers requests for frames, instances and bulk data.

    Parameters
    ----------
    behaviour
        What is done differently from the standard.
    links
        The addresses to name.
    frames
        Finds the frames.
    """

    def __init__(self, behaviour: ServerBehaviour, links: Links, frames: FrameReader) -> None:
        self._behaviour = behaviour
        self._links = links
        self._frames = frames

    def frames(self, instance: Instance, numbers: str, accept: str) -> Response:
        """Answer ``/frames/{numbers}``.

        Raises
        ------
        BadRequestError
            If `numbers` is no list of numbers with commas between.
        DamagedObjectError
            If the stored object cannot be read.
        NotAcceptableError
            If nothing that the client accepts can be sent.
        NotFoundError
            If there is no such frame.
        RequestRefusedError
            If the behaviour refuses it.
        """
        wanted = self._ordered(_frame_numbers(numbers))
        if len(wanted) > 1 and self._behaviour.refuses_frame_lists:
            raise BadRequestError("this server sends one frame at a time")
        offer = choose_frame_form(self._ranges(accept), instance.transfer_syntax_uid)
        stored = [self._frames.frame(instance, number) for number in wanted]  # all are there, or none is sent
        content_type = self._content_type(offer.media_type, offer.transfer_syntax)
        parts = (
            Part(
                content_type,
                (explicit_frame(instance, segment_bytes(frame)),) if offer.transcode else frame,
                self._location(self._links.frame(instance, number)),
            )
            for number, frame in zip(wanted, stored, strict=True)
        )
        return self._answer(parts, len(wanted), offer, made=offer.transcode)

    def instances(self, instances: Sequence[Instance], accept: str, *, single: bool) -> Response:
        """Answer with whole instances; several are made and read one after the other.

        Parameters
        ----------
        instances
            The instances.
        accept
            The header.
        single
            Whether an instance was asked for, not a series or study.

        Raises
        ------
        DamagedObjectError
            If the stored object cannot be read.
        NotAcceptableError
            If nothing that the client accepts can be sent.
        RequestRefusedError
            If the behaviour refuses it.
        """
        ranges = self._ranges(accept)
        ordered = self._ordered(list(instances))
        offers = [choose_instance_form(ranges, one.transfer_syntax_uid, single=single) for one in ordered]
        parts = (self._instance_part(one, offer) for one, offer in zip(ordered, offers, strict=True))
        return self._answer(parts, len(ordered), offers[0], made=any(offer.transcode for offer in offers))

    def bulkdata(self, instance: Instance, path: tuple[str, ...], accept: str) -> Response:
        """Answer ``/bulkdata/{path}``.

        Raises
        ------
        DamagedObjectError
            If the stored object cannot be read.
        NotAcceptableError
            If nothing that the client accepts can be sent.
        NotFoundError
            If there is no such element.
        RequestRefusedError
            If the behaviour refuses it.
        """
        pixels = instance.pixels
        is_pixels = pixels is not None and path == (pixels.tag,)
        if pixels is not None and is_pixels and pixels.offset is not None and pixels.length is None:
            return self.frames(instance, ",".join(map(str, range(1, pixels.frames + 1))), accept)
        ranges = self._ranges(accept)
        chosen = next((one for one in ranges if one.matches(OCTET_STREAM)), None)
        if chosen is None:
            raise NotAcceptableError(f"bulk data is sent as {OCTET_STREAM}, alone or in multipart/related")
        content = self._pixel_content(instance) if is_pixels else (bulk_value(instance, path),)
        multipart = chosen.multipart or chosen.is_anything
        offer = Offer(OCTET_STREAM, multipart, EXPLICIT, transcode=False)
        location = self._location(self._links.bulkdata(instance, "/".join(path)))
        part = Part(self._content_type(OCTET_STREAM, EXPLICIT), content, location)
        return self._answer(iter((part,)), 1, offer, made=False)

    def part10(self, instance: Instance, syntax: str) -> Response:
        """Answer with the bytes of a Part-10 file, as WADO-URI and plain addresses do.

        Parameters
        ----------
        instance
            The instance.
        syntax
            UID of a transfer syntax; ``*`` or nothing for the stored one.

        Raises
        ------
        DamagedObjectError
            If the stored object cannot be read.
        NotAcceptableError
            If it cannot be sent in this syntax.
        """
        ranges = parse_accept(f"{DICOM}; transfer-syntax={syntax or '*'}")
        offer = choose_instance_form(ranges, instance.transfer_syntax_uid, single=True)
        return Response.of(200, DICOM, _instance_content(instance, offer))

    def _ranges(self, accept: str) -> tuple[MediaRange, ...]:
        ranges = parse_accept(accept)
        if self._behaviour.refused_accepts:
            refused = sorted(self._behaviour.refused_accepts & accept_kinds(ranges))
            if refused:
                raise RequestRefusedError(
                    f"this server refuses {' and '.join(refused)} in the Accept header",
                    status=self._behaviour.refusal_status,
                )
        return ranges

    def _answer(self, parts: Iterator[Part], count: int, offer: Offer, *, made: bool) -> Response:
        if not offer.multipart:
            if count > 1:
                raise NotAcceptableError("several parts are sent only in multipart/related")
            part = next(parts)
            headers = () if part.location is None else (("Content-Location", part.location),)
            return Response.of(200, part.content_type, part.content, headers)
        form = Multipart.of(offer.media_type, final_boundary=self._behaviour.final_boundary)
        if (
            made and count > 1
        ):  # one at a time in memory; what cannot be made at all is refused before the first
            parts = chain((next(parts),), parts)
            return Response(200, form.content_type, form.segments(parts), None)
        return Response.of(200, form.content_type, tuple(form.segments(parts)))

    def _instance_part(self, instance: Instance, offer: Offer) -> Part:
        content_type = self._content_type(DICOM, offer.transfer_syntax)
        return Part(
            content_type, _instance_content(instance, offer), self._location(self._links.instance(instance))
        )

    def _pixel_content(self, instance: Instance) -> tuple[Segment, ...]:
        pixels = instance.pixels
        if pixels is None:
            raise NotFoundError("this instance has no pixel data")
        if pixels.offset is None or pixels.length is None:
            numbers = range(1, pixels.frames + 1)
            return tuple(segment for number in numbers for segment in self._frames.frame(instance, number))
        whole = (Span(instance.source, pixels.offset, pixels.length),)
        if instance.transfer_syntax_uid != ExplicitVRBigEndian:
            return whole
        return (explicit_frame(instance, segment_bytes(whole)),)

    def _content_type(self, media_type: str, syntax: str) -> str:
        return (
            f"{media_type}; transfer-syntax={syntax}" if self._behaviour.names_transfer_syntax else media_type
        )

    def _location(self, address: str) -> str | None:
        return address if self._behaviour.content_location else None

    def _ordered(self, asked: list[Asked]) -> list[Asked]:
        return asked[::-1] if self._behaviour.reverses_parts else asked


def _instance_content(instance: Instance, offer: Offer) -> tuple[Segment, ...]:
    if offer.transcode:
        return (explicit_instance(instance),)
    return (Span(instance.source, 0, instance.source.size),)


def _frame_numbers(text: str) -> list[int]:
    pieces = text.split(",", MOST_FRAMES)
    if len(pieces) > MOST_FRAMES or not all(map(_is_number, pieces)):
        raise BadRequestError("frames are named by numbers from 1 on, with commas between: /frames/1,2,3")
    return [int(piece) for piece in pieces]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0
