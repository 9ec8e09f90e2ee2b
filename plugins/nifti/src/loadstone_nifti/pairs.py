"""
The two files of a pair: ``x.hdr`` says what the voxels in ``x.img`` are, each plain or gzip-compressed.

Either name of a pair names both. Only names tell that files belong together; what they are, their bytes tell.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from loadstone.errors import FetchError
from loadstone.ids import path_of

__all__ = ["is_url", "name_of_pair", "pair_of"]

_HALF: Final = re.compile(r"(.*\.)(hdr|img)((?:\.gz)?)((?:\?.*)?)", re.DOTALL | re.IGNORECASE)
_OTHER: Final = {"hdr": "img", "img": "hdr", "HDR": "IMG", "IMG": "HDR"}


def is_url(locator: str) -> bool:
    """Say whether it names something on a server."""
    return locator[:6].lower().startswith(("http:", "https:"))


def pair_of(locator: str) -> tuple[str, str | None]:
    """
    Return where the header of a file is, and where its voxels are if they are in another file.

    Parameters
    ----------
    locator
        A path or URL. On a server, both halves are compressed or none is, because asking costs a request.

    Raises
    ------
    FetchError
        If the other half of a pair is not there.

    Examples
    --------
    >>> pair_of("https://example.org/t1.img.gz?version=2")
    ('https://example.org/t1.hdr.gz?version=2', 'https://example.org/t1.img.gz?version=2')
    >>> pair_of("/data/t1.nii.gz")
    ('/data/t1.nii.gz', None)
    """
    found = _half(locator)
    if found is None:
        return locator, None
    stem, half, compressed, query = found.groups()
    name = _other_name(stem, half)
    if is_url(locator):
        other = name + compressed + query
    else:
        other = _existing([name + compressed, name + ("" if compressed else ".gz")], half.lower())
    return (locator, other) if half.lower() == "hdr" else (other, locator)


def name_of_pair(locator: str) -> str:
    """
    Return one name for both files of a pair, and any other locator as it is; nothing is looked at.

    Examples
    --------
    >>> name_of_pair("/data/t1.img"), name_of_pair("/data/t1.hdr"), name_of_pair("/data/t1.nii")
    ('/data/t1.hdr', '/data/t1.hdr', '/data/t1.nii')
    """
    found = _half(locator)
    if found is None or found[2].lower() == "hdr":
        return locator
    stem, half, compressed, query = found.groups()
    return _other_name(stem, half) + compressed + query


def _half(locator: str) -> re.Match[str] | None:
    """Return stem, half, compression and query of one file of a pair."""
    found = _HALF.fullmatch(locator)
    return None if found is None or (found[4] and not is_url(locator)) else found


def _other_name(stem: str, half: str) -> str:
    return stem + _OTHER.get(half, _OTHER[half.lower()])


def _existing(candidates: list[str], half: str) -> str:
    for candidate in candidates:
        if Path(path_of(candidate)).is_file():
            return candidate
    missing = "voxels (.img)" if half == "hdr" else "header (.hdr)"
    raise FetchError(
        f"this is half of a pair, and the file with its {missing} is not there",
        source=f"nifti:{path_of(candidates[0])}",
        hint="Both files of a pair lie in one folder, with the same name.",
    )
