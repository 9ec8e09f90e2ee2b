from __future__ import annotations

import socket
import ssl
import threading
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from core.tests.transport.builders import CERTIFICATES, server_context, transport
from loadstone.cancel import CancelToken
from loadstone.errors import FetchError, LoadCancelled, LoadstoneError
from loadstone.testing.faults import Answer, FaultServer, redirect

if TYPE_CHECKING:
    from collections.abc import Iterator

AUTHORITY = str(CERTIFICATES / "authority.pem")
CLIENT = str(CERTIFICATES / "client.pem")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests say which proxies there are; the machine's own do not count."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@contextmanager
def tunnel(
    answer: bytes = b"HTTP/1.1 200 Go on\r\n\r\n", tls: ssl.SSLContext | None = None
) -> Iterator[tuple[int, list[bytes]]]:
    """Run a proxy that tunnels one connection; give its port and what it was asked."""
    asked: list[bytes] = []

    def pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def serve(listener: socket.socket) -> None:
        client, _ = listener.accept()
        if tls is not None:
            client = tls.wrap_socket(client, server_side=True)
        request = b""
        while b"\r\n\r\n" not in request:
            request += client.recv(65536)
        asked.append(request)
        client.sendall(answer)
        if b" 200 " in answer:
            host, _, port = request.split()[1].decode().partition(":")
            with client, socket.create_connection((host, int(port))) as server:
                back = threading.Thread(target=pump, args=(server, client))
                back.start()
                pump(client, server)
                back.join()
        client.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield listener.getsockname()[1], asked
        thread.join(5)


def test_named_authority_is_trusted() -> None:
    """A server whose certificate the bundle vouches for is read."""
    with FaultServer(tls=server_context()) as server, transport(ca_bundle=AUTHORITY) as door:
        url = server.plan("/a", Answer(body=bytes(300_000)), Answer(body=b"x", framing="chunked"))

        assert len(door.fetch(url).body) == 300_000
        assert door.fetch(url).body == b"x"
        assert {each.connection for each in server.requests} == {0}


def test_unknown_authority_is_refused() -> None:
    """A certificate that nobody vouches for is an error, once, with the setting that helps."""
    with FaultServer(tls=server_context()) as server, transport() as door:
        with pytest.raises(FetchError, match=r"certificate is not trusted.*LOADSTONE_CA_BUNDLE") as caught:
            door.fetch(server.url("/a"))

        assert (caught.value.attempts, caught.value.retryable) == (1, False)
        assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)
        assert server.requests == []


def test_wrong_name_is_refused() -> None:
    """A certificate for another name is an error."""
    refusal = pytest.raises(FetchError, match="certificate is not trusted")
    with FaultServer(tls=server_context()) as server, transport(ca_bundle=AUTHORITY) as door, refusal:
        door.fetch(server.url("/a").replace("127.0.0.1", "127.1"))


def test_port_without_tls_is_named() -> None:
    """Speaking TLS to a plain port is an error that says so."""

    def answer(listener: socket.socket) -> None:
        client, _ = listener.accept()
        with client:
            client.recv(65536)
            client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    refusal = pytest.raises(FetchError, match=r"TLS failed .*port speaks TLS")
    with socket.create_server(("127.0.0.1", 0)) as listener, transport(attempts=1) as door, refusal:
        threading.Thread(target=answer, args=(listener,)).start()
        door.fetch(f"https://127.0.0.1:{listener.getsockname()[1]}/a")


def test_client_certificate_is_shown_to_its_origin_only() -> None:
    """The client certificate is shown where the caller sends us, not where a redirect does."""
    with (
        FaultServer(tls=server_context(wants_client=True)) as first,
        FaultServer(tls=server_context(wants_client=True)) as second,
        transport(ca_bundle=AUTHORITY, client_certificate=CLIENT, attempts=1) as door,
    ):
        second.plan("/b", Answer(body=b"second"))
        url = first.plan("/a", Answer(body=b"first"), redirect(second.url("/b")))

        assert door.fetch(url).body == b"first"
        assert door.fetch(second.url("/b")).body == b"second"
        with pytest.raises(FetchError):
            door.fetch(url)
        assert len(second.requests) == 1


def test_missing_client_certificate_is_an_error() -> None:
    """A server that wants a certificate refuses us without one."""
    with (
        FaultServer(tls=server_context(wants_client=True)) as server,
        transport(ca_bundle=AUTHORITY, attempts=1) as door,
        pytest.raises(FetchError),
    ):
        door.fetch(server.url("/a"))


