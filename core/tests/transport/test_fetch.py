"""Attempts: what is tried again, how often, and what it says in the end."""

from __future__ import annotations

import socket
import threading
from time import monotonic

import pytest
import urllib3

from core.tests.transport.builders import transport, unreachable
from loadstone.errors import FetchError, InvalidIdError
from loadstone.testing.faults import Answer, FaultServer, Received
from loadstone.transport import BasicAuth, HttpRequest, _wire

BODY = bytes(range(256)) * 200

FAULTS = {
    "reset before the header": Answer(header_cut=0, end="reset"),
    "closed before the header": Answer(header_cut=0, end="close"),
    "reset within the header": Answer(body=BODY, header_cut=30, end="reset"),
    "closed within the header": Answer(body=BODY, header_cut=30, end="close"),
    "closed between two fields": Answer(body=BODY, header_cut=len("HTTP/1.1 200 Reason\r\n"), end="close"),
    "reset in the body": Answer(body=BODY, body_cut=20_000, end="reset"),
    "closed early, Content-Length": Answer(body=BODY, body_cut=20_000, end="close"),
    "closed early, chunked": Answer(body=BODY, framing="chunked", body_cut=20_000, end="close"),
    "closed before the last chunk": Answer(
        body=b"x", framing="chunked", body_cut=len(b"1\r\nx\r\n"), end="close"
    ),
    "reset, close-delimited": Answer(body=BODY, framing="close", body_cut=20_000, end="reset"),
    **{f"HTTP {status}": Answer(status=status) for status in (408, 425, 429, 500, 502, 503, 504)},
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_what_may_pass_is_tried_again(fault: Answer) -> None:
    """Lost connections, short bodies and busy servers are survived: the third answer is whole."""
    with FaultServer() as server, transport() as door:
        url = server.plan("/a", fault, fault, Answer(body=BODY))

        response = door.fetch(url)

        assert response.body == BODY
        assert len(server.requests) == 3


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_nothing_is_tried_for_ever(fault: Answer) -> None:
    """A fault that stays is an error that says how often it was tried, and never a short body."""
    with FaultServer() as server, transport(attempts=3) as door:
        url = server.plan("/a", fault)

        with pytest.raises(FetchError) as caught:
            door.fetch(url)

        assert (caught.value.attempts, caught.value.retryable) == (3, True)
        assert len(server.requests) == 3


@pytest.mark.parametrize("status", [400, 403, 404, 406, 409, 410, 415, 304])
def test_a_clear_no_is_not_asked_again(status: int) -> None:
    """Statuses that will not change are an error after one request, with status, address and advice."""
    with FaultServer() as server, transport() as door:
        url = server.plan("/a/b", Answer(status=status))

        with pytest.raises(FetchError, match=f"HTTP {status}") as caught:
            door.fetch(url + "?PatientID=CANARY")

        assert caught.value.status == status
        assert (caught.value.attempts, caught.value.retryable) == (1, False)
        assert caught.value.source == url + "?PatientID=***"
        assert caught.value.hint or status in {304, 409}
        assert len(server.requests) == 1


def test_refused_connection_is_survived() -> None:
    """A server that starts a little later is reached."""
    server = FaultServer()
    url = server.plan("/a", Answer(body=b"x"))
    starts = threading.Timer(0.2, server.listen)
    with transport(attempts=20, backoff_seconds=0.05, backoff_most_seconds=0.1) as door:
        starts.start()

        assert door.fetch(url).body == b"x"

        starts.join()
        server.close()


def test_refused_connection_is_named() -> None:
    """A server that is not there is an error that says so, and what to check."""
    server = FaultServer()
    with transport(attempts=2) as door:
        with pytest.raises(FetchError, match=r"connection refused\. Check") as caught:
            door.fetch(server.url("/a"))

        assert (caught.value.attempts, caught.value.retryable) == (2, True)
        assert isinstance(caught.value.__cause__, ConnectionRefusedError)
    server.close()


def test_unknown_host_is_named() -> None:
    """A host that does not exist is an error about the name."""
    with transport(attempts=1) as door, pytest.raises(FetchError, match="host's name"):
        door.fetch("http://no-such-host.invalid/a")


def test_idle_connection_that_was_closed_costs_nothing() -> None:
    """A connection that the server closed while idle is replaced, even when only one attempt is allowed."""
    with FaultServer() as server, transport(attempts=1) as door:
        # The reset comes when the second request is there: too late to be seen before it is sent.
        url = server.plan("/a", Answer(body=b"1"), Answer(header_cut=0, end="reset"), Answer(body=b"2"))
        door.fetch(url)

        assert door.fetch(url).body == b"2"
        assert [each.connection for each in server.requests] == [0, 0, 1]


def test_connection_is_used_again() -> None:
    """Requests one after another, also refused and redirected ones, share one connection."""
    with FaultServer() as server, transport() as door:
        url = server.plan(
            "/a",
            Answer(body=BODY),
            Answer(body=BODY, framing="chunked"),
            Answer(status=404, body=b"no"),
            Answer(),
        )
        door.fetch(url)
        door.fetch(url)
        with pytest.raises(FetchError):
            door.fetch(url)
        door.fetch(url)

        assert {each.connection for each in server.requests} == {0}


def test_retry_after_is_kept() -> None:
    """A server that names a number of seconds is asked again no sooner."""
    with FaultServer() as server, transport(retry_after_most_seconds=5.0) as door:
        url = server.plan("/a", Answer(status=503, headers={"Retry-After": "1"}), Answer())

        door.fetch(url)

        first, second = server.requests
        assert second.at - first.at >= 1.0


@pytest.mark.parametrize("value", ["86400", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_absurd_retry_after_is_capped(value: str) -> None:
    """A server cannot make us wait longer than the settings allow."""
    with FaultServer() as server, transport(retry_after_most_seconds=0.2) as door:
        url = server.plan("/a", Answer(status=429, headers={"Retry-After": value}), Answer())
        started = monotonic()

        door.fetch(url)

        assert 0.2 <= monotonic() - started < 1.5


@pytest.mark.parametrize(
    "value",
    [
        "-5",
        "soon",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Fri, 31 Feb 2020",
        "Fri, 31 Dec 1999 23:59:59 GMT",
        "",
    ],
)
def test_unusable_retry_after_is_no_obstacle(value: str) -> None:
    """A Retry-After that says nothing, or lies in the past, leaves the usual backoff."""
    with FaultServer() as server, transport(retry_after_most_seconds=5.0) as door:
        url = server.plan("/a", Answer(status=429, headers={"Retry-After": value}), Answer())
        started = monotonic()

        door.fetch(url)

        assert monotonic() - started < 1


def test_pause_holds_for_all_requests_to_the_server() -> None:
    """Once a server asked for a pause, other requests wait too."""
    with FaultServer() as server, transport(attempts=1, retry_after_most_seconds=0.3) as door:
        busy = server.plan("/busy", Answer(status=429, headers={"Retry-After": "3"}))
        url = server.plan("/a", Answer())
        with pytest.raises(FetchError):
            door.fetch(busy)

        door.fetch(url)

        first, second = server.requests
        assert second.at - first.at >= 0.28


def test_every_attempt_is_prepared_anew() -> None:
    """The request is prepared before each attempt, so that signatures and dates are fresh."""
    count = 0

    def sign(request: HttpRequest) -> HttpRequest:
        nonlocal count
        count += 1
        return request.with_headers({"X-Signature": str(count)})

    with FaultServer() as server, transport(prepare=sign) as door:
        url = server.plan("/a", Answer(status=500), Answer())
        door.fetch(url)

        assert [each.headers["X-Signature"] for each in server.requests] == ["1", "2"]


def test_what_is_sent_by_default() -> None:
    """Without wishes: any type, no compression, who we are; what the caller sets is sent as it is."""
    with FaultServer() as server, transport() as door:
        url = server.plan("/a", Answer())
        door.fetch(url)
        door.fetch(HttpRequest(url, headers={"Accept": "image/jls"}), headers={"Range": "bytes=0-9"})
        door.fetch(url, accept_gzip=True)

        first, second, third = (each.headers for each in server.requests)
        assert (first["Accept"], first["Accept-Encoding"]) == ("*/*", "identity")
        assert first["User-Agent"].startswith("loadstone/")
        assert (second["Accept"], second["Range"]) == ("image/jls", "bytes=0-9")
        assert third["Accept-Encoding"] == "gzip"


def test_head_has_no_body() -> None:
    """A HEAD request is answered with the header of a body that does not come."""
    with FaultServer() as server, transport() as door:
        url = server.plan("/a", Answer(body=BODY))

        response = door.fetch(HttpRequest(url, method="HEAD"))

        assert response.headers["Content-Length"] == str(len(BODY))
        assert response.body == b""
        assert door.fetch(url).body == BODY


def test_progress_is_told() -> None:
    """Progress rises to the whole body and knows the total; without a length the total is None."""
    with FaultServer() as server, transport() as door:
        url = server.plan("/a", Answer(body=BODY), Answer(body=BODY, framing="chunked"))
        known: list[tuple[int, int | None]] = []
        unknown: list[tuple[int, int | None]] = []
        first = door.fetch(url, progress=lambda done, total: known.append((done, total)))
        second = door.fetch(url, progress=lambda done, total: unknown.append((done, total)))

        assert first.body == second.body == BODY
        assert known == sorted(known)
        assert known[-1] == (len(BODY), len(BODY))
        assert unknown[-1] == (len(BODY), None)


def test_permit_is_held_only_under_way() -> None:
    """Each request holds a permit for its host, and none is held during a backoff."""
    held: list[str] = []
    seen: list[int] = []

    class Permit:
        def __init__(self, host: str) -> None:
            self._host = host

        def __enter__(self) -> None:
            held.append(self._host)

        def __exit__(self, *_: object) -> None:
            held.remove(self._host)

    def observe(request: HttpRequest) -> HttpRequest:
        seen.append(len(held))
        return request

    def answer(_: Received) -> Answer:
        seen.append(len(held) * 10)
        return Answer(status=500 if len(seen) == 2 else 200)

    with FaultServer() as server, transport(permit=Permit, prepare=observe) as door:
        url = server.plan("/a", answer)
        door.fetch(url)
        with door.stream(url) as stream:
            stream.read()

            assert held == []

        assert seen == [0, 10, 0, 10, 0, 10]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "data:,x", "/a", "ftp://host/a"])
def test_only_http_is_fetched(url: str) -> None:
    """What is no http or https URL is refused at once."""
    with transport() as door, pytest.raises(InvalidIdError):
        door.fetch(url)


def test_unusual_urls_reach_the_server() -> None:
    """Spaces and letters beyond ASCII are encoded, a query without a path gets one, a fragment stays here."""
    with FaultServer() as server, transport() as door:
        for path in ("/a%20b", "/%C3%BC"):
            server.plan(path, Answer(body=path.encode()))
        server.plan("/", Answer(body=b"root"))

        assert door.fetch(server.url("/a b")).body == b"/a%20b"
        assert door.fetch(server.url("/ü#top")).body == b"/%C3%BC"
        assert door.fetch(server.url("?x=1")).body == b"root"


def test_what_is_not_http_is_named() -> None:
    """An answer in another protocol is an error that says so, without being asked again."""
    with FaultServer() as server, transport() as door:
        url = server.plan("/a", Answer(raw=b"SSH-2.0-OpenSSH_9.2\r\n", end="close"))

        with pytest.raises(FetchError, match="not HTTP") as caught:
            door.fetch(url)

        assert (caught.value.attempts, caught.value.retryable) == (1, False)


def test_first_address_that_answers_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses that refuse, or that swallow packets, leave time to those that follow."""
    with (
        FaultServer() as server,
        unreachable() as nowhere,
        transport(connect_seconds=0.6, attempts=1) as door,
    ):
        url = server.plan("/a", Answer(body=b"x"))
        closed = FaultServer()
        ports = [int(nowhere.split(":")[2].split("/")[0]), closed.port, server.port]
        addresses = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)) for port in ports]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)

        assert door.fetch(url).body == b"x"
        closed.close()


def test_address_of_version_6_is_reached() -> None:
    """An IPv6 address in brackets is one."""
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")

    def answer() -> None:
        client, _ = listener.accept()
        with client:
            asked.append(client.recv(65536))
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")

    asked: list[bytes] = []
    thread = threading.Thread(target=answer)
    thread.start()
    url = f"http://[::1]:{listener.getsockname()[1]}/a"
    with listener, transport(attempts=1) as door:
        assert door.fetch(url).body == b"x"
        thread.join()

    assert f"Host: {url[7:-2]}".encode() in asked[0]


def test_status_that_nobody_knows_is_told() -> None:
    """A status without a name is an error with its number."""
    with FaultServer() as server, transport(attempts=1) as door:
        url = server.plan("/a", Answer(status=599), Answer(status=799))

        with pytest.raises(FetchError, match="HTTP 599") as caught:
            door.fetch(url)
        assert caught.value.retryable
        with pytest.raises(FetchError, match="HTTP 799") as caught:
            door.fetch(url)
        assert not caught.value.retryable


def test_error_of_the_hook_is_passed_on() -> None:
    """What `prepare` raises is not taken for a failure of the network."""

    def prepare(request: HttpRequest) -> HttpRequest:
        raise KeyError("key")

    with FaultServer() as server, transport(prepare=prepare) as door, pytest.raises(KeyError):
        door.fetch(server.url("/a"))


def test_error_whose_own_body_is_short_is_that_error() -> None:
    """A refusal counts, whatever happens to the page that comes with it."""
    with FaultServer() as server, transport() as door:
        url = server.plan("/a", Answer(status=404, body=BODY, body_cut=10, end="close"), Answer(body=b"x"))

        with pytest.raises(FetchError, match="404"):
            door.fetch(url)
        assert door.fetch(url).body == b"x"


def test_hook_may_send_elsewhere() -> None:
    """A request goes where `prepare` says, with the credentials of that place."""
    with FaultServer() as first, FaultServer() as second:
        there = second.plan("/b", Answer(body=b"x"))
        with transport(
            auth={there: BasicAuth("u", "p")}, prepare=lambda request: request.with_url(there)
        ) as door:
            assert door.fetch(first.url("/a")).body == b"x"

        assert first.requests == []
        assert "Authorization" in second.requests[0].headers


def test_a_listener_that_goes_while_a_connection_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is reset before it is there is a failure that may pass, no fault of the program."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def wait_for_write(sock: socket.socket, timeout: float) -> bool:
        listener.close()
        return urllib3.util.wait_for_write(sock, timeout)

    monkeypatch.setattr(_wire, "wait_for_write", wait_for_write)
    with transport(attempts=1) as door, pytest.raises(FetchError) as caught:
        door.fetch(f"http://127.0.0.1:{port}/")

    assert caught.value.retryable
