"""The one door to the network: retries, deadlines, limits and credentials for http and https."""

from __future__ import annotations

from loadstone.transport.auth import Auth, BasicAuth, BearerAuth
from loadstone.transport.client import Transport
from loadstone.transport.messages import Headers, HttpRequest, HttpResponse
from loadstone.transport.stream import HttpStream
from loadstone.transport.urls import HttpUrl, origin_of, redact

__all__ = [
    "Auth",
    "BasicAuth",
    "BearerAuth",
    "Headers",
    "HttpRequest",
    "HttpResponse",
    "HttpStream",
    "HttpUrl",
    "Transport",
    "origin_of",
    "redact",
]
