"""The transport within its process: imports, threads, forks, and what is left open."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest

from core.tests.transport.builders import transport
from loadstone.errors import LoadCancelled, LoadstoneError
from loadstone.testing.faults import Answer, FaultServer

BODY = bytes(range(256)) * 1000


def descriptors() -> int:
    """Count the open file descriptors, where the system can tell."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def test_import_is_light() -> None:
    """Importing the transport, and making one, imports neither urllib3 nor asyncio nor sockets."""
    code = (
        "import sys; from loadstone.settings import Settings; from loadstone.transport import Transport;"
        "Transport(Settings());"
        "print([m for m in ('urllib3', 'asyncio', 'http.client', 'ssl') if m in sys.modules])"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"[]\n"


def test_many_threads_share_it() -> None:
    """Requests of many threads do not mix, and use no more connections than there are threads."""
    wrong: list[str] = []
    with FaultServer() as server, transport() as door:
        for number in range(8):
            server.plan(f"/{number}", Answer(body=bytes([number]) * 50_000))

        def work(number: int) -> None:
            bodies = {door.fetch(server.url(f"/{number}")).body for _ in range(20)}
            if bodies != {bytes([number]) * 50_000}:
                wrong.append("body")

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

        assert wrong == []
        assert len(server.connections) <= 8


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_forked_child_starts_with_connections_of_its_own() -> None:
    """A child uses no connection of its parent, whose stream goes on; its closing harms neither."""
    with FaultServer() as server, transport() as door:
        url = server.plan("/a", Answer(body=BODY))
        door.fetch(url)
        with door.stream(url) as stream:
            begun = stream.read(1000)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # forking with threads, as users do
                child = os.fork()
            if child == 0:
                right = door.fetch(url).body == BODY and door.fetch(url).body == BODY
                door.close()
                os._exit(0 if right else 1)

            assert os.waitpid(child, 0)[1] == 0
            assert begun + stream.read() == BODY
        assert door.fetch(url).body == BODY
        assert [each.connection for each in server.requests] == [0, 0, 1, 1, 0]


def test_nothing_is_left_open() -> None:
    """After errors, cancels and half-read streams, closing leaves no file descriptor and no thread."""
    with FaultServer() as server:
        server.plan("/ok", Answer(body=BODY))
        server.plan("/cut", Answer(body=BODY, body_cut=10, end="reset"))
        before = descriptors()
        threads = threading.active_count()
        with transport(attempts=2) as door:
            for path in ("/ok", "/cut", "/none", "/ok"):
                try:
                    with door.stream(server.url(path)) as stream:
                        stream.read(5)
                        stream.read(5000)
                except LoadstoneError:
                    pass
            door.fetch(server.url("/ok"))

        assert server.wait_for(lambda _: threading.active_count() <= threads)
        assert server.wait_for(lambda _: descriptors() <= before)


def test_stream_of_a_closed_transport_ends() -> None:
    """Closing the transport ends an open stream as a cancel does."""
    with FaultServer() as server:
        door = transport()
        url = server.plan("/a", Answer(body=BODY, body_cut=1000, end="stall"))
        with door.stream(url) as stream:
            stream.read(1000)
            door.close()
            with pytest.raises(LoadCancelled, match="closed"):
                stream.read(1)
