from __future__ import annotations

import pickle
import threading
from base64 import b64decode
from time import sleep
from typing import TYPE_CHECKING

import pytest

from core.tests.transport.builders import transport
from loadstone.errors import FetchError
from loadstone.testing.faults import Answer, FaultServer, Received
from loadstone.transport import BasicAuth, BearerAuth, HttpRequest

if TYPE_CHECKING:
    from collections.abc import Callable


def gate(*tokens: str) -> Callable[[Received], Answer]:
    """Answer only those who have one of the tokens."""

    def answer(request: Received) -> Answer:
        known = request.headers.get("Authorization") in {f"Bearer {token}" for token in tokens}
        return Answer(body=b"x") if known else Answer(status=401)

    return answer


def tokens() -> Callable[[], str]:
    """Return a callable that gives token-1, token-2, … and counts its calls in ``count``."""

    def get() -> str:
        get.count += 1  # type: ignore[attr-defined]
        sleep(0.05)
        return f"token-{get.count}"  # type: ignore[attr-defined]

    get.count = 0  # type: ignore[attr-defined]
    return get


def test_basic_credentials_are_sent_to_their_origin_only() -> None:
    """A user and a password go to the origin that they were given for, and nowhere else."""
    with FaultServer() as mine, FaultServer() as other:
        with transport(auth={mine.url("/any/path"): BasicAuth("usér", "p:w")}) as door:
            door.fetch(mine.plan("/a", Answer()))
            door.fetch(other.plan("/a", Answer()))

        kind, _, value = mine.requests[0].headers["Authorization"].partition(" ")
        assert (kind, b64decode(value).decode()) == ("Basic", "usér:p:w")
        assert "Authorization" not in other.requests[0].headers


def test_user_in_the_url_is_sent_as_credentials() -> None:
    """User and password in a URL become basic credentials; the URL that is sent and told has none."""
    with FaultServer() as server, transport() as door:
        url = server.plan("/a", Answer())

        response = door.fetch(url.replace("//", "//us%40er:CANARY@"))

        assert b64decode(server.requests[0].headers["Authorization"][6:]) == b"us@er:CANARY"
        assert response.url == url


def test_header_of_the_caller_wins() -> None:
    """Credentials that the caller sends with a request are not replaced."""
    with FaultServer() as server:
        url = server.plan("/a", Answer())
        with transport(auth={url: BearerAuth("other")}) as door:
            door.fetch(HttpRequest(url, headers={"authorization": "Bearer mine"}))

        assert server.requests[0].headers["Authorization"] == "Bearer mine"


def test_token_is_got_when_needed_and_kept() -> None:
    """A callable is asked when the first request needs a token, and not again while that is good."""
    get = tokens()
    with FaultServer() as server:
        url = server.plan("/a", gate("token-1"))
        with transport(auth={url: BearerAuth(get)}) as door:
            assert get.count == 0  # type: ignore[attr-defined]

            door.fetch(url)
            door.fetch(url)

        assert get.count == 1  # type: ignore[attr-defined]
        assert len(server.requests) == 2


def test_refused_token_is_renewed_once_for_all() -> None:
    """When a token expires under many requests, one call gets another one, and all of them succeed."""
    get = tokens()
    bodies: list[bytes] = []
    with FaultServer() as server:
        url = server.plan("/a", gate("token-1"))
        with transport(auth={url: BearerAuth(get)}) as door:
            door.fetch(url)
            server.plan("/a", gate("token-2"))
            threads = [threading.Thread(target=lambda: bodies.append(door.fetch(url).body)) for _ in range(8)]
            for each in threads:
                each.start()
            for each in threads:
                each.join()

        assert bodies == [b"x"] * 8
        assert get.count == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize("auth", [BearerAuth("old"), BasicAuth("u", "p")], ids=["bearer", "basic"])
def test_fixed_credentials_are_refused_once(auth: BearerAuth | BasicAuth) -> None:
    """Credentials that cannot be renewed are sent once; the error has advice."""
    with FaultServer() as server:
        url = server.plan("/a", Answer(status=401))
        refusal = pytest.raises(FetchError, match=r"401 Unauthorized\. .*credentials")
        with transport(auth={url: auth}) as door, refusal as caught:
            door.fetch(url)

        assert (caught.value.status, caught.value.retryable, len(server.requests)) == (401, False, 1)


def test_second_refusal_is_final() -> None:
    """A server that refuses the renewed token as well is not asked a third time."""
    get = tokens()
    with FaultServer() as server:
        url = server.plan("/a", Answer(status=401))
        with transport(auth={url: BearerAuth(get)}) as door, pytest.raises(FetchError, match="401"):
            door.fetch(url)

        assert (get.count, len(server.requests)) == (2, 2)  # type: ignore[attr-defined]


def test_forbidden_renews_nothing() -> None:
    """A 403 says that the credentials are known and do not suffice."""
    get = tokens()
    with FaultServer() as server:
        url = server.plan("/a", Answer(status=403))
        with transport(auth={url: BearerAuth(get)}) as door, pytest.raises(FetchError, match="403"):
            door.fetch(url)

        assert (get.count, len(server.requests)) == (1, 1)  # type: ignore[attr-defined]


def test_callable_that_fails_is_an_error_for_all_that_wait_and_asked_again_later() -> None:
    """All requests that wait for a token share its failure; the next one starts anew."""
    calls: list[int] = []
    errors: list[FetchError] = []

    def get() -> str:
        calls.append(1)
        sleep(0.2)
        if len(calls) == 1:
            raise RuntimeError("the token server is down")
        return "token"

    with FaultServer() as server:
        url = server.plan("/a", gate("token"))
        with transport(auth={url: BearerAuth(get)}) as door:

            def fetch() -> None:
                try:
                    door.fetch(url)
                except FetchError as error:
                    errors.append(error)

            threads = [threading.Thread(target=fetch) for _ in range(4)]
            for each in threads:
                each.start()
            for each in threads:
                each.join()

            assert (len(calls), len(errors)) == (1, 4)
            assert any(isinstance(each.__cause__, RuntimeError) for each in errors)
            assert door.fetch(url).body == b"x"


def test_failed_renewal_is_a_401() -> None:
    """A callable that fails when the token expired gives an error, not a loop."""

    def get() -> str:
        if get.spent:  # type: ignore[attr-defined]
            raise RuntimeError("no more")
        get.spent = True  # type: ignore[attr-defined]
        return "old"

    get.spent = False  # type: ignore[attr-defined]
    with FaultServer() as server:
        url = server.plan("/a", Answer(status=401))
        with transport(auth={url: BearerAuth(get)}) as door, pytest.raises(FetchError, match="RuntimeError"):
            door.fetch(url)

        assert len(server.requests) == 1


def test_credentials_keep_their_secret() -> None:
    """No representation shows a secret, and a token with its lock does not pickle."""
    assert "CANARY" not in repr(BasicAuth("CANARY", "CANARY")) + repr(BearerAuth("CANARY"))
    with pytest.raises(TypeError):
        pickle.dumps(BearerAuth("CANARY"))


def test_user_with_a_colon_is_refused() -> None:
    """Basic authentication cannot carry a user with a colon (RFC 7617)."""
    with pytest.raises(ValueError, match="colon"):
        BasicAuth("a:b", "c")
