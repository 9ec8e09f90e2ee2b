from __future__ import annotations

import http.client
import socket
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from loadstone_wado.server import AcceptKind, DicomWebServer, ServerBehaviour, ServerNotRunningError
from loadstone_wado.server.service import DicomWebService
from plugins.wado.tests.server.builders import (
    MULTIPART_DICOM,
    MULTIPART_PLAIN,
    MULTIPART_STORED,
    ask,
    instance_path,
    native,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONTENT = native(SOPInstanceUID="1.2.3.4")
FRAME = f"{instance_path('1.2.3.4')}/frames/1"


def behaving(**behaviour: Any) -> DicomWebServer:
    return DicomWebServer(CONTENT, behaviour=ServerBehaviour(**behaviour))


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_one_connection_serves_many_requests() -> None:
    """Requests follow each other on one connection, refusals included."""
    with behaving() as server:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)
        statuses = []
        for path in ("/studies", FRAME, "/nothing", FRAME):
            connection.request("GET", f"/dicomweb{path}")
            opened = connection.sock
            response = connection.getresponse()
            response.read()
            statuses.append(response.status)
            assert connection.sock is opened is not None
        connection.close()

    assert statuses == [200, 200, 404, 200]


def test_the_log_counts_requests_and_bytes() -> None:
    """Each request is in the log, with what was sent for it."""
    with behaving() as server:
        answer = ask(f"{server.url}{FRAME}?x=1", MULTIPART_STORED)
        wait_until(lambda: server.requests[-1].finished)
        (record,) = server.requests

    assert (record.method, record.path, record.status) == ("GET", f"/dicomweb{FRAME}", 200)
    assert record.headers["accept"] == MULTIPART_STORED
    assert record.bytes_sent > len(answer.body)
    assert not record.closed_early


def test_a_client_that_closes_during_the_wait() -> None:
    """A client that goes before the answer begins is in the log as gone, and gets nothing."""
    with behaving(latency=0.1) as server:
        where = urlsplit(server.url)
        with socket.create_connection((where.hostname, where.port)) as peer:
            peer.sendall(b"GET /dicomweb/studies HTTP/1.1\r\n\r\n")
            wait_until(lambda: len(server.requests) == 1)
        wait_until(lambda: server.requests[0].finished)

        assert server.requests[0].closed_early
        assert server.requests[0].bytes_sent == 0


def test_a_client_that_closes_within_the_body() -> None:
    """A client that stops reading in the middle of a large answer is in the log as gone."""
    large = native(400, SOPInstanceUID="1.2.3.4", Rows=400, Columns=600)
    padded = large[:-19200] + bytes(400 * 400 * 600 * 2)
    with DicomWebServer(padded) as server:
        where = urlsplit(server.url)
        with socket.create_connection((where.hostname, where.port)) as peer:
            peer.sendall(f"GET {urlsplit(server.file_url('1.2.3.4')).path} HTTP/1.1\r\n\r\n".encode())
            assert peer.recv(1000)
        wait_until(lambda: server.requests[0].finished)

        assert server.requests[0].closed_early
        assert server.requests[0].bytes_sent < len(padded)


def test_latency() -> None:
    """Every answer comes so much later, and requests wait side by side."""
    with behaving(latency=0.1) as server:
        url = f"{server.url}/studies"
        threads = [threading.Thread(target=ask, args=(url,)) for _ in range(8)]
        begin = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        spent = time.monotonic() - begin

    assert 0.1 <= spent < 0.7


def test_closing_is_quick_and_frees_the_port() -> None:
    """Closing ends idle and waiting connections within 2 s; another server can have the port at once."""
    server = behaving(latency=30).start()
    where = urlsplit(server.url)
    assert where.port is not None
    with (
        socket.create_connection((where.hostname, where.port)) as idle,
        socket.create_connection((where.hostname, where.port)) as waiting,
    ):
        waiting.sendall(b"GET /dicomweb/studies HTTP/1.1\r\n\r\n")
        wait_until(lambda: len(server.requests) == 1)
        begin = time.monotonic()
        server.close()
        spent = time.monotonic() - begin

        assert idle.recv(1) == waiting.recv(1) == b""
    assert spent < 2
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("dicomweb")]
    with DicomWebServer(CONTENT, port=where.port) as another:
        assert ask(f"{another.url}/studies").status == 200


def test_a_server_can_start_again() -> None:
    """After closing, twice even, a server has no address, and can be started once more."""
    server = behaving()
    with server:
        assert server.start() is server
    server.close()
    with pytest.raises(ServerNotRunningError):
        _ = server.url
    with server:
        assert ask(f"{server.url}/studies").status == 200


def test_serving_until_somebody_closes() -> None:
    """The blocking way ends when another thread closes the server."""
    server = behaving()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def answers() -> bool:
        try:
            return ask(f"{server.url}/studies").status == 200
        except OSError:
            return False

    wait_until(answers)
    server.close()
    thread.join(5)
    assert not thread.is_alive()


def test_a_taken_port() -> None:
    """A port that is taken is an OSError at the start."""
    with behaving() as server:
        port = urlsplit(server.url).port
        assert port is not None
        with pytest.raises(OSError, match="in use"):
            DicomWebServer(CONTENT, port=port).start()


