"""
An id taken apart: scheme, rest, frame, selection.

An image id names one 2-D image, a volume id one 3-D or 4-D volume: ``scheme:rest``. The rest is literal; only
a trailing ``?frame=n`` / ``&frame=n`` is taken off by the core, and a plugin takes off its own selections
(``?series=…``, ``&stack=n``) with `LoadId.selections`.
"""

from __future__ import annotations

import os
import re
from functools import cached_property
from typing import Self
from urllib.parse import unquote

from loadstone.errors import InvalidIdError

__all__ = ["ImageId", "LoadId", "VolumeId", "path_of", "rest_of", "scheme_of"]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9.-]{1,62}\Z")
_NOT_LITERAL = re.compile(r"[?#%]|&(?=[a-z][a-z-]*=)")
_ENCODED = re.compile(r"%(?:3F|23|25|26)", re.IGNORECASE)
_SELECTION = re.compile(r"[?&]([a-z][a-z-]*)=([^?&#]*)\Z")


def scheme_of(text: str) -> str | None:
    r"""
    Return the lower-case scheme in front of the first colon, or None where there is none.

    A scheme has at least two characters, so that ``C:\x.nii`` is a path.
    """
    head, colon, _ = text.partition(":")
    return head.lower() if colon and _SCHEME.match(head) else None


FILES = "file"
"""The lane of what leads to no host."""


def lane_of(identity: LoadId) -> str:
    """Return the host that an id leads to, or ``file``: what it queues for."""
    rest = identity.rest
    if rest.startswith(("http://", "https://")):
        return rest.split("/", 3)[2].rpartition("@")[2].lower()
    return FILES


class LoadId(str):  # noqa: SLOT000 - its parts are cached in its dictionary
    """
    The text of an id, with its parts.

    It is a `str`: it compares, hashes, prints and pickles as the text that the user gave.

    Raises
    ------
    InvalidIdError
        If there is no scheme in front.
    """

    def __new__(cls, text: str) -> Self:
        """Return `text` itself when it already is of this class."""
        return text if type(text) is cls else super().__new__(cls, text)

    @cached_property
    def scheme(self) -> str:
        """What stands in front of the first colon, in lower case."""
        scheme = scheme_of(self)
        if scheme is None:
            raise InvalidIdError(
                "there is no scheme in front",
                source=str(self),
                hint="Write 'scheme:rest', or use loadstone.to_id() for paths and plain URLs.",
            )
        return scheme

    @cached_property
    def rest(self) -> str:
        """Everything behind the first colon, literally."""
        return self[len(self.scheme) + 1 :]

    def selections(self, *names: str) -> tuple[str, dict[str, str]]:
        """
        Take the named selections off the end of the rest.

        Parameters
        ----------
        *names
            What may be taken off, in any order, for example ``"series", "stack"``.

        Returns
        -------
        rest : str
            The rest without them.
        selection : dict
            The values that were found, by name, as text.

        Examples
        --------
        >>> VolumeId("dicomfile:/data/ct?series=1.2.3&stack=2").selections("series", "stack")
        ('/data/ct', {'stack': '2', 'series': '1.2.3'})
        """
        rest = self.rest
        selection: dict[str, str] = {}
        if "=" not in rest:
            return rest, selection
        while (found := _SELECTION.search(rest)) and found[1] in names and found[1] not in selection:
            selection[found[1]] = found[2]
            rest = rest[: found.start()]
        return rest, selection

    def number(self, name: str, text: str, *, least: int) -> int:
        """
        Return the whole number of a selection.

        Raises
        ------
        InvalidIdError
            If `text` is no whole number of at least `least`.
        """
        if not (text.isascii() and text.isdecimal() and int(text) >= least):
            raise InvalidIdError(f"{name}={text} is not a whole number of at least {least}", source=str(self))
        return int(text)


class ImageId(LoadId):
    """The name of one 2-D image."""

    @cached_property
    def _without_frame(self) -> tuple[str, int | None]:
        rest, selection = self.selections("frame")
        if not selection:
            return rest, None
        return rest, self.number("frame", selection["frame"], least=0)

    @property
    def frame(self) -> int | None:
        """The number behind a trailing ``?frame=`` or ``&frame=``; None where there is none."""
        return self._without_frame[1]

    @property
    def locator(self) -> str:
        """The rest without the frame: the path or URL of what holds the image."""
        return self._without_frame[0]


class VolumeId(LoadId):
    """The name of one volume, or of a place where volumes are found."""


def rest_of(path: str | os.PathLike[str]) -> str:
    """
    Return the rest of an id that names a local path.

    ``?``, ``#``, ``%`` are percent-encoded, and a ``&`` that would start a selection, so that nothing of the
    path is taken for one.

    Examples
    --------
    >>> rest_of("/data/50%/what?.dcm")
    '/data/50%25/what%3F.dcm'
    """
    return _NOT_LITERAL.sub(lambda found: f"%{ord(found[0]):02X}", os.fsdecode(path))


def path_of(rest: str) -> str:
    """
    Return the local path that the rest of an id names, selections already taken off; undoes `rest_of`.

    Only ``%3F``, ``%23``, ``%25`` and ``%26`` are decoded: other paths stand in ids as they are. A ``file:``
    URL is decoded as the URL that it is, and a leading ``//`` or ``//localhost`` is left out.

    Raises
    ------
    InvalidIdError
        If a ``file:`` URL names another host, or there is no path.

    Examples
    --------
    >>> path_of("/data/50%25/what%3F.dcm")
    '/data/50%/what?.dcm'
    >>> path_of("file:///data/my%20scan.nii")
    '/data/my scan.nii'
    """
    if rest.startswith("/") and not rest.startswith("//") and "%" not in rest and "\0" not in rest:
        return rest  # as nearly all do: there is nothing to undo
    is_url = scheme_of(rest) == "file"
    location = rest[len("file:") :] if is_url else rest
    if location.startswith(("///", "//localhost/")):
        location = location[location.index("/", 2) :]
        if os.name == "nt" and location[2:3] == ":":
            location = location[1:]
    elif is_url and location.startswith("//"):
        raise InvalidIdError(
            "a file: URL with a host",
            source=rest,
            hint="Only local files are read: file:///path, or the path alone.",
        )
    path = unquote(location) if is_url else _ENCODED.sub(lambda found: unquote(found[0]), location)
    if not path or "\0" in path:
        raise InvalidIdError("there is no path in it", source=repr(rest))
    return path
