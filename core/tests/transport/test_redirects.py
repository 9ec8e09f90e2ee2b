from __future__ import annotations

import pytest

from core.tests.transport.builders import CERTIFICATES, server_context, transport
from loadstone.errors import FetchError, SecurityError
from loadstone.testing.faults import Answer, FaultServer, redirect
from loadstone.transport import BasicAuth, HttpRequest

SECRETS = {
    "Authorization": "CANARY",
    "Cookie": "CANARY",
    "X-Api-Key": "CANARY",
    "Proxy-Authorization": "CANARY",
}
HARMLESS = {"Accept": "image/jls", "Range": "bytes=0-9", "User-Agent": "viewer/1"}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_followed(status: int) -> None:
    """Every kind of redirect leads to its target, relative or absolute; the response says where from."""
    with FaultServer() as server, transport() as door:
        server.plan("/d/a", redirect("b?x=1", status))
        server.plan("/d/b", redirect(server.url("/c"), status))
        server.plan("/c", Answer(body=b"x"))

        response = door.fetch(server.url("/d/a"))

        assert response.body == b"x"
        assert response.url == server.url("/c")
        assert [each.target for each in server.requests] == ["/d/a", "/d/b?x=1", "/c"]


def test_same_origin_keeps_everything() -> None:
    """Within an origin all headers and the credentials stay."""
    with FaultServer() as server, transport() as door:
        url = server.plan("/a", redirect("/b"))
        server.plan("/b", Answer())

        door.fetch(HttpRequest(url, headers=SECRETS | HARMLESS))

        assert all(server.requests[1].headers[name] == value for name, value in (SECRETS | HARMLESS).items())


def test_other_origin_gets_no_secret() -> None:
    """Another origin gets neither headers that may be secrets, nor credentials, nor what the hook adds."""
    with FaultServer() as first, FaultServer() as second:
        url = first.plan("/a", redirect(second.plan("/b", Answer(body=b"x"))))
        with transport(
            auth={url: BasicAuth("user", "CANARY")},
            prepare=lambda request: request.with_headers({"X-Signature": "CANARY"}),
        ) as door:
            door.fetch(HttpRequest(url, headers=HARMLESS | {"X-Api-Key": "CANARY", "Cookie": "CANARY"}))
            door.fetch(url.replace("//", "//user:CANARY@"))

        assert first.requests[0].headers["Authorization"].startswith("Basic ")
        for each in second.requests:
            assert "CANARY" not in "".join(each.headers.values())
            assert {"Authorization", "Cookie", "X-Api-Key", "X-Signature"}.isdisjoint(each.headers)
            assert each.headers["Host"] == f"127.0.0.1:{second.port}"
        assert {name: second.requests[0].headers[name] for name in HARMLESS} == HARMLESS


def test_secrets_do_not_come_back_by_a_detour() -> None:
    """What another origin redirects back is not trusted again with headers of the caller."""
    with FaultServer() as first, FaultServer() as second, transport() as door:
        url = first.plan("/a", redirect(second.url("/b")))
        second.plan("/b", redirect(first.url("/c")))
        first.plan("/c", Answer())

        door.fetch(HttpRequest(url, headers=SECRETS))

        assert "X-Api-Key" not in first.requests[1].headers


def test_credentials_of_the_other_origin_are_its_own() -> None:
    """Credentials that were given for the other origin are used there."""
    with FaultServer() as first, FaultServer() as second:
        url = first.plan("/a", redirect(second.plan("/b", Answer())))
        with transport(auth={second.url(): BasicAuth("b", "c")}) as door:
            door.fetch(url)

        assert "Authorization" not in first.requests[0].headers
        assert "Authorization" in second.requests[0].headers


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://host/a", "gopher://host/a", "data:,x", "http://[/"]
)
def test_other_schemes_are_refused(target: str) -> None:
    """A redirect to anything but http and https is a security error, and is not tried again."""
    with FaultServer() as server, transport() as door:
        url = server.plan("/a", redirect(target))

        with pytest.raises(SecurityError, match="redirect"):
            door.fetch(url)

        assert len(server.requests) == 1


def test_user_in_a_redirect_is_refused() -> None:
    """A server cannot make us send credentials of its choice."""
    with FaultServer() as server, transport() as door:
        url = server.plan("/a", redirect(server.url("/b").replace("//", "//user:CANARY@")))

        with pytest.raises(SecurityError) as caught:
            door.fetch(url)

        assert "CANARY" not in str(caught.value)


def test_https_never_leads_to_http() -> None:
    """A redirect that would lower the protection is refused; the other way round is followed."""
    with (
        FaultServer(tls=server_context()) as secure,
        FaultServer() as plain,
        transport(ca_bundle=str(CERTIFICATES / "authority.pem")) as door,
    ):
        down = secure.plan("/down", redirect(plain.plan("/b", Answer(body=b"plain"))))
        up = plain.plan("/up", redirect(secure.plan("/c", Answer(body=b"secure"))))

        assert door.fetch(up).body == b"secure"
        with pytest.raises(SecurityError, match="from https to http"):
            door.fetch(down)
        assert [each.path for each in plain.requests] == ["/up"]


def test_loops_end() -> None:
    """Redirects in a circle end after the limit; so many are followed and no more."""
    with FaultServer() as server, transport(max_redirects=2) as door:
        loop = server.plan("/a", redirect("/a"))

        with pytest.raises(FetchError, match="more than 2 redirects") as caught:
            door.fetch(loop)

        assert (len(server.requests), caught.value.retryable) == (3, False)

    with FaultServer() as server, transport(max_redirects=2) as door:
        url = server.plan("/1", redirect("/2"))
        server.plan("/2", redirect("/3"))
        server.plan("/3", Answer(body=b"x"))

        assert door.fetch(url).body == b"x"


def test_redirect_without_target_is_an_error() -> None:
    """A redirect that does not say where to is an error with its status."""
    with FaultServer() as server, transport() as door:
        url = server.plan("/a", Answer(status=302))

        with pytest.raises(FetchError, match="HTTP 302") as caught:
            door.fetch(url)

        assert caught.value.status == 302