@pytest.mark.parametrize(
    ("wanted", "given", "status", "challenge"),
    [
        ({"basic_auth": ("user", "päss")}, "Basic dXNlcjpww6Rzcw==", 200, None),
        ({"basic_auth": ("user", "päss")}, "Basic d3Jvbmc6", 401, "Basic"),
        ({"basic_auth": ("user", "päss")}, "", 401, "Basic"),
        ({"bearer_token": "abc"}, "Bearer abc", 200, None),
        ({"bearer_token": "abc"}, "Bearer abcd", 401, "Bearer"),
    ],
)
def test_credentials(wanted: dict[str, Any], given: str, status: int, challenge: str | None) -> None:
    """Without the credentials that the behaviour names nothing is served."""
    with behaving(**wanted) as server:
        answer = ask(f"{server.url}/studies", Authorization=given)

    assert answer.status == status
    assert answer.headers.get("www-authenticate", "").partition(" ")[0] == (challenge or "")


def test_no_secret_in_a_repr() -> None:
    """What a behaviour shows of itself holds no password and no token."""
    assert "secret" not in repr(ServerBehaviour(basic_auth=("user", "secret"), bearer_token="secret"))


@pytest.mark.parametrize("status", [400, 406, 415])
def test_refused_ways_to_accept(status: int) -> None:
    """A refused way of writing gets the refusal's status; the next rung of a ladder gets the frame."""
    refused = frozenset({AcceptKind.QUOTED_TYPE, AcceptKind.TRANSFER_SYNTAX})
    with behaving(refused_accepts=refused, refusal_status=status) as server:
        url = server.url + FRAME
        answers = [
            ask(url, accept).status
            for accept in (
                MULTIPART_STORED,
                MULTIPART_PLAIN,
                "multipart/related; type=application/octet-stream",
                None,
            )
        ]

    assert answers == [status, status, 200, 200]


def test_refused_frame_lists() -> None:
    """A server that is told to sends single frames, and refuses lists."""
    with DicomWebServer(
        native(2, SOPInstanceUID="1.2.3.4"), behaviour=ServerBehaviour(refuses_frame_lists=True)
    ) as server:
        assert ask(f"{server.url}{FRAME},2").status == 400
        assert ask(server.url + FRAME).status == 200


def test_a_foreign_root_in_answers() -> None:
    """The addresses in answers are those of the root that the behaviour advertises."""
    with behaving(advertised_root="https://elsewhere.example/dicomweb/") as server:
        (metadata,) = ask(f"{server.url}{instance_path('1.2.3.4')}/metadata").json
        (study,) = ask(f"{server.url}/studies").json

    assert metadata["7FE00010"]["BulkDataURI"].startswith("https://elsewhere.example/dicomweb/studies/1.2.3/")
    assert study["00081190"]["Value"] == ["https://elsewhere.example/dicomweb/studies/1.2.3"]


def test_the_answer_to_an_upload_arrives() -> None:
    """A client that uploads gets its refusal rather than a reset."""
    with behaving() as server:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)
        connection.request("POST", "/dicomweb/studies", body=bytes(300_000))
        response = connection.getresponse()
        connection.close()

        assert response.status == 405


def test_the_loopback_of_ipv6() -> None:
    """A server can listen on the loopback address of IPv6, and its address says so."""
    with DicomWebServer(CONTENT, host="::1") as server:
        assert server.url.startswith("http://[::1]:")
        assert ask(f"{server.url}/studies").status == 200


def test_many_clients_at_once() -> None:
    """Clients at once each get their own frames, unmixed."""
    contents = [native(20, SOPInstanceUID="1.2.3.4")]
    wrong: list[int] = []

    def read(first: int) -> None:
        for number in range(1, 21):
            asked = (number + first) % 20 + 1
            answer = ask(f"{server.url}{instance_path('1.2.3.4')}/frames/{asked}", MULTIPART_STORED)
            if answer.parts[0].content != bytes([asked, 0]) * 24:
                wrong.append(asked)

    with DicomWebServer(contents) as server:
        threads = [threading.Thread(target=read, args=(first,)) for first in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(server.requests) == 160
    assert wrong == []


def test_what_is_no_request_is_answered() -> None:
    """Something else than HTTP gets a bad request, and the connection is closed."""
    with behaving() as server:
        where = urlsplit(server.url)
        with socket.create_connection((where.hostname, where.port)) as peer:
            peer.sendall(b"hello\r\n\r\n")
            answer = peer.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.1 400 ")


def test_a_failure_within_an_answer_is_seen(tmp_path: Path) -> None:
    """When a file cannot be read after the answer began, the connection ends before its body does."""
    for number in (1, 2):
        content = native(SOPInstanceUID=f"1.2.3.{number}", EncapsulatedDocument=bytes(100_000))
        (tmp_path / f"{number}.dcm").write_bytes(content)
    with DicomWebServer(tmp_path) as server:
        (tmp_path / "2.dcm").unlink()
        with pytest.raises(http.client.IncompleteRead):
            ask(f"{server.url}/studies/1.2.3", MULTIPART_DICOM)


def test_an_unforeseen_failure_is_an_answer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever goes wrong in the server, the client gets 500 without details, and the log has them."""

    def fail(*_: object) -> None:
        raise KeyError("patient")

    with behaving() as server:
        monkeypatch.setattr(DicomWebService, "respond", fail)
        answer = ask(f"{server.url}/studies")

    assert answer.status == 500
    assert "patient" not in answer.text
    assert "KeyError" in caplog.text
