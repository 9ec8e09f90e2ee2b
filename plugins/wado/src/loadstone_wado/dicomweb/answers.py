"""Answers that are not what was asked for, although their status says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadstone import DecodeError
from loadstone.transport import redact
from loadstone_wado.dicomweb.media import MediaType

if TYPE_CHECKING:
    from loadstone.transport import HttpResponse, HttpStream
    from loadstone_wado.part10 import Part10

__all__ = ["ends_with_its_connection", "refuse_cut", "refuse_text"]


def ends_with_its_connection(answer: HttpResponse) -> bool:
    """Say whether only the end of the connection ended an answer, which may then be cut anywhere."""
    return "Content-Length" not in answer.headers and "Transfer-Encoding" not in answer.headers


def refuse_text(answer: HttpResponse | HttpStream) -> None:
    """
    Refuse a page or a document where pixels were asked for.

    Raises
    ------
    DecodeError
        If the answer says that it is text.
    """
    media = MediaType.of(answer.headers.get("Content-Type", ""))
    if media.is_text:
        raise DecodeError(
            f"the server answered with {media.name} where pixels were asked for",
            source=redact(answer.url),
            hint="It is often a login or an error page: check the address and the credentials.",
        )


def refuse_cut(part10: Part10, answer: HttpResponse) -> None:
    """
    Refuse an object of which a part is missing, where only the end of the connection ended the answer.

    Asked for again it may be whole: so nothing must be kept of it.

    Raises
    ------
    LoadstoneError
        As `FrameReader.read` for the last frame.
    """
    if ends_with_its_connection(answer):
        part10.frames.read(part10.instance.number_of_frames)
