"""Which format a file is in, told by its bytes: names and suffixes lie."""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING, BinaryIO

from loadstone.errors import IntegrityError, UnsupportedError
from loadstone_web import jpeg, png
from loadstone_web.on_request import ON_REQUEST, read_header_on_request

if TYPE_CHECKING:
    from loadstone_web.header import WebHeader

__all__ = ["looks_like", "read_header"]

_HEAD_BYTES = 1024
_PRINTABLE = string.printable.encode()

_MAGIC = (
    (rb".{128}DICM", "a DICOM file"),  # first: its preamble may be the head of a TIFF image
    (rb"%!PS|\xc5\xd0\xd3\xc6", "PostScript (EPS)"),
    (rb"%PDF-", "a PDF document"),
    (rb"8BPS", "a Photoshop document"),
    (rb"SIMPLE  =", "a FITS file"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "a JPEG XL image"),
    (rb"....ftyp(avif|heic|heix|mif1)", "an AVIF or HEIF image"),
    (rb"P[1-7]\s", "a PNM image"),
    (rb"\x5c\x01\0\0.{340}n[i+]1\0|\0\0\x01\x5c.{340}n[i+]1\0", "a NIfTI file"),
    (rb"\x1f\x8b", "gzip-compressed data"),
    (rb"PK\x03\x04", "a ZIP archive"),
    (rb"\s*(?=<)(?=.*<(!doctype\s+html|html|head|body)\b)", "an HTML page"),
    (rb"\s*(?=<)(?=.*<svg\b)", "an SVG drawing"),
    (rb"\s*<\?xml\b", "an XML document"),
    (rb"\s*[\[{]\s*[\"\[{\]}]", "JSON"),
)
_KNOWN = tuple((re.compile(pattern, re.DOTALL | re.IGNORECASE), name) for pattern, name in _MAGIC)
_DICOM = _KNOWN[0][0]


def looks_like(head: bytes) -> str:
    """
    Say in words what bytes look like that are neither PNG nor JPEG.

    Examples
    --------
    >>> looks_like(b"GIF89a")
    'a GIF image'
    """
    name = _on_request(head)
    if name is not None:
        return f"a {name} image"
    for pattern, described in _KNOWN:
        if pattern.match(head):
            return described
    if not head[:64].translate(None, _PRINTABLE):
        return "text"  # whose words may be a patient's or a secret
    return f"unknown, begins with {head[:8].hex(' ')}"


def _on_request(head: bytes) -> str | None:
    """Name the format if it is one of `ON_REQUEST`."""
    if _DICOM.match(head):  # its preamble may be the head of a TIFF image
        return None
    return next((name for name, pattern in ON_REQUEST.items() if pattern.match(head)), None)


def read_header(
    file: BinaryIO, *, verify: bool, source: str, formats: frozenset[str] = frozenset()
) -> WebHeader:
    """
    Read the header of an image file without decoding it.

    Parameters
    ----------
    file
        Seekable, at its start.
    verify
        Whether to check what can be checked without decoding: that the file is whole, and the checksums.
    source
        What is read, for messages.
    formats
        Which of `ON_REQUEST` are opened beside PNG and JPEG.

    Raises
    ------
    UnsupportedError
        If it is another format, or a kind of PNG or JPEG that cannot be read; the message names it.
    IntegrityError
        If it is truncated or damaged.
    DecodeError
        If the header makes no sense.
    """
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    if head.startswith(png.SIGNATURE):
        return png.read_header(file, verify=verify, source=source)
    if head.startswith(jpeg.START_OF_IMAGE):
        return jpeg.read_header(file, verify=verify, source=source)
    if not head:
        raise IntegrityError("the file is empty", source=source, hint="Fetch it again.")
    if png.SIGNATURE.startswith(head) or jpeg.START_OF_IMAGE.startswith(head):
        raise IntegrityError(f"truncated after {len(head)} bytes", source=source, hint="Fetch it again.")
    if head[1:4] == b"PNG":
        raise IntegrityError(
            "the PNG signature is damaged, as by a transfer in text mode",
            source=source,
            hint="Transfer the file again in binary mode.",
        )
    name = _on_request(head)
    if name in formats:
        return read_header_on_request(name, file, source=source)
    raise UnsupportedError(
        f"neither PNG nor JPEG but {looks_like(head)}", source=source, hint=_ways_out(name)
    )


def _ways_out(name: str | None) -> str:
    told = "'web:' opens PNG and JPEG only, told by the bytes"
    if name is None:
        return f"{told}; use the scheme of that format."
    return f"{told}; if you trust it, ask for it: options={{'formats': {name!r}}}."
