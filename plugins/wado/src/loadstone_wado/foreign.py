"""What bytes are that are no DICOM: files of other formats are told by how they begin."""

from __future__ import annotations

from typing import Final

from loadstone.errors import DecodeError, LoadstoneError, UnsupportedError

__all__ = ["HEAD_BYTES", "not_dicom"]

HEAD_BYTES: Final = 352
"""The head of NIfTI, which is the longest that is looked at."""

_STARTS: Final = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"\xff\x4f\xff\x51": "a JPEG 2000 codestream",
    b"\0\0\0\x0cjP  ": "a JPEG 2000 image",
    b"GIF8": "a GIF image",
    b"II*\0": "a TIFF image",
    b"MM\0*": "a TIFF image",
    b"\x1f\x8b": "compressed by gzip",
    b"PK\x03\x04": "a zip archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"%PDF": "a PDF document",
    b"\x89HDF": "an HDF5 file",
    b"NRRD": "an NRRD image",
}
_NIFTI: Final = frozenset({b"n+1\0", b"ni1\0"})
_NIFTI_2: Final = frozenset({b"n+2\0", b"ni2\0"})


def not_dicom(head: bytes, source: str) -> LoadstoneError:
    """
    Return the error for an object that is no DICOM.

    Parameters
    ----------
    head
        Its first bytes.
    source
        What it is, for messages.

    Returns
    -------
    LoadstoneError
        `UnsupportedError` that names the format where it is known, else `DecodeError`.
    """
    # A DICOM file may have the head of a TIFF image as its preamble: then it is a damaged one.
    kind = "" if head[128:132] == b"DICM" else _format_of(head)
    if kind:
        return UnsupportedError(
            f"it is not a DICOM object but {kind}", source=source, hint="Use the scheme of its format."
        )
    return DecodeError("it is not a DICOM object", source=source, hint="Check what was asked for.")


def _format_of(head: bytes) -> str:
    if head[344:348] in _NIFTI or head[4:8] in _NIFTI_2:
        return "a NIfTI image"
    return next((name for start, name in _STARTS.items() if head.startswith(start)), "")
