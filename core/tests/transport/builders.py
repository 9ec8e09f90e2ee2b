"""Settings and transports that tests share."""

from __future__ import annotations

import socket
import ssl
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any

from loadstone.settings import Settings
from loadstone.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Iterator

# Made with openssl for 100 years: an authority, what it signed for 127.0.0.1 and for a client, and the latter
# with its key encrypted (`locked.pem`). They protect nothing.
CERTIFICATES = Path(__file__).parent / "certificates"


def quick(**settings: Any) -> Settings:
    """Return settings under which nothing waits for long."""
    defaults: dict[str, Any] = {
        "connect_seconds": 2.0,
        "stall_seconds": 2.0,
        "total_seconds": 5.0,
        "backoff_seconds": 0.01,
        "backoff_most_seconds": 0.05,
        "retry_after_most_seconds": 0.3,
    }
    return Settings(**(defaults | settings))


def transport(auth: Any = None, prepare: Any = None, permit: Any = None, **settings: Any) -> Transport:
    """Return a transport with quick settings."""
    options = {"prepare": prepare, "permit": permit}
    return Transport(
        quick(**settings), auth=auth, **{name: each for name, each in options.items() if each is not None}
    )


def server_context(*, wants_client: bool = False) -> ssl.SSLContext:
    """Return what a test server needs to speak TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "server.pem")
    if wants_client:
        context.load_verify_locations(CERTIFICATES / "authority.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@contextmanager
def unreachable() -> Iterator[str]:
    """Give a URL that accepts no connection and refuses none: the queue of its socket is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        waiting = []
        for _ in range(8):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(address)
            waiting.append(sock)
        sleep(0.05)
        try:
            yield f"http://127.0.0.1:{address[1]}/a"
        finally:
            for sock in waiting:
                sock.close()
