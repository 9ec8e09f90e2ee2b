"""The server itself: an address, threads, a beginning and an end."""

from __future__ import annotations

import logging
import socket
import socketserver
import sys
import time
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Self

from loadstone_wado.server.behaviour import ServerBehaviour
from loadstone_wado.server.connection import Connection, RequestLog, RequestRecord
from loadstone_wado.server.errors import ServerNotRunningError
from loadstone_wado.server.index import Content, Counts, build_archive
from loadstone_wado.server.links import Links
from loadstone_wado.server.service import DicomWebService

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["DicomWebServer"]

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.05
CLOSE_SECONDS = 2.0
"""How long closing waits for the threads; they are daemons, and a decoder cannot be stopped."""
LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  (only named, not bound)
"""Where to reach a server that listens everywhere."""


class DicomWebServer:
    """Serves DICOM files over QIDO-RS, WADO-RS, WADO-URI and plain addresses.

    For demos, tests and authors of plugins: it reads only, keeps its index in memory, and knows no users
    but the one of its behaviour. It listens on the loopback interface unless told otherwise.

    Parameters
    ----------
    content
        A folder, a file, the bytes of a Part-10 file, or several of them. Headers are read at once; what is
        no DICOM instance is skipped and counted.
    host
        Address to listen on.
    port
        Port to listen on; 0 takes a free one.
    behaviour
        What to do differently from the standard.

    Raises
    ------
    FileNotFoundError
        If a given path does not exist.

    Examples
    --------
    >>> from urllib.request import urlopen
    >>> from pydicom.data import get_testdata_file
    >>> with DicomWebServer(get_testdata_file("CT_small.dcm", read=False)) as server:
    ...     with urlopen(f"{server.url}/studies") as answer:
    ...         print(answer.status, answer.headers["Content-Type"])
    200 application/dicom+json
    """

    def __init__(
        self,
        content: Content,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        behaviour: ServerBehaviour | None = None,
    ) -> None:
        self._archive = build_archive(content)
        self._address = (host, port)
        self._behaviour = ServerBehaviour() if behaviour is None else behaviour
        self._log = RequestLog.for_behaviour(self._behaviour)
        self._closing = Event()
        self._listener: _Listener | None = None
        self._thread: Thread | None = None

    def start(self) -> Self:
        """Begin to listen; return the server. Does nothing when it listens already.

        Raises
        ------
        OSError
            If the address cannot be had.
        """
        if self._listener is not None:
            return self
        self._closing = Event()
        self._listener = _Listener(self._address)
        root = self._behaviour.advertised_root or self.url
        service = DicomWebService(self._archive, self._behaviour, Links(root.rstrip("/")))
        closing = self._closing
        self._listener.serve_connection = lambda peer: Connection(
            peer, service, self._behaviour, self._log, closing
        ).serve()
        self._thread = Thread(
            target=self._listener.serve_forever, args=(POLL_SECONDS,), name="dicomweb-server", daemon=True
        )
        self._thread.start()
        return self

    def close(self) -> None:
        """Close all connections, free the port, wait for the threads (2 s at most). May be called twice."""
        listener, thread = self._listener, self._thread
        if listener is None or thread is None:
            return
        self._listener = self._thread = None
        deadline = time.monotonic() + CLOSE_SECONDS
        self._closing.set()
        listener.shutdown()
        listener.server_close()
        thread.join(CLOSE_SECONDS)
        listener.close_connections(deadline)

    def serve_forever(self) -> None:
        """Serve until `close` is called from another thread or the user presses Ctrl-C.

        Raises
        ------
        OSError
            If the address cannot be had.
        """
        with self:
            try:
                # Waiting with a limit lets Ctrl-C through on every system.
                while not self._closing.wait(1.0):
                    pass
            except KeyboardInterrupt:
                logger.info("stopped by the user")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Root of the DICOMweb service: ``http://127.0.0.1:<port>/dicomweb``.

        Raises
        ------
        ServerNotRunningError
            If the server is not running.
        """
        return f"{self._origin()}/dicomweb"

    @property
    def wado_uri_url(self) -> str:
        """Address of the WADO-URI service, without its query.

        Raises
        ------
        ServerNotRunningError
            If the server is not running.
        """
        return f"{self._origin()}/wado"

    def file_url(self, sop_instance_uid: str) -> str:
        """Return the plain address of a Part-10 file.

        Raises
        ------
        ServerNotRunningError
            If the server is not running.
        """
        return f"{self._origin()}/files/{sop_instance_uid}.dcm"

    @property
    def counts(self) -> Counts:
        """How many instances are served, and how many files were skipped for which reason."""
        return self._archive.counts

    @property
    def requests(self) -> list[RequestRecord]:
        """The requests up to now, the oldest first. A record is filled while its request is answered."""
        return list(self._log.records)

    def _origin(self) -> str:
        if self._listener is None:
            raise ServerNotRunningError
        host = LOOPBACK.get(self._address[0], self._address[0])
        port = self._listener.server_address[1]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Listener(socketserver.TCPServer):
    """Accepts connections and gives each a thread."""

    allow_reuse_address = sys.platform != "win32"
    request_queue_size = 256
    serve_connection: Callable[[socket.socket], None]

    def __init__(self, address: tuple[str, int]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._threads: dict[socket.socket, Thread] = {}
        self._lock = Lock()
        super().__init__(address, socketserver.BaseRequestHandler)

    def process_request(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Serve a connection on a thread of its own."""
        if isinstance(request, tuple):
            return  # what datagrams would be
        thread = Thread(target=self._serve, args=(request,), name="dicomweb-connection", daemon=True)
        with self._lock:
            self._threads[request] = thread
        thread.start()

    def close_connections(self, deadline: float) -> None:
        """Close all connections and wait until `deadline` for their threads."""
        with self._lock:
            open_ones = list(self._threads.items())
        for peer, _ in open_ones:
            _shut(peer)
        for _, thread in open_ones:
            thread.join(max(deadline - time.monotonic(), 0))

    def _serve(self, peer: socket.socket) -> None:
        try:
            self.serve_connection(peer)
        finally:
            with self._lock:
                del self._threads[peer]
            _shut(peer)
            peer.close()


def _shut(peer: socket.socket) -> None:
    try:
        peer.shutdown(socket.SHUT_RDWR)
    except OSError:
        logger.debug("the client had closed already")
