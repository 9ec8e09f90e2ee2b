"""How the server behaves: by the standard, or with the quirks of others, so that clients can be tested."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["AcceptKind", "ServerBehaviour"]


class AcceptKind(StrEnum):
    """Ways to write an ``Accept`` header that some server somewhere refuses."""

    QUOTED_TYPE = "quoted-type"
    """``multipart/related; type="application/octet-stream"``"""
    UNQUOTED_TYPE = "unquoted-type"
    """``multipart/related; type=application/octet-stream``"""
    TRANSFER_SYNTAX = "transfer-syntax"
    """Any media range that names a transfer syntax, ``*`` included."""
    NO_TRANSFER_SYNTAX = "no-transfer-syntax"
    """A multipart media range that names none."""
    SEVERAL = "several"
    """More than one media range."""
    ANYTHING = "anything"
    """``*/*``, or no header at all."""
    SINGLE_PART = "single-part"
    """A media type outside of ``multipart/related``."""
    OCTET_STREAM = "octet-stream"
    """``application/octet-stream``, alone or as the type of the parts."""
    DICOM = "dicom"
    """``application/dicom``, alone or as the type of the parts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerBehaviour:
    """What the server does differently from a plain one that keeps to the standard.

    Examples
    --------
    >>> quirky = ServerBehaviour(refused_accepts=frozenset({AcceptKind.QUOTED_TYPE}), final_boundary=False)
    >>> quirky.refusal_status
    406
    """

    latency: float = 0.0
    """Seconds between a request and its answer."""
    refused_accepts: frozenset[AcceptKind] = frozenset()
    """Kinds of ``Accept`` refused where pixels, instances or bulk data are retrieved."""
    refusal_status: int = 406
    """Status of such a refusal; real servers use 400, 406 and 415."""
    refuses_frame_lists: bool = False
    """Whether ``/frames/1,2`` is a bad request."""
    refuses_series_metadata: bool = False
    """Whether the metadata of a whole series or study is refused."""
    ignores_ranges: bool = False
    """Whether a request for a byte range is answered with the whole."""
    misplaces_ranges: bool = False
    """Whether a request for a byte range is answered with one that begins later."""
    names_transfer_syntax: bool = True
    """Whether the ``Content-Type`` of what holds pixels names the transfer syntax."""
    final_boundary: bool = True
    """Whether a multipart body ends as it must."""
    content_location: bool = True
    """Whether a part says by ``Content-Location`` what it is."""
    reverses_parts: bool = False
    """
    Whether frames and instances come in the reverse of the asked order; frames without ``Content-Location``
    cannot be told apart then.
    """
    fails_first: bool = False
    """Whether the first request for each address is answered with 500, and only the next ones with data."""
    compresses: bool = True
    """Whether documents are sent in gzip to clients that take it."""
    pages: bool = True
    """Whether searches obey ``offset`` and ``limit``; else every match is sent each time."""
    advertised_root: str | None = None
    """Root in BulkDataURI, RetrieveURL and Content-Location instead of the server's own; may be foreign."""
    basic_auth: tuple[str, str] | None = field(default=None, repr=False)
    """User and password that every request must carry."""
    bearer_token: str | None = field(default=None, repr=False)
    """Token that every request must carry."""
    logged_requests: int = 100_000
    """How many requests the log keeps; the oldest are forgotten first."""
