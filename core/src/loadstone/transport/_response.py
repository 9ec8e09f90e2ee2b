"""An answer on its connection: its header, and the file that its body is read from."""

from __future__ import annotations

import http.client
import io
from time import monotonic
from typing import TYPE_CHECKING, Final

from loadstone.transport._body import is_framed
from loadstone.transport.messages import Headers

if TYPE_CHECKING:
    import socket

    from urllib3 import HTTPConnectionPool, Retry
    from urllib3.connection import HTTPConnection

    from loadstone.transport._flight import Flight

__all__ = ["Response"]

_BUFFER: Final = 16384
_LONGEST_LINE: Final = 65536
_MOST_FIELDS: Final = 100
_MOST_INTERIM: Final = 20
_SWITCHING_PROTOCOLS: Final = 101


class _Wire(io.RawIOBase):
    """The bytes of one answer as they come from the socket."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, flight: Flight) -> None:
        super().__init__()
        self._raw = raw
        self._sock = sock
        self._flight = flight
        self.ended = False
        """Whether the server closed its side."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        patience = self._flight.patience()
        if self._sock.gettimeout() != patience:  # setting it asks the system and lets another thread run
            self._sock.settimeout(patience)
        before = monotonic()
        count = 0
        try:
            count = self._raw.readinto(buffer) or 0
        finally:
            self._flight.account(monotonic() - before, count)
        if not count:
            # Cut off by us it looks like an end, and a body that lasts until the end would seem whole.
            self._flight.call.raise_if_aborted()
            self.ended = True
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class Response(http.client.HTTPResponse):
    """
    What stands in for the responses of http.client and of urllib3.

    Both parse a header as if it were an e-mail, which takes longer than all the rest of a small request, and
    both take a connection that ends within the header for the end of the header.
    """

    version_string = "HTTP/1.1"
    """For urllib3's log."""
    length_remaining: int | None = None
    """For urllib3's log."""
    retries: Retry | None = None
    """Set by urllib3."""
    _connection: HTTPConnection | None = None
    _pool: HTTPConnectionPool | None = None
    fields: Headers
    """The header."""

    def __init__(
        self, sock: socket.socket, debuglevel: int = 0, *, flight: Flight, method: str | None = None
    ) -> None:
        super().__init__(sock, debuglevel, method=method)
        self._flight = flight
        self.fp = io.BufferedReader(_Wire(self.fp.detach(), sock, flight), _BUFFER)

    def begin(self) -> None:
        """Read the header; those of interim answers are skipped."""
        for _ in range(_MOST_INTERIM):
            version, self.code, self.reason = self._read_status()  # type: ignore[attr-defined]
            self.status = self.code
            self.fields = Headers(self._read_fields())
            if self.status >= 200 or self.status == _SWITCHING_PROTOCOLS:
                break
        else:
            raise http.client.BadStatusLine("interim answers only")
        # For urllib3, which looks for Retry-After.
        self.headers = self.msg = self.fields  # type: ignore[assignment]
        self.will_close = self._is_last(version)
        self._flight.response = self

    def let_go(self, *, reusable: bool) -> None:
        """Give the connection back to its pool, closed unless it can serve again."""
        connection, self._connection = self._connection, None
        self.close()
        if connection is not None and self._pool is not None:
            if not reusable or self.will_close:
                connection.close()
            self._pool._put_conn(connection)

    def _read_fields(self) -> list[tuple[str, str]]:
        fields: list[tuple[str, str]] = []
        while (line := self.fp.readline(_LONGEST_LINE)) not in {b"\r\n", b"\n"}:
            if len(line) == _LONGEST_LINE or len(fields) == _MOST_FIELDS:
                raise http.client.LineTooLong("header")
            if not line.endswith(b"\n"):
                raise http.client.RemoteDisconnected("the connection ended within the header")
            name, colon, value = line.decode("latin-1").partition(":")
            if name[0] in " \t" and fields:  # a folded line goes on with the value (RFC 9112, 5.2)
                fields[-1] = fields[-1][0], f"{fields[-1][1]} {line.decode('latin-1').strip()}"
            elif colon:
                fields.append((name.strip(), value.strip()))
            else:
                raise http.client.BadStatusLine("a header line without a colon")
        return fields

    def _is_last(self, version: str) -> bool:
        """Whether no further answer can come over this connection (RFC 9112, 6.3 and 9.3)."""
        options = self.fields.get("Connection", "").lower()
        persistent = "keep-alive" in options if version == "HTTP/1.0" else "close" not in options
        return not persistent or not is_framed(self.status, self.fields, method=self._method)  # type: ignore[attr-defined]