@pytest.mark.parametrize(
    ("setting", "path"),
    [
        ("ca_bundle", "/no/such/file.pem"),
        ("ca_bundle", __file__),
        ("client_certificate", "/no/such/file.pem"),
        ("client_certificate", AUTHORITY),
        ("client_certificate", str(CERTIFICATES / "locked.pem")),
    ],
)
def test_unusable_file_is_named(setting: str, path: str) -> None:
    """A bundle or certificate that is missing, none, or locked is an error that names setting and file."""
    with transport(**{setting: path}) as door, pytest.raises(LoadstoneError, match=setting) as caught:
        door.fetch("https://127.0.0.1:1/a")

    assert caught.value.source == path


def test_proxy_of_the_settings_is_used() -> None:
    """Plain requests go to the proxy as whole URLs, with the credentials of the proxy and to it only."""
    with FaultServer() as proxy:
        proxy.plan("http://pacs.invalid/a", Answer(body=b"x"))
        with transport(proxy=proxy.url().replace("//", "//user:CANARY@")) as door:
            response = door.fetch("http://pacs.invalid/a?b=c")

        request = proxy.requests[0]
        assert response.body == b"x"
        assert request.target == "http://pacs.invalid/a?b=c"
        assert request.headers["Host"] == "pacs.invalid"
        assert request.headers["Proxy-Authorization"].startswith("Basic ")


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_proxy_of_the_environment_is_used(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual variables name a proxy, and NO_PROXY those who need none."""
    with FaultServer() as proxy, FaultServer() as direct:
        proxy.plan("http://pacs.invalid/a", Answer(body=b"by proxy"))
        monkeypatch.setenv(name, f"127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
        with transport() as door:
            assert door.fetch("http://pacs.invalid/a").body == b"by proxy"
            assert door.fetch(direct.plan("/b", Answer(body=b"direct"))).body == b"direct"


def test_https_is_tunnelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """For https the proxy is asked for a tunnel, and sees nothing of the request."""
    with FaultServer(tls=server_context()) as server, tunnel() as (port, asked):
        url = server.plan("/a", Answer(body=b"secret"))
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:pass@127.0.0.1:{port}")
        with transport(ca_bundle=AUTHORITY) as door:
            assert door.fetch(url).body == b"secret"

    assert asked[0].startswith(b"CONNECT 127.0.0.1:%d HTTP/1." % server.port)
    assert b"Proxy-Authorization: Basic" in asked[0].title() or b"proxy-authorization" in asked[0].lower()
    assert b"/a" not in asked[0]


def test_proxy_that_refuses_is_named() -> None:
    """A proxy that wants credentials is an error about the proxy, without a second try."""
    refusal = pytest.raises(FetchError, match=r"proxy.*407")
    with (
        tunnel(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n") as (port, asked),
        transport(proxy=f"http://127.0.0.1:{port}") as door,
        refusal as caught,
    ):
        door.fetch("https://pacs.invalid/a")

    assert not caught.value.retryable
    assert len(asked) == 1


def test_proxy_that_is_not_there_is_named() -> None:
    """A proxy that refuses connections is an error about the proxy."""
    server = FaultServer()
    with (
        transport(proxy=server.url(), attempts=1) as door,
        pytest.raises(FetchError, match=r"proxy.*refused"),
    ):
        door.fetch("http://pacs.invalid/a")
    server.close()


@pytest.mark.parametrize("proxy", ["socks5://user:CANARY@host:1080", "http://user:CANARY@", "ftp://host"])
def test_unusable_proxy_is_named(proxy: str) -> None:
    """A proxy of a kind that is not supported is an error that names the setting and no secret."""
    with transport(proxy=proxy) as door, pytest.raises(LoadstoneError, match="proxy") as caught:
        door.fetch("http://pacs.invalid/a")

    assert "CANARY" not in str(caught.value)


def test_https_through_an_https_proxy() -> None:
    """A proxy may itself be spoken to over TLS; a cancel reaches through both layers."""
    with FaultServer(tls=server_context()) as server, tunnel(tls=server_context()) as (port, asked):
        url = server.plan("/a", Answer(body=b"secret"), Answer(body=bytes(1000), body_cut=10, end="stall"))
        with transport(ca_bundle=AUTHORITY, proxy=f"https://127.0.0.1:{port}", stall_seconds=20.0) as door:
            assert door.fetch(url).body == b"secret"

            token = CancelToken()
            threading.Timer(0.1, token.cancel).start()
            started = monotonic()
            with pytest.raises(LoadCancelled):
                door.fetch(url, token=token)

            assert monotonic() - started < 1

    assert len(asked) == 1


def test_http_through_an_https_proxy() -> None:
    """Plain requests are handed to a proxy over TLS."""
    with FaultServer(tls=server_context()) as proxy:
        proxy.plan("http://pacs.invalid/a", Answer(body=b"x"))
        with transport(ca_bundle=AUTHORITY, proxy=proxy.url()) as door:
            assert door.fetch("http://pacs.invalid/a").body == b"x"
