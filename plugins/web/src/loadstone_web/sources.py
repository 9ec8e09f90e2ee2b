"""The bytes behind a ``web:`` id: a local file, an http(s) URL, or a ``data:`` URL that carries them."""

from __future__ import annotations

import base64
import binascii
import os
import stat
from contextlib import contextmanager
from io import BufferedReader, BytesIO, FileIO
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote_to_bytes

from loadstone.errors import FetchError, InvalidIdError, LimitError
from loadstone.ids import path_of
from loadstone.transport import redact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadstone.context import LoadContext
    from loadstone.ids import ImageId

__all__ = ["is_remote", "label", "opened", "read"]

_REMOTE = ("http:", "https:")
_DATA = "data:"


def is_remote(image_id: ImageId) -> bool:
    """Say whether the id names something that only a server has."""
    return image_id.rest[:6].lower().startswith(_REMOTE)


def _is_data(image_id: ImageId) -> bool:
    return image_id.rest[:5].lower() == _DATA


def label(image_id: ImageId) -> str:
    """Return the id for messages: a ``data:`` URL without its data, a URL without user and query."""
    rest = image_id.rest
    if _is_data(image_id):
        return f"web:{rest.partition(',')[0][:64]},…"
    if is_remote(image_id):
        return f"web:{redact(rest)}"
    return str(image_id)


def read(image_id: ImageId, context: LoadContext) -> bytes:
    """
    Return all bytes that an id names.

    Raises
    ------
    FetchError
        If they cannot be had.
    LimitError
        If they are more than ``max_response_bytes``.
    InvalidIdError
        If a ``data:`` URL is malformed.
    """
    if is_remote(image_id):
        return context.fetch(image_id.rest).body
    with opened(image_id, context) as file:
        return file.read()


@contextmanager
def opened(image_id: ImageId, context: LoadContext) -> Iterator[BinaryIO]:
    """
    Open what an id names on this machine: a file, or the data in the id itself.

    Raises
    ------
    FetchError
        If there is no file, or it cannot be opened.
    LimitError
        If it has more than ``max_response_bytes``.
    InvalidIdError
        If a ``data:`` URL is malformed, or a ``file:`` URL names another machine.
    """
    if _is_data(image_id):
        yield BytesIO(_decode_data_url(image_id))
        return
    with context.reading(), _open_file(image_id, context) as file:
        yield file


def _open_file(image_id: ImageId, context: LoadContext) -> BinaryIO:
    path = path_of(image_id.rest)
    try:
        status = os.stat(path)  # noqa: PTH116 - the path is text
        _check_status(status, image_id, context)
        file = FileIO(path)
    except OSError as error:
        raise FetchError(
            f"the file cannot be read: {error.strerror or error}",
            source=label(image_id),
            hint="Check the path and its permissions.",
        ) from error
    context.depends_on(path, status)
    return BufferedReader(file)


def _check_status(status: os.stat_result, image_id: ImageId, context: LoadContext) -> None:
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for somebody to write
        raise FetchError("this is a folder or a device, not a file", source=label(image_id))
    most = context.settings.max_response_bytes
    if status.st_size > most:
        raise LimitError(
            f"the file has {status.st_size:,} bytes, more than max_response_bytes={most:,}",
            source=label(image_id),
            hint="Raise max_response_bytes (LOADSTONE_MAX_RESPONSE_BYTES) if the image is trusted.",
        )


def _decode_data_url(image_id: ImageId) -> bytes:
    """
    Decode ``data:[<media type>][;base64],<data>`` (RFC 2397); the media type is not believed.

    As in browsers, there may be white space, and base64 may lack its padding.
    """
    head, comma, text = image_id.rest.partition(",")
    if not comma:
        raise InvalidIdError(
            "the data URL has no comma in front of its data",
            source=label(image_id),
            hint="Write web:data:image/png;base64,<data>.",
        )
    data = unquote_to_bytes(text)
    if "".join(head.lower().split()).rpartition(";")[2] != "base64":
        return data
    packed = b"".join(data.split())
    try:
        return base64.b64decode(packed + b"=" * (-len(packed) % 4), validate=True)
    except binascii.Error as error:
        raise InvalidIdError(
            f"the data of the URL is not base64: {error}", source=label(image_id), hint="Encode it again."
        ) from error
