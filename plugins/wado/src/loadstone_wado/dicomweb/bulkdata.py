"""BulkDataURI: large values that stand behind an address of their own; followed within the service only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

from loadstone import FetchError, SecurityError
from loadstone.transport import origin_of, redact
from loadstone_wado.dicomweb.answers import refuse_text
from loadstone_wado.dicomweb.bodies import Received
from loadstone_wado.dicomweb.ladder import BULK, climb
from loadstone_wado.dicomweb.multipart import parts_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadstone import Session

__all__ = ["BULK_DATA_POLICIES", "bulk_data_urls", "fetch_bulk_data"]

_NOT_THERE: Final = frozenset({400, 404, 410})


BULK_DATA_POLICIES: Final = ("rebase", "refuse")
"""What may be done about addresses at other origins."""


def bulk_data_urls(uri: str, metadata_url: str, root: str, *, policy: str = "rebase") -> tuple[str, ...]:
    """
    Return where the data behind a BulkDataURI is asked for, in turn: always at the origin of `root`.

    Servers behind a proxy name the address that they know themselves by: its path below ``/studies/``, or
    below the path of the root where it is the same, is grafted onto the root that the user gave.

    Parameters
    ----------
    uri
        As the metadata name it. One that is relative is so to the metadata, or, as some servers have it, to
        the root.
    metadata_url
        Where they were found.
    root
        URL of the service.
    policy
        ``rebase``, or ``refuse`` not to graft.

    Raises
    ------
    SecurityError
        If it leads to another origin and to nothing of the service, or must not be grafted.
    """
    url = urljoin(metadata_url, uri)
    parts = urlsplit(url)
    if parts.scheme in {"http", "https"} and origin_of(url) == origin_of(root):
        is_relative = not urlsplit(uri).scheme and not uri.startswith("/")
        return (url, f"{root}/{uri}") if is_relative else (url,)
    below = _below_the_root(parts.path, urlsplit(root).path)
    if not below or policy == "refuse":
        raise SecurityError(
            "bulk data lies at another origin",
            source=redact(url),
            hint="It is not fetched: the address came from the server, not from you.",
        )
    return (f"{root}{below}" + (f"?{parts.query}" if parts.query else ""),)


def _below_the_root(path: str, root: str) -> str:
    """Return the part of a foreign path that names something of the service; empty if nothing says so."""
    _, studies, rest = path.partition("/studies/")
    if studies:
        return studies + rest
    return path.removeprefix(root) if root and path.startswith(f"{root}/") else ""


def fetch_bulk_data(urls: Sequence[str], root: str, session: Session) -> bytes:
    """
    Return the bytes at the first of these URLs that the server knows.

    They are no part of a load: what needs them may be any later one.

    Raises
    ------
    FetchError
        If the server does not give them in any way.
    IntegrityError, LimitError, DecodeError
        If the answer is truncated, too large, or no data.
    """
    *others, last = urls
    for url in others:
        try:
            return _fetched(url, root, session)
        except FetchError as error:
            if error.status not in _NOT_THERE:
                raise
    return _fetched(last, root, session)


def _fetched(url: str, root: str, session: Session) -> bytes:
    answer = climb(
        BULK, root, session, lambda accept: session.transport.fetch(url, headers={"Accept": accept})
    )
    refuse_text(answer)
    content_type = answer.headers.get("Content-Type", "")
    parts = parts_of(Received(answer.body), content_type, session.settings, source=redact(answer.url))
    return b"".join(part.body for part in parts)
