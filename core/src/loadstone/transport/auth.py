"""Credentials, each bound to one origin by whoever hands it to the transport."""

from __future__ import annotations

import os
import threading
from base64 import b64encode
from typing import TYPE_CHECKING, Protocol

from loadstone.errors import FetchError

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadstone.transport.messages import HttpRequest

__all__ = ["Auth", "BasicAuth", "BearerAuth"]


class Auth(Protocol):
    """Authorises requests to one origin."""

    def authorize(self, request: HttpRequest, /) -> HttpRequest:
        """Return the request with credentials; raise a `FetchError` if there are none."""
        ...

    def refresh(self, refused: HttpRequest, /) -> bool:
        """After a 401: make new credentials if possible; return whether another try makes sense."""
        ...


class BasicAuth:
    """A user and a password."""

    __slots__ = ("_header",)

    def __init__(self, user: str, password: str) -> None:
        if ":" in user:
            raise ValueError("a user of basic authentication cannot hold a colon")
        self._header = "Basic " + b64encode(f"{user}:{password}".encode()).decode("ascii")

    def authorize(self, request: HttpRequest, /) -> HttpRequest:
        """Return the request with an ``Authorization`` header."""
        return request.with_headers({"Authorization": self._header})

    def refresh(self, refused: HttpRequest, /) -> bool:
        """Return False: the password will not change."""
        return False

    def __repr__(self) -> str:
        return "BasicAuth(***)"


class BearerAuth:
    """
    A token, or a callable that gets one.

    The callable is called when a token is first needed and again when the server refused it: once, for all
    requests that wait for it at that moment.
    """

    __slots__ = ("_get", "_lock", "_pid", "_round", "_token")

    def __init__(self, token: str | Callable[[], str]) -> None:
        self._get = None if isinstance(token, str) else token
        self._token = token if isinstance(token, str) else None
        self._round = 0
        self._renew_lock()

    def _renew_lock(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()

    def authorize(self, request: HttpRequest, /) -> HttpRequest:
        """Return the request with an ``Authorization`` header."""
        if self._token is None:
            self._get_once(refused=None)
        return request.with_headers({"Authorization": self._header()})

    def refresh(self, refused: HttpRequest, /) -> bool:
        """Get another token, unless somebody did since; return whether there is another one than refused."""
        if self._get is None:
            return False
        header = refused.headers.get("Authorization")
        self._get_once(refused=header)
        return self._token is not None and self._header() != header

    def _header(self) -> str:
        if self._token is None:
            raise FetchError("no token could be had", hint="See the error of the call that asked for one.")
        return f"Bearer {self._token}"

    def _get_once(self, refused: str | None) -> None:
        if self._pid != os.getpid():  # a fork may have copied the lock while it was held
            self._renew_lock()
        seen = self._round
        with self._lock:
            if self._round != seen or (self._token is not None and self._header() != refused):
                return
            try:
                self._token = self._ask()
            finally:
                self._round += 1

    def _ask(self) -> str:
        if self._get is None:
            raise FetchError("no token could be had")
        try:
            return self._get()
        except Exception as error:
            self._token = None
            raise FetchError(
                f"the callable that gets tokens raised {type(error).__name__}", hint="See the cause."
            ) from error

    def __repr__(self) -> str:
        return "BearerAuth(***)"
