"""A web server for the files of a folder, on loopback."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["serving_files"]


class _Handler(SimpleHTTPRequestHandler):
    timeout = 5  # a connection that is never used must not keep the server from closing

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


@contextmanager
def serving_files(folder: Path) -> Iterator[str]:
    """Serve the files of a folder and give the URL of its root."""
    # Not http.server.HTTPServer: it looks up the name of the host, which may ask a network.
    with ThreadingTCPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="demo-files", daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
