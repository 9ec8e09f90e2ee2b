"""What the client accepts, and which form of a stored object is sent."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from pydicom.pixels import get_decoder
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from loadstone_wado.server.behaviour import AcceptKind
from loadstone_wado.server.errors import BadRequestError, NotAcceptableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "DICOM",
    "EXPLICIT",
    "OCTET_STREAM",
    "MediaRange",
    "Offer",
    "accept_kinds",
    "accepts",
    "choose_frame_form",
    "choose_instance_form",
    "parse_accept",
]

OCTET_STREAM = "application/octet-stream"
DICOM = "application/dicom"
EXPLICIT = str(ExplicitVRLittleEndian)

COMPRESSED_MEDIA_TYPES = {
    "1.2.840.10008.1.2.5": "image/dicom-rle",
    "1.2.840.10008.1.2.4.50": "image/jpeg",
    "1.2.840.10008.1.2.4.51": "image/jpeg",
    "1.2.840.10008.1.2.4.57": "image/jpeg",
    "1.2.840.10008.1.2.4.70": "image/jpeg",
    "1.2.840.10008.1.2.4.80": "image/jls",
    "1.2.840.10008.1.2.4.81": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.91": "image/jp2",
    "1.2.840.10008.1.2.4.92": "image/jpx",
    "1.2.840.10008.1.2.4.93": "image/jpx",
    "1.2.840.10008.1.2.4.110": "image/jxl",
    "1.2.840.10008.1.2.4.111": "image/jxl",
    "1.2.840.10008.1.2.4.112": "image/jxl",
    "1.2.840.10008.1.2.4.201": "image/jphc",
    "1.2.840.10008.1.2.4.202": "image/jphc",
    "1.2.840.10008.1.2.4.203": "image/jphc",
}
"""Media types of compressed frames (PS3.18 table 8.7.3-5)."""

SAME_FRAME_BYTES = frozenset({EXPLICIT, str(ImplicitVRLittleEndian), str(DeflatedExplicitVRLittleEndian)})
"""Transfer syntaxes whose frames are, byte for byte, those of explicit little endian."""


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One of the forms that a client accepts."""

    media_type: str
    """Type of the body, or of its parts when it is multipart; lower case; may be ``*/*`` or ``image/*``."""
    multipart: bool
    """Whether it was asked for as ``multipart/related``."""
    transfer_syntax: str | None
    """UID, ``*`` for whichever is stored, None when it was not named."""
    quoted: bool
    """Whether the type of the parts stood in quotes."""
    quality: float
    """The client's preference, 0 to 1."""

    def matches(self, media_type: str) -> bool:
        """Whether `media_type` is within this range."""
        if self.media_type in ("*/*", media_type):
            return True
        return self.media_type.endswith("/*") and media_type.startswith(self.media_type[:-1])

    @property
    def is_anything(self) -> bool:
        """Whether it is a plain ``*/*``."""
        return self.media_type == "*/*" and not self.multipart


@dataclass(frozen=True, slots=True)
class Offer:
    """The form in which something is sent."""

    media_type: str
    """Type of the body, or of its parts."""
    multipart: bool
    """Whether it is sent as ``multipart/related``."""
    transfer_syntax: str
    """UID of what is sent."""
    transcode: bool
    """Whether that differs from what is stored."""


@lru_cache(maxsize=256)
def parse_accept(header: str) -> tuple[MediaRange, ...]:
    """Parse an ``Accept`` header.

    Returns
    -------
    tuple of MediaRange
        The preferred first; ``*/*`` for an empty header; what has a quality of 0 is left out.

    Raises
    ------
    BadRequestError
        If a quality is no number.
    """
    ranges = [_parse_range(text) for text in _split(header, ",")] or [_parse_range("*/*")]
    return tuple(sorted((one for one in ranges if one.quality > 0), key=lambda one: -one.quality))


def accept_kinds(ranges: tuple[MediaRange, ...]) -> frozenset[AcceptKind]:
    """Say in which of the ways that servers refuse these `ranges` were written."""
    several = {AcceptKind.SEVERAL} if len(ranges) > 1 else set()
    return frozenset(several.union(*(_kinds(one) for one in ranges)))


def accepts(ranges: Iterable[MediaRange], media_types: Iterable[str]) -> str:
    """Return the first of `media_types` that a client accepts as a body of its own.

    Raises
    ------
    NotAcceptableError
        If it accepts none of them.
    """
    known = tuple(media_types)
    for one in ranges:
        for media_type in known:
            if not one.multipart and one.matches(media_type):
                return media_type
    raise NotAcceptableError(f"this is sent only as {' or '.join(known)}")


@lru_cache(maxsize=256)
def choose_frame_form(ranges: tuple[MediaRange, ...], stored: str) -> Offer:
    """Choose how frames stored as the transfer syntax `stored` are sent.

    Octet streams are explicit little endian unless another syntax (or ``*``, as stored) is asked for.
    ``*/*`` gets what is stored, under its own media type.

    Raises
    ------
    NotAcceptableError
        If nothing that the client accepts can be made from what is stored.
    """
    for one in ranges:
        offer = _frame_offer(one, stored)
        if offer is not None:
            return offer
    raise NotAcceptableError(
        f"these frames are stored as {stored} and can be sent as {_possible(stored)}, in multipart/related"
    )


