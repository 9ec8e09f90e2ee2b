"""Time: nothing waits longer than the settings say, and a cancel is seen by the server within a second."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from time import monotonic, sleep
from typing import TYPE_CHECKING

import pytest

from core.tests.transport.builders import CERTIFICATES, server_context, transport, unreachable
from loadstone.cancel import CancelToken
from loadstone.errors import FetchError, LoadCancelled, LoadstoneError
from loadstone.testing.faults import Answer, FaultServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loadstone.transport import Transport

BODY = bytes(100_000)
STALLS = {
    "before the header": Answer(header_cut=0, end="stall"),
    "within the header": Answer(header_cut=30, end="stall"),
    "in the body": Answer(body=BODY, body_cut=50_000, end="stall"),
    "in a chunked body": Answer(body=BODY, framing="chunked", body_cut=50_000, end="stall"),
    "in a body without an end": Answer(body=BODY, framing="close", body_cut=50_000, end="stall"),
}


@contextmanager
def silent() -> Iterator[str]:
    """Give an https URL where connections are accepted, and then nothing is said."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/a"


@pytest.mark.parametrize("fault", STALLS.values(), ids=STALLS)
def test_stall_ends(fault: Answer) -> None:
    """A server that says nothing more is left after the stall deadline; the next attempt succeeds."""
    with FaultServer() as server, transport(stall_seconds=0.2) as door:
        url = server.plan("/a", fault, Answer(body=BODY))
        started = monotonic()

        assert door.fetch(url).body == BODY
        assert 0.2 <= monotonic() - started < 1.5


def test_stall_is_named() -> None:
    """The error says how long nothing came, and which setting that is."""
    with FaultServer() as server, transport(stall_seconds=0.1, attempts=1) as door:
        url = server.plan("/a", Answer(end="stall", header_cut=0))

        with pytest.raises(FetchError, match=r"no byte came for 0\.1 s.*LOADSTONE_STALL_SECONDS") as caught:
            door.fetch(url)

        assert caught.value.retryable


@pytest.mark.parametrize(
    "fault",
    [
        Answer(body=BODY, drip=0.02),
        Answer(body=BODY, drip=0.02, framing="chunked"),
        Answer(body=BODY, drip=0.02, framing="close"),
    ],
    ids=lambda fault: fault.framing,
)
def test_drip_ends(fault: Answer) -> None:
    """A server that sends byte after byte, so that it never stalls, runs into the total deadline, once."""
    with FaultServer() as server, transport(stall_seconds=1.0, total_seconds=0.3) as door:
        url = server.plan("/a", fault)
        started = monotonic()

        with pytest.raises(FetchError, match=r"in time.*LOADSTONE_TOTAL_SECONDS") as caught:
            door.fetch(url)

        assert 0.3 <= monotonic() - started < 1.5
        assert (caught.value.attempts, caught.value.retryable) == (1, False)


def test_dripping_header_ends() -> None:
    """A header that comes byte by byte runs into the total deadline, too."""
    header = b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 90

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            try:
                for position in range(len(header)):
                    connection.sendall(header[position : position + 1])
                    sleep(0.02)
            except OSError:
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener, transport(total_seconds=0.3) as door:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        started = monotonic()

        with pytest.raises(FetchError, match="in time"):
            door.fetch(f"http://127.0.0.1:{listener.getsockname()[1]}/a")

        assert monotonic() - started < 1.5
        thread.join()


def test_slow_reader_is_not_blamed_on_the_server() -> None:
    """Time that the reader takes between two reads does not count against the total deadline."""
    with FaultServer() as server, transport(total_seconds=0.2) as door:
        url = server.plan("/a", Answer(body=bytes(8_000_000)))

        with door.stream(url) as stream:
            stream.read(1_000_000)
            sleep(0.4)

            assert len(stream.read()) == 7_000_000


def test_steady_transfer_has_all_the_time_it_needs() -> None:
    """Each 64 kB that came extend the total deadline by a second."""
    with FaultServer() as server, transport(total_seconds=0.3, stall_seconds=5.0) as door:
        url = server.plan("/a", Answer(body=bytes(90_000), body_cut=40_000, end="stall"))
        with door.stream(url) as stream:
            stream.read(40_000)
            started = monotonic()

            with pytest.raises(FetchError, match="in time"):
                stream.read(1)

            assert 0.4 <= monotonic() - started < 1.5


def test_connection_that_is_not_made_ends() -> None:
    """A host that does not answer at all is left after the connect deadline."""
    with unreachable() as url, transport(connect_seconds=0.2, attempts=2) as door:
        started = monotonic()

        with pytest.raises(FetchError, match=r"no connection within 0\.2 s") as caught:
            door.fetch(url)

        assert 0.4 <= monotonic() - started < 1.5
        assert caught.value.attempts == 2


