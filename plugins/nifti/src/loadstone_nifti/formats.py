"""What bytes look like that are no NIfTI header, in words."""

from __future__ import annotations

import re
import string

__all__ = ["looks_like"]

_MAGIC = (
    (rb"\x1f\x8b", "gzip-compressed data, compressed twice"),
    (rb"BZh", "bzip2-compressed data"),
    (rb"\x28\xb5\x2f\xfd", "Zstandard-compressed data"),
    (rb"\xfd7zXZ\0", "xz-compressed data"),
    (rb"PK\x03\x04", "a ZIP archive"),
    (rb".{128}DICM", "a DICOM file"),
    (rb"NRRD0", "an NRRD file"),
    (rb"\0\0\0\x01.{24}\0\0\0[\0-\x04]", "an MGH file"),
    (rb"\x89PNG", "a PNG image"),
    (rb"\xff\xd8\xff", "a JPEG image"),
    (rb"\x89HDF", "an HDF5 (MINC 2) file"),
    (rb"CDF[\x01\x02]", "a netCDF (MINC 1) file"),
    (rb"ObjectType\s*=|NDims\s*=", "a MetaImage header"),
    (rb"\s*(?=<)(?=.*<(!doctype\s+html|html|head|body)\b)", "an HTML page"),
    (rb"\s*<\?xml\b", "an XML document"),
    (rb"\s*[\[{]\s*[\"\[{\]}]", "JSON"),
)
_KNOWN = tuple((re.compile(pattern, re.DOTALL | re.IGNORECASE), name) for pattern, name in _MAGIC)
_PRINTABLE = string.printable.encode()


def looks_like(head: bytes) -> str:
    """
    Say what the first bytes of a file look like.

    Examples
    --------
    >>> looks_like(b"NRRD0004")
    'an NRRD file'
    """
    for pattern, name in _KNOWN:
        if pattern.match(head):
            return name
    if not head[:64].translate(None, _PRINTABLE):
        return "text"  # whose words may be a patient's or a secret
    return f"unknown, begins with {head[:8].hex(' ')}"
