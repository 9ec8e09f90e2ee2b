"""Bare paths, ``file:`` URLs and plain URLs to ids, by a static table of suffixes that plugins declare."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from loadstone._plugins.index import SUFFIXES, PluginIndex
from loadstone._plugins.precedence import allowed_claims, allowed_names
from loadstone.errors import InvalidIdError
from loadstone.ids import path_of, rest_of, scheme_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadstone._plugins.policy import PluginPolicy

__all__ = ["SuffixTable"]

FOLDER = "folder"
NO_SUFFIX = "no-suffix"


class SuffixTable:
    """
    The suffixes that installed plugins declare.

    An entry ``.nii.gz`` counts for paths and URLs, ``url.dcm`` for http(s) URLs only (and wins there),
    ``folder`` for folders, ``no-suffix`` for existing files without one. The longest suffix wins; case does
    not matter.
    """

    def __init__(self, index: PluginIndex, policy: PluginPolicy) -> None:
        self._index = index
        self._policy = policy

    def to_id(self, source: str | os.PathLike[str]) -> str:
        """
        Return the id of a path or URL; an id is returned unchanged.

        Raises
        ------
        InvalidIdError
            If the suffix is unknown, or if several schemes claim it.
        """
        if not isinstance(source, str):
            return self._of_path(os.fsdecode(source))
        scheme = scheme_of(source)
        if scheme is None:
            return self._of_path(source)
        if scheme in ("http", "https"):
            return self._of_url(source)
        if scheme == "file":
            return self._of_file_url(source)
        return source

    def _of_url(self, url: str) -> str:
        try:
            path = unquote(urlsplit(url).path)
        except ValueError as error:
            raise InvalidIdError(f"not a URL ({error})", source=_shown(url)) from error
        for suffix in _suffixes_of(path):
            scheme = self._scheme(f"url{suffix}", url) or self._scheme(suffix, url)
            if scheme:
                return f"{scheme}:{url}"
        raise self._unknown(url, "no installed plugin declares the suffix of this URL")

    def _of_file_url(self, url: str) -> str:
        """A query (``?frame=2``) stays a selection; what is percent-encoded before it belongs to the path."""
        location, mark, query = url.partition("?")
        return self._of_path(path_of(location)) + mark + query

    def _of_path(self, path: str) -> str:
        if not path or "\0" in path:
            raise InvalidIdError(
                "neither an id nor a path", source=repr(path), hint="Write 'scheme:rest' or a path."
            )
        scheme = self._scheme_of_path(path)
        return f"{scheme}:{rest_of(_absolute(path))}"

    def _scheme_of_path(self, path: str) -> str:
        # os.path says False where pathlib raises: no permission, a name that is too long.
        if path.endswith(("/", os.sep)) or os.path.isdir(path):  # noqa: PTH112 - see above
            return self._scheme(FOLDER, path) or self._fail(path, "no installed plugin loads folders")
        for suffix in _suffixes_of(path.replace("\\", "/")):
            if scheme := self._scheme(suffix, path):
                return scheme
        if _has_suffix(path):
            return self._fail(path, "no installed plugin declares the suffix of this file")
        if not os.path.exists(path):  # noqa: PTH110 - see above
            return self._fail(path, "there is no such file, and without a suffix its format cannot be told")
        return self._scheme(NO_SUFFIX, path) or self._fail(
            path, "no installed plugin loads files without a suffix"
        )

    def _scheme(self, suffix: str, source: str) -> str:
        """Return the scheme that a suffix stands for; empty if nobody declares it."""
        claims = allowed_claims(self._index, self._policy, SUFFIXES, suffix)
        schemes = {claim.value.lower() for claim in claims}
        if len(schemes) > 1:
            preferred = self._policy.prefer.get(suffix)
            schemes = {claim.value.lower() for claim in claims if claim.distribution == preferred} or schemes
        if len(schemes) > 1:
            declared = ", ".join(f"{claim.value} ({claim.claimant})" for claim in claims)
            raise InvalidIdError(
                f"{suffix!r} stands for several schemes: {declared}",
                source=_shown(source),
                hint=f'Write scheme:path, or set LOADSTONE_PREFER="{suffix}={claims[0].distribution}".',
            )
        return schemes.pop() if schemes else ""

    def _fail(self, source: str, what: str) -> str:
        raise self._unknown(source, what)

    def _unknown(self, source: str, what: str) -> InvalidIdError:
        known = allowed_names(self._index, self._policy, SUFFIXES)
        return InvalidIdError(
            f"{what} (known: {', '.join(known) or 'none'})",
            source=_shown(source),
            hint="Write the scheme in front (scheme:path), or install the plugin that reads it.",
        )


def _absolute(path: str) -> str:
    """
    Return the path from the root on, ``..`` left as it is (behind a symbolic link it is another folder).

    POSIX leaves two leading slashes to the system, which treats them as one; in an id they would look like a
    host.
    """
    absolute = str(Path(path).absolute())
    return absolute[1:] if os.name == "posix" and absolute.startswith("//") else absolute


def _suffixes_of(path: str) -> Iterator[str]:
    """Yield the suffixes of the last component, longest first; a leading dot only hides a file."""
    name = path.rpartition("/")[2].lower()
    return (name[start:] for start in range(1, len(name)) if name[start] == ".")


def _has_suffix(path: str) -> bool:
    """Whether there is something like a suffix; the last number of a file named by a UID is none."""
    suffix = Path(path).suffix[1:]
    return bool(suffix) and not suffix.isdecimal()


def _shown(source: str) -> str:
    """Return a source for a message: a URL without query and credentials, which can hold secrets."""
    if scheme_of(source) not in ("http", "https"):
        return source
    location = source.partition("?")[0].partition("#")[0]
    head, slashes, tail = location.partition("//")
    host, slash, path = tail.partition("/")
    return f"{head}{slashes}{host.rpartition('@')[2]}{slash}{path}"