@lru_cache(maxsize=256)
def choose_instance_form(ranges: tuple[MediaRange, ...], stored: str, *, single: bool) -> Offer:
    """Choose how an instance stored as the transfer syntax `stored` is sent.

    Parameters
    ----------
    ranges
        What the client accepts.
    stored
        UID of the transfer syntax.
    single
        Whether only one instance is asked for, so that it may be sent without multipart.

    Raises
    ------
    NotAcceptableError
        If nothing that the client accepts can be made from what is stored.
    """
    for one in ranges:
        if not one.matches(DICOM) or not (one.multipart or single or one.is_anything):
            continue
        wanted = stored if one.is_anything else one.transfer_syntax or EXPLICIT
        multipart = one.multipart or one.is_anything
        if wanted in ("*", stored):
            return Offer(DICOM, multipart, stored, transcode=False)
        if wanted == EXPLICIT and _can_rewrite(stored):
            return Offer(DICOM, multipart, EXPLICIT, transcode=True)
    where = "" if single else ", in multipart/related"
    raise NotAcceptableError(
        f"stored as {stored}, sent as {DICOM}; transfer-syntax={_possible(stored)}{where}"
    )


def _frame_offer(one: MediaRange, stored: str) -> Offer | None:
    kept = EXPLICIT if stored == DeflatedExplicitVRLittleEndian else stored
    own_type = COMPRESSED_MEDIA_TYPES.get(stored, OCTET_STREAM)
    if one.is_anything:
        syntax = EXPLICIT if stored in SAME_FRAME_BYTES else stored
        return Offer(own_type, multipart=True, transfer_syntax=syntax, transcode=False)
    if one.matches(OCTET_STREAM):
        wanted = one.transfer_syntax or EXPLICIT
        if wanted in ("*", kept):
            return Offer(OCTET_STREAM, one.multipart, kept, transcode=False)
        if wanted == EXPLICIT and stored in SAME_FRAME_BYTES:
            return Offer(OCTET_STREAM, one.multipart, EXPLICIT, transcode=False)
        if wanted == EXPLICIT and _can_decode(stored):
            return Offer(OCTET_STREAM, one.multipart, EXPLICIT, transcode=True)
    if own_type != OCTET_STREAM and one.matches(own_type) and one.transfer_syntax in (None, "*", stored):
        return Offer(own_type, one.multipart, kept, transcode=False)
    return None


def _can_decode(stored: str) -> bool:
    if stored == ExplicitVRBigEndian:
        return True
    try:
        return bool(get_decoder(stored).is_available)
    except NotImplementedError:
        return False


def _can_rewrite(stored: str) -> bool:
    return stored != ExplicitVRBigEndian and (stored in SAME_FRAME_BYTES or _can_decode(stored))


def _possible(stored: str) -> str:
    can = stored in SAME_FRAME_BYTES or _can_decode(stored)
    return f"{stored} or {EXPLICIT}" if can and stored != EXPLICIT else stored


def _kinds(one: MediaRange) -> Iterator[AcceptKind]:
    if one.is_anything:
        yield AcceptKind.ANYTHING
        return
    if not one.multipart:
        yield AcceptKind.SINGLE_PART
    else:
        yield AcceptKind.QUOTED_TYPE if one.quoted else AcceptKind.UNQUOTED_TYPE
        if one.transfer_syntax is None:
            yield AcceptKind.NO_TRANSFER_SYNTAX
    if one.transfer_syntax is not None:
        yield AcceptKind.TRANSFER_SYNTAX
    if one.media_type == OCTET_STREAM:
        yield AcceptKind.OCTET_STREAM
    if one.media_type == DICOM:
        yield AcceptKind.DICOM


def _parse_range(text: str) -> MediaRange:
    main, *fields = _split(text, ";")
    parameters = _parameters(fields)
    multipart = main.lower() in ("multipart/related", "multipart/*")
    part_type = parameters.get("type", "")
    quoted = part_type.startswith('"')
    if multipart:
        # Some clients write the transfer syntax within the quotes of the type.
        main, *inner = _split(part_type.strip('"'), ";") or ["*/*"]
        parameters = _parameters(inner) | parameters
    syntax = parameters.get("transfer-syntax", "").strip('"') or None
    return MediaRange(main.lower(), multipart, syntax, quoted, _quality(parameters.get("q", "1")))


def _parameters(fields: Iterable[str]) -> dict[str, str]:
    pairs = (field.partition("=") for field in fields)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise BadRequestError(f"q={text} in the Accept header is no number") from error


def _split(text: str, separator: str) -> list[str]:
    """Split at `separator` where it does not stand in quotes; blanks around and empty pieces are dropped."""
    pieces = [""]
    for position, stretch in enumerate(text.split('"')):
        if position % 2:
            pieces[-1] += f'"{stretch}"'
            continue
        first, *others = stretch.split(separator)
        pieces[-1] += first
        pieces.extend(others)
    return [piece.strip() for piece in pieces if piece.strip()]
