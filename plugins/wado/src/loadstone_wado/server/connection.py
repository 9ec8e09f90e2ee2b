"""A connection: requests read one after the other, checked, logged, answered."""

from __future__ import annotations

import base64
import hmac
import logging
import socket
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Protocol

from loadstone_wado.server.errors import RequestRefusedError, UnauthorizedError
from loadstone_wado.server.wire import Request, Response, ResponseWriter, message, read_request

if TYPE_CHECKING:
    from threading import Event

    from loadstone_wado.server.behaviour import ServerBehaviour

__all__ = ["Connection", "RequestLog", "RequestRecord", "Responder"]

logger = logging.getLogger(__name__)

LINGER_BYTES = 2**20
LINGER_SECONDS = 0.5
"""How much of a request's body, and how long, is waited for so that the client gets the refusal of it."""


class Responder(Protocol):
    """What answers requests."""

    def respond(self, request: Request) -> Response:
        """Answer, or raise a `RequestRefusedError`."""
        ...


@dataclass(slots=True)
class RequestRecord:
    """One request, and what became of it; filled while it is answered."""

    method: str
    """GET, HEAD, …"""
    target: str
    """Path and query, as they were sent."""
    headers: dict[str, str] = field(repr=False)
    """By name in lower case."""
    status: int | None = None
    """What was answered; None before."""
    bytes_sent: int = 0
    """Bytes of header and body handed to the kernel."""
    closed_early: bool = False
    """Whether the client closed the connection before it had all."""
    finished: bool = False
    """Whether nothing more is sent."""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


@dataclass(slots=True)
class RequestLog:
    """The last requests, the oldest first."""

    records: deque[RequestRecord]
    """At most as many as the behaviour says."""

    @classmethod
    def for_behaviour(cls, behaviour: ServerBehaviour) -> RequestLog:
        """Make an empty log."""
        return cls(deque(maxlen=behaviour.logged_requests))

    def begin(self, request: Request) -> RequestRecord:
        """Note that a request came; it is in the log before its answer begins."""
        record = RequestRecord(request.method, request.target, request.headers)
        self.records.append(record)
        return record


@dataclass(frozen=True, slots=True)
class Connection:
    """Serves one client until it or the server closes."""

    peer: socket.socket
    """Connected, blocking."""
    responder: Responder
    """What answers."""
    behaviour: ServerBehaviour
    """What is done differently from the standard."""
    log: RequestLog
    """Where requests are noted."""
    closing: Event
    """Set when the server closes."""

    def serve(self) -> None:
        """Answer requests until one side closes."""
        self.peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with self.peer.makefile("rb") as stream:
                while not self.closing.is_set() and self._serve_one(stream):
                    pass
        except OSError:
            logger.debug("a client closed its connection", exc_info=True)

    def _serve_one(self, stream: BinaryIO) -> bool:
        try:
            request = read_request(stream)
        except RequestRefusedError as error:
            ResponseWriter(self.peer).write(message(None, _refusal(error)))
            return False
        if request is None or not self._answer(request):
            return False
        if request.has_body:
            self._linger()
        return request.keep_alive

    def _answer(self, request: Request) -> bool:
        """Return whether all of the answer was sent."""
        record = self.log.begin(request)
        try:
            response = self._respond(request)
            if self.behaviour.latency and self._wait_finds_nobody():
                record.closed_early = True
                return False
            return self._send(request, response, record)
        finally:
            record.finished = True

    def _respond(self, request: Request) -> Response:
        try:
            self._check_credentials(request)
            return self.responder.respond(request)
        except RequestRefusedError as error:
            return _refusal(error)
        except Exception:  # the client gets an answer, the log the rest
            logger.exception("%s failed", request.method)
            return _refusal(RequestRefusedError("the server failed; its log says why"))

    def _check_credentials(self, request: Request) -> None:
        given = request.headers.get("authorization", "")
        behaviour = self.behaviour
        if behaviour.basic_auth is not None:
            pair = base64.b64encode(":".join(behaviour.basic_auth).encode()).decode("ascii")
            if not _same(given, f"Basic {pair}"):
                raise UnauthorizedError("Basic")
        if behaviour.bearer_token is not None and not _same(given, f"Bearer {behaviour.bearer_token}"):
            raise UnauthorizedError("Bearer")

    def _wait_finds_nobody(self) -> bool:
        """Wait as long as the behaviour says; return whether the client or the server went meanwhile."""
        if self.closing.wait(self.behaviour.latency):
            return True
        self.peer.settimeout(0)
        try:
            return self.peer.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        finally:
            self.peer.settimeout(None)

    def _send(self, request: Request, response: Response, record: RequestRecord) -> bool:
        writer = ResponseWriter(self.peer)
        record.status = response.status
        try:
            writer.write(message(request, response))
        except OSError:
            record.closed_early = not self.closing.is_set()
            return False
        except RequestRefusedError as error:
            if writer.sent == 0:
                return self._send(request, _refusal(error), record)
            # Too late for a status: the connection ends before the body does, and the client sees that.
            logger.exception("%s failed in the middle of its answer", request.method)
            return False
        finally:
            record.bytes_sent += writer.sent
        return True

    def _linger(self) -> None:
        # Closing with unread bytes resets the connection, and the client would lose the answer.
        self.peer.shutdown(socket.SHUT_WR)
        self.peer.settimeout(LINGER_SECONDS)
        left = LINGER_BYTES
        while left > 0 and (data := self.peer.recv(65536)):
            left -= len(data)


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def _refusal(error: RequestRefusedError) -> Response:
    return Response.of(
        error.status, "text/plain; charset=utf-8", (f"{error.text}\n".encode(),), error.headers
    )
