"""
An HTTP server that misbehaves as told, on raw sockets of the loopback interface.

>>> with FaultServer() as server:
...     server.plan("/a", Answer(body=b"whole", body_cut=2, end="reset"), Answer(body=b"whole"))
...     url = server.url("/a")  # the first request is reset after two bytes, all others are answered

It records what it was asked and when clients closed their connections. Nothing in it outlives `most_seconds`.
"""

from __future__ import annotations

import gzip
import select
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Final, Literal, Self, TypeAlias

from loadstone.transport import Headers

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

__all__ = [
    "Answer",
    "Connection",
    "FaultServer",
    "Plan",
    "Received",
    "gzipped_zeros",
    "many_headers",
    "redirect",
]

_GLANCE_SECONDS: Final = 0.02
_LONGEST_HEADER: Final = 2**20


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered with, and what goes wrong with it."""

    body: bytes = b""
    """The whole body."""
    status: int = 200
    """The status."""
    headers: Mapping[str, str] | tuple[tuple[str, str], ...] = ()
    """Further fields of the header."""
    framing: Literal["length", "chunked", "close"] = "length"
    """How the body's end is announced: ``Content-Length``, chunks, the end of the connection."""
    chunk: int = 4096
    """Bytes of a chunk."""
    header_cut: int | None = None
    """How many bytes of the header are sent before `end`; None: all, and the body."""
    body_cut: int | None = None
    """How many bytes after the header (chunk sizes count) are sent before `end`; None: all."""
    end: Literal["keep", "close", "reset", "stall"] = "keep"
    """Then: wait for the next request; close politely; reset; say nothing more."""
    delay: float = 0.0
    """Seconds before the first byte."""
    drip: float = 0.0
    """Seconds between single bytes after the header; 0: all at once."""
    raw: bytes | None = None
    """Sent in place of everything above, header included."""


@dataclass(frozen=True, slots=True)
class Received:
    """A request that came."""

    method: str
    """The method."""
    target: str
    """Path and query, or a whole URL when the server is used as a proxy."""
    headers: Headers
    """Fields of the header."""
    connection: int
    """Number of the connection that it came over, from 0."""
    at: float
    """When, on the monotonic clock."""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]


@dataclass(slots=True)
class Connection:
    """A connection that a client opened."""

    closed_at: float | None = None
    """When the client was seen to have closed it, on the monotonic clock."""


Plan: TypeAlias = "Answer | Callable[[Received], Answer]"
"""What answers a request."""


@dataclass(slots=True)
class _Steps:
    plans: tuple[Plan, ...]
    taken: int = 0

    def next(self) -> Plan:
        plan = self.plans[min(self.taken, len(self.plans) - 1)]
        self.taken += 1
        return plan


@dataclass(slots=True)
class _State:
    lock: threading.Lock = field(default_factory=threading.Lock)
    steps: dict[str, _Steps] = field(default_factory=dict)
    requests: list[Received] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)
    sockets: set[socket.socket] = field(default_factory=set)
    threads: list[threading.Thread] = field(default_factory=list)


