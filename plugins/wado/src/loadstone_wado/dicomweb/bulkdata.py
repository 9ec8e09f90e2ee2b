"""BulkDataURI: large values that stand behind an address of their own; followed within the service only."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from loadstone import SecurityError
from loadstone.transport import origin_of, redact
from loadstone_wado.dicomweb.answers import refuse_text
from loadstone_wado.dicomweb.ladder import BULK, climb
from loadstone_wado.dicomweb.multipart import parts_of

if TYPE_CHECKING:
    from loadstone import Session

__all__ = ["bulk_data_url", "fetch_bulk_data"]


def bulk_data_url(uri: str, metadata_url: str, root: str) -> str:
    """
    Return where the data behind a BulkDataURI is asked for: always at the origin of `root`.

    Servers behind a proxy name the address that they know themselves by: its path below ``/studies/`` is
    grafted onto the root that the user gave.

    Parameters
    ----------
    uri
        As the metadata name it; may be relative.
    metadata_url
        Where they were found.
    root
        URL of the service.

    Raises
    ------
    SecurityError
        If it leads to another origin and not to a study.
    """
    url = urljoin(metadata_url, uri)
    parts = urlsplit(url)
    if parts.scheme in {"http", "https"} and origin_of(url) == origin_of(root):
        return url
    _, studies, path = parts.path.partition("/studies/")
    if not studies:
        raise SecurityError(
            "bulk data lies at another origin",
            source=redact(url),
            hint="It is not fetched: the address came from the server, not from you.",
        )
    return f"{root}/studies/{path}" + (f"?{parts.query}" if parts.query else "")


def fetch_bulk_data(url: str, root: str, session: Session) -> bytes:
    """
    Return the bytes at the URL of bulk data; nobody's load, since what needs them may be any later one.

    Raises
    ------
    FetchError
        If the server does not give them in any way.
    IntegrityError, LimitError, DecodeError
        If the answer is truncated, too large, or no data.
    """
    answer = climb(
        BULK, root, session, lambda accept: session.transport.fetch(url, headers={"Accept": accept})
    )
    refuse_text(answer)
    content_type = answer.headers.get("Content-Type", "")
    parts = parts_of(BytesIO(answer.body), content_type, session.settings, source=redact(answer.url))
    return b"".join(part.body for part in parts)
