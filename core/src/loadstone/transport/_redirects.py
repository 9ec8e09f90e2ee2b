"""Where a redirect leads, and what may go with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from loadstone.errors import InvalidIdError, SecurityError
from loadstone.transport.messages import Headers, HttpRequest
from loadstone.transport.urls import HttpUrl, redact

__all__ = ["REDIRECTS", "redirected"]

REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
"""The statuses that send elsewhere."""

_CARRIED: Final = frozenset(
    {
        "accept",
        "accept-charset",
        "accept-language",
        "cache-control",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "range",
        "user-agent",
    }
)
"""Headers that follow a redirect to another origin; any other may be a secret."""


def redirected(request: HttpRequest, status: int, sent_to: str, location: str) -> HttpRequest:
    """
    Return the request that an answer sends elsewhere, without what is meant for this origin only.

    Parameters
    ----------
    request
        What was asked for, without credentials.
    status, sent_to, location
        The status of the answer, the URL that it came from, and its ``Location``.

    Raises
    ------
    SecurityError
        If it leads from https to http, to another scheme, or names a user.
    """
    from urllib.parse import urljoin

    here = HttpUrl.parse(sent_to)
    try:
        there = HttpUrl.parse(urljoin(str(here), location))
    except (InvalidIdError, ValueError):
        raise SecurityError(
            "a redirect leads to something that is no http or https URL", source=redact(str(here))
        ) from None
    if here.scheme == "https" and there.scheme == "http":
        raise SecurityError("a redirect leads from https to http", source=redact(str(here)))
    if there.user is not None:
        raise SecurityError("a redirect names a user", source=redact(str(here)))
    if status == 303 and request.method != "HEAD":
        request = replace(request, method="GET")
    if there.origin != here.origin:
        kept = {name: value for name, value in request.headers.items() if name.lower() in _CARRIED}
        request = replace(request, headers=Headers(kept))
    return request.with_url(str(there))