class FaultServer:
    """
    The server; a context manager.

    Parameters
    ----------
    tls
        Speak TLS, with this server-side context.
    most_seconds
        No connection is served longer than this.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, most_seconds: float = 30.0) -> None:
        self._tls = tls
        self._ends_at = monotonic() + most_seconds
        self._stopped = threading.Event()
        self._state = _State()
        self._listener = _bound(0)
        self.port: int = self._listener.getsockname()[1]
        """The port; nobody listens there before `listen` or ``with``."""

    @property
    def requests(self) -> list[Received]:
        """All requests so far."""
        with self._state.lock:
            return list(self._state.requests)

    @property
    def connections(self) -> list[Connection]:
        """All connections so far."""
        with self._state.lock:
            return list(self._state.connections)

    def url(self, path: str = "/") -> str:
        """Return the URL of a path."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}{path}"

    def plan(self, path: str, *plans: Plan) -> str:
        """Answer the requests for a path one by one; the last plan repeats. Return the URL."""
        with self._state.lock:
            self._state.steps[path] = _Steps(plans)
        return self.url(path)

    def listen(self) -> None:
        """Accept connections, on the same port as before."""
        if self._listener.fileno() < 0:
            self._listener = _bound(self.port)
        self._listener.listen(128)
        self._start(self._accept, self._listener)

    def refuse(self) -> None:
        """Refuse connections until `listen`, and close those that are open."""
        self._stop_listening()
        self.drop_connections()

    def drop_connections(self) -> None:
        """Close all open connections, as servers do with idle ones."""
        with self._state.lock:
            sockets = list(self._state.sockets)
        for each in sockets:
            _shut_down(each)

    def wait_for(self, condition: Callable[[Self], bool], seconds: float = 5.0) -> bool:
        """Wait until something holds; return whether it does."""
        until = monotonic() + seconds
        while not (held := condition(self)) and monotonic() < until:
            self._stopped.wait(_GLANCE_SECONDS)
        return held

    def close(self) -> None:
        """Stop; close everything."""
        self._stopped.set()
        self._stop_listening()
        self.drop_connections()
        for thread in list(self._state.threads):
            thread.join(5)

    def __enter__(self) -> Self:
        self.listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _stop_listening(self) -> None:
        _shut_down(self._listener)  # or it would listen until the thread that accepts looks up
        self._listener.close()

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        with self._state.lock:
            self._state.threads = [each for each in self._state.threads if each.is_alive()] + [thread]
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while not self._stopped.is_set():
            try:
                sock, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:  # closed: no longer listening
                return
            sock.settimeout(max(0.1, self._ends_at - monotonic()))
            with self._state.lock:
                number = len(self._state.connections)
                self._state.connections.append(Connection())
                self._state.sockets.add(sock)
            self._start(self._serve, sock, number)

    def _serve(self, sock: socket.socket, number: int) -> None:
        try:
            if self._tls is not None:
                sock = self._secured(sock, self._tls)
            while self._answer_one(sock, number):
                pass
        except OSError:  # the client is gone, TLS failed, or the server is closing
            self._note_closed(number)
        finally:
            with self._state.lock:
                self._state.sockets.discard(sock)
            sock.close()

    def _secured(self, sock: socket.socket, tls: ssl.SSLContext) -> socket.socket:
        secured = tls.wrap_socket(sock, server_side=True)
        with self._state.lock:
            self._state.sockets.discard(sock)
            self._state.sockets.add(secured)
        return secured

    def _answer_one(self, sock: socket.socket, number: int) -> bool:
        """Answer a request; return whether to wait for another one."""
        request = _received(sock, number)
        if request is None:
            self._note_closed(number)
            return False
        with self._state.lock:
            self._state.requests.append(request)
            steps = self._state.steps.get(request.path)
            plan = Answer(status=404) if steps is None else steps.next()
        answer = plan if isinstance(plan, Answer) else plan(request)
        if self._wait(sock, answer.delay, number):
            return False
        header, body = _message(answer, head_only=request.method == "HEAD")
        if answer.header_cut is not None:
            header, body = header[: answer.header_cut], b""
        sock.sendall(header)
        if not self._send_body(sock, body[: answer.body_cut], answer.drip, number):
            return False
        return self._end(sock, answer, number)

    def _send_body(self, sock: socket.socket, body: bytes, drip: float, number: int) -> bool:
        if not drip:
            sock.sendall(body)
            return True
        for position in range(len(body)):
            sock.sendall(body[position : position + 1])
            if self._wait(sock, drip, number):
                return False
        return True

    def _end(self, sock: socket.socket, answer: Answer, number: int) -> bool:
        if answer.end == "stall":
            self._wait(sock, max(0.0, self._ends_at - monotonic()), number)
        elif answer.end == "reset":
            # Zero seconds of lingering: what is unsent is forgotten, and the client gets a reset.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif answer.end == "keep" and answer.framing != "close":
            return True
        return False

    def _wait(self, sock: socket.socket, seconds: float, number: int) -> bool:
        """Wait; return whether the client closed meanwhile, or the server is to end."""
        until = min(monotonic() + seconds, self._ends_at)
        while (left := until - monotonic()) > 0 and not self._stopped.is_set():
            readable, _, _ = select.select([sock], [], [], min(left, _GLANCE_SECONDS))
            if readable and not sock.recv(1):
                self._note_closed(number)
                return True
        return self._stopped.is_set()

    def _note_closed(self, number: int) -> None:
        with self._state.lock:
            connection = self._state.connections[number]
            connection.closed_at = connection.closed_at or monotonic()


def redirect(to: str, status: int = 302) -> Answer:
    """Return an answer that sends elsewhere."""
    return Answer(status=status, headers={"Location": to})


def gzipped_zeros(size: int) -> Answer:
    """Return an answer that is a thousand times smaller than what it expands to: `size` zeros."""
    return Answer(body=gzip.compress(bytes(size), 9), headers={"Content-Encoding": "gzip"})


def many_headers(count: int) -> Answer:
    """Return an answer with many header fields."""
    return Answer(headers=tuple((f"X-{number}", "x") for number in range(count)))


def _bound(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    sock.settimeout(_GLANCE_SECONDS)
    return sock


def _shut_down(sock: socket.socket) -> None:
    with suppress(OSError):  # closed already
        sock.shutdown(socket.SHUT_RDWR)


def _received(sock: socket.socket, number: int) -> Received | None:
    """Read a request without a body; None if the client closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more or len(data) > _LONGEST_HEADER:
            return None
        data += more
    lines = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ", 2)
    pairs = (line.partition(":") for line in lines[1:])
    headers = Headers((name, value.strip()) for name, _, value in pairs)
    return Received(method, target, headers, number, monotonic())


def _message(answer: Answer, *, head_only: bool) -> tuple[bytes, bytes]:
    if answer.raw is not None:
        return answer.raw, b""
    fields = list(answer.headers.items() if isinstance(answer.headers, Mapping) else answer.headers)
    body = answer.body
    if answer.framing == "chunked":
        fields.append(("Transfer-Encoding", "chunked"))
        body = _chunked(body, answer.chunk)
    elif answer.framing == "length":
        fields.append(("Content-Length", str(len(body))))
    else:
        fields.append(("Connection", "close"))
    lines = [f"HTTP/1.1 {answer.status} Reason", *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode("latin-1"), b"" if head_only else body


def _chunked(body: bytes, size: int) -> bytes:
    chunks = (body[start : start + size] for start in range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
