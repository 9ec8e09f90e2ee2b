"""What went wrong on the wire, said in terms of what to do about it."""

from __future__ import annotations

import http.client
import os
import re
import socket
import ssl
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from urllib3.exceptions import HTTPError, ProxyError

from loadstone.errors import (
    FetchError,
    IntegrityError,
    LimitError,
    LoadCancelled,
    LoadstoneError,
    UnsupportedError,
)
from loadstone.transport._body import BrokenBodyError
from loadstone.transport._retries import is_retryable
from loadstone.transport.urls import redact

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadstone.settings import Settings
    from loadstone.transport._flight import Flight

__all__ = ["WIRE_ERRORS", "explained", "refused"]

WIRE_ERRORS: Final = (HTTPError, OSError, http.client.HTTPException, BrokenBodyError)
"""What urllib3, http.client, ssl and sockets raise."""

_OF_THE_BODY: Final = (IntegrityError, LimitError, UnsupportedError)
_QUOTING: Final = http.client.HTTPException
_TUNNEL: Final = re.compile(r"Tunnel connection failed: (\d{3})")
_CHECK_SERVER: Final = "Check that the server runs and that host and port are right."
_STATUS_HINTS: Final = {
    400: "The server does not understand the address: check the id.",
    401: "Give credentials for this origin (auth), or renew those that you gave.",
    403: "These credentials may not read this: ask the server's administrator.",
    404: "Check the id: the server does not have this object.",
    406: "The server cannot send it in any accepted form: ask for another transfer syntax or media type.",
    407: "The proxy wants credentials: put them into the setting proxy, as http://user:password@host:port.",
    408: "The server gave up waiting: try again.",
    410: "The server had this object once and does not any more.",
    415: "The server does not support what was asked for: ask for another transfer syntax or media type.",
    425: "The server wants the request again later.",
    429: "The server wants fewer requests: lower host_permits (LOADSTONE_HOST_PERMITS) or try again later.",
}


def refused(status: int, url: str, attempts: int) -> FetchError:
    """Return the error for an answer that is not what was asked for."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "(no status that is known)"
    failing = "The server failed: try again later; its log says more." if status >= 500 else ""
    return FetchError(
        f"HTTP {status} {phrase}",
        source=redact(url),
        hint=_STATUS_HINTS.get(status, failing),
        status=status,
        attempts=attempts,
        retryable=is_retryable(status),
    )


def explained(error: Exception, url: str, flight: Flight, settings: Settings) -> Exception:
    """Return the error to raise in place of one from below, its cause included; others as they are."""
    call = flight.call
    source = redact(url)
    if call.reason is not None:
        return LoadCancelled(call.reason, source=source)
    if not isinstance(error, WIRE_ERRORS):
        return _located(error, source) if isinstance(error, _OF_THE_BODY) else error
    root = _root(error)
    what, hint, retryable = _diagnosis(error, root, flight, settings)
    told: LoadstoneError
    if retryable is None:
        told = LimitError(what, source=source, hint=hint)
    else:
        told = FetchError(what, source=source, hint=hint, attempts=call.attempts, retryable=retryable)
    # What http.client could not read it quotes, and that is the server's text.
    told.__cause__ = None if isinstance(root, _QUOTING) and not isinstance(root, OSError) else root
    return told


def _located(error: IntegrityError | LimitError | UnsupportedError, source: str) -> LoadstoneError:
    """Return the same error with the address, which a body does not know."""
    located = type(error)(error.what, source=source, hint=error.hint)
    located.__cause__ = error.__cause__
    return located


def _root(error: BaseException) -> BaseException:
    """Return the innermost error: what urllib3 wraps around it names pools and, sometimes, paths."""
    while (inner := error.__cause__ or error.__context__) is not None and isinstance(inner, WIRE_ERRORS):
        error = inner
    return error


Diagnosis = tuple[str, str, bool | None]
"""What happened, what to do, whether to try again (None: a limit was hit)."""


def _diagnosis(error: Exception, root: BaseException, flight: Flight, settings: Settings) -> Diagnosis:
    if isinstance(root, TimeoutError):
        return _lateness(flight, settings)
    for kind, diagnose in _DIAGNOSES:
        if isinstance(root, kind):
            what, hint, retryable = diagnose(root)
            break
    else:
        what, hint, retryable = f"the request failed ({type(root).__name__})", "", True
    if isinstance(error, ProxyError):
        return f"through the proxy: {what}", "Check the proxy's address (setting proxy).", retryable
    return what, hint, retryable


def _lateness(flight: Flight, settings: Settings) -> Diagnosis:
    if flight.overdue:
        late = "the answer did not come in time: the server is too slow"
        return late, "Raise total_seconds (LOADSTONE_TOTAL_SECONDS) if that is normal.", False
    if flight.is_connecting:
        late = f"no connection within {settings.connect_seconds:g} s"
        return late, _CHECK_SERVER, True
    late = f"no byte came for {settings.stall_seconds:g} s"
    return late, "Raise stall_seconds (LOADSTONE_STALL_SECONDS) if the server needs longer.", True


def _of_certificate(root: BaseException) -> Diagnosis:
    reason = getattr(root, "verify_message", "") or "verification failed"
    hint = "If it is right, name its authority's file in ca_bundle (LOADSTONE_CA_BUNDLE)."
    return f"the server's certificate is not trusted: {reason}", hint, False


def _of_tls(root: BaseException) -> Diagnosis:
    reason = getattr(root, "reason", None) or type(root).__name__
    hint = "Check that the port speaks TLS, and whether the server wants a client certificate."
    return f"TLS failed ({reason})", hint, True


def _of_name(root: BaseException) -> Diagnosis:
    again = isinstance(root, OSError) and root.errno == socket.EAI_AGAIN
    return "the host's name is not known", "Check the host's name.", again


def _of_refusal(_: BaseException) -> Diagnosis:
    return "connection refused", _CHECK_SERVER, True


def _of_loss(_: BaseException) -> Diagnosis:
    return "the server closed the connection before it had answered", "Its log may say more.", True


def _of_body(root: BaseException) -> Diagnosis:
    return str(root), "Try again; if it stays so, the server or a proxy cuts answers short.", True


def _of_header(root: BaseException) -> Diagnosis:
    if isinstance(root, http.client.LineTooLong) or "headers" in str(root):
        return "the header of the answer is too long", "Is this a DICOMweb or web server?", None
    return f"the answer is not HTTP ({type(root).__name__})", _CHECK_SERVER, False


def _of_system(root: BaseException) -> Diagnosis:
    tunnel = _TUNNEL.search(str(root))
    if tunnel:
        status = int(tunnel[1])
        return f"it refused with HTTP {status}", _STATUS_HINTS.get(status, ""), is_retryable(status)
    number = root.errno if isinstance(root, OSError) else None
    what = os.strerror(number) if number else f"the request failed ({type(root).__name__})"
    return what, _CHECK_SERVER, True


_DIAGNOSES: Final[tuple[tuple[type[BaseException], Callable[[BaseException], Diagnosis]], ...]] = (
    (ssl.SSLCertVerificationError, _of_certificate),
    (ssl.SSLError, _of_tls),
    (socket.gaierror, _of_name),
    (ConnectionRefusedError, _of_refusal),
    (ConnectionError, _of_loss),
    (BrokenBodyError, _of_body),
    (http.client.HTTPException, _of_header),
    (OSError, _of_system),
    (HTTPError, _of_header),
)
"""The first that fits; `http.client.RemoteDisconnected` is a `ConnectionError` too."""