def test_handshake_that_is_not_made_ends() -> None:
    """A port that never speaks TLS is left after the connect deadline."""
    refusal = pytest.raises(FetchError, match=r"no connection within 0\.2 s")
    with silent() as url, transport(connect_seconds=0.2, attempts=1) as door, refusal:
        door.fetch(url)


def cancelled_after(seconds: float, work: Callable[[CancelToken], object]) -> float:
    """Cancel `work` after some time; return when."""
    token = CancelToken()
    at: list[float] = []

    def cancel() -> None:
        at.append(monotonic())
        token.cancel()

    timer = threading.Timer(seconds, cancel)
    timer.start()
    with pytest.raises(LoadCancelled):
        work(token)
    timer.join()
    return at[0]


@pytest.mark.parametrize("fault", STALLS.values(), ids=STALLS)
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_cancel_reaches_the_server(fault: Answer, secure: bool) -> None:
    """A cancel ends a blocked read; the server sees the connection close, and nothing is tried again."""
    with (
        FaultServer(tls=server_context() if secure else None) as server,
        transport(stall_seconds=20.0, ca_bundle=str(CERTIFICATES / "authority.pem")) as door,
    ):
        url = server.plan("/a", fault)

        at = cancelled_after(0.15, lambda token: door.fetch(url, token=token))

        assert server.wait_for(lambda it: it.connections[0].closed_at is not None)
        assert 0 <= (server.connections[0].closed_at or 0) - at < 1
        assert len(server.requests) == 1


def test_cancel_ends_a_stream() -> None:
    """A cancel ends a blocked read of a stream."""
    with FaultServer() as server, transport(stall_seconds=20.0) as door:
        url = server.plan("/a", STALLS["in the body"])

        def read(token: CancelToken) -> None:
            with door.stream(url, token=token) as stream:
                stream.readinto(bytearray(len(BODY)))

        at = cancelled_after(0.15, read)

        assert monotonic() - at < 1


@pytest.mark.parametrize("place", [unreachable, silent], ids=["connect", "handshake"])
def test_cancel_ends_connecting(place: Callable[[], Iterator[str]]) -> None:
    """A cancel ends the making of a connection, and the handshake."""
    with place() as url, transport(connect_seconds=20.0) as door:  # type: ignore[attr-defined]
        at = cancelled_after(0.15, lambda token: door.fetch(url, token=token))

        assert monotonic() - at < 1


def test_cancel_ends_a_pause() -> None:
    """A cancel ends the wait for the next attempt, also one that the server asked for."""
    with FaultServer() as server, transport(retry_after_most_seconds=20.0) as door:
        url = server.plan("/a", Answer(status=503, headers={"Retry-After": "20"}))

        at = cancelled_after(0.15, lambda token: door.fetch(url, token=token))

        assert monotonic() - at < 1
        assert len(server.requests) == 1


def test_cancelled_before_it_began() -> None:
    """With a token that is set already, nothing is sent."""
    token = CancelToken()
    token.cancel()
    with FaultServer() as server, transport() as door:
        with pytest.raises(LoadCancelled):
            door.fetch(server.url("/a"), token=token)

        assert server.connections == []


def test_late_cancel_touches_nobody_else() -> None:
    """A token that is set after its request ended does not disturb the next one on the same connection."""
    with FaultServer() as server, transport(attempts=1) as door:
        url = server.plan("/a", Answer(body=BODY))
        token = CancelToken()
        door.fetch(url, token=token)
        with door.stream(url) as stream:
            token.cancel()

            assert stream.read() == BODY

        assert {each.connection for each in server.requests} == {0}


def test_random_cancels_leave_the_others_whole() -> None:
    """With several threads and cancels at any moment, whatever is not cancelled is complete."""
    wrong: list[object] = []
    with FaultServer() as server, transport(attempts=1) as door:
        url = server.plan("/a", Answer(body=BODY))

        def work(seed: int) -> None:
            for number in range(40):
                token = CancelToken()
                if number % 2:
                    threading.Timer((seed * 40 + number) % 7 * 0.0005, token.cancel).start()
                try:
                    if door.fetch(url, token=token).body != BODY:
                        wrong.append("body")
                except LoadCancelled:
                    if not number % 2:
                        wrong.append("cancelled")
                except LoadstoneError as error:
                    wrong.append(error)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

        assert wrong == []


def test_close_ends_what_is_under_way() -> None:
    """Closing the transport ends blocked requests at once, and may be repeated; afterwards it refuses."""
    with FaultServer() as server:
        door: Transport = transport(stall_seconds=20.0)
        url = server.plan("/a", Answer(body=b"x"), STALLS["in the body"])
        door.fetch(url)
        timer = threading.Timer(0.1, door.close)
        timer.start()
        started = monotonic()
        with pytest.raises(LoadCancelled, match="closed"):
            door.fetch(url)
        timer.join()
        door.close()

        assert monotonic() - started < 1
        assert server.wait_for(lambda it: all(each.closed_at for each in it.connections))
        with pytest.raises(LoadstoneError, match="closed"):
            door.fetch(url)
