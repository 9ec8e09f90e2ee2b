"""The transport: attempts, redirects, credentials and limits around one request after another."""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Final, Self, TypeVar

from loadstone.errors import FetchError, LoadstoneError
from loadstone.transport._flight import Call
from loadstone.transport._redirects import REDIRECTS, redirected
from loadstone.transport._retries import Pauses, is_retryable, retry_after, wait_before
from loadstone.transport.auth import Auth, BasicAuth
from loadstone.transport.messages import HttpRequest, HttpResponse
from loadstone.transport.urls import HttpUrl, origin_of, redact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loadstone.cancel import CancelToken
    from loadstone.settings import Settings
    from loadstone.transport._exchange import Answer
    from loadstone.transport._pools import Pools
    from loadstone.transport.stream import HttpStream

__all__ = ["Transport"]

T = TypeVar("T")

_BELIEVED_BYTES: Final = 2**24
"""Up to here a Content-Length is allocated before the bytes are there."""
_PIECE: Final = 2**20
"""Progress is told about so often, and for each piece that comes sooner."""


def _unchanged(request: HttpRequest) -> HttpRequest:
    return request


def _nothing() -> None:
    pass


def _unlimited(_host: str) -> AbstractContextManager[object]:
    return nullcontext()


@dataclass(slots=True)
class _Live:
    """What belongs to one process; a forked child starts with its own."""

    pid: int
    pools: Pools
    calls: set[Call] = field(default_factory=set)
    pauses: Pauses = field(default_factory=Pauses)


@dataclass(frozen=True, slots=True)
class _Wish:
    """A request with what the caller said about its answer."""

    request: HttpRequest
    accept_gzip: bool
    limit: int | None


class Transport:
    """
    Gets bytes from http and https servers; thread-safe.

    Parameters
    ----------
    settings
        Deadlines, attempts, limits, proxy and certificates.
    auth
        Credentials by origin (``https://pacs.example.org``); they are sent nowhere else.
    prepare
        Changes every request before each attempt (signs it, adds headers); not those that another origin
        redirected here.
    permit
        Gives a context manager for ``host:port``; a request holds one while it is under way, and none while
        it waits for its next attempt.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        auth: Mapping[str, Auth] | None = None,
        prepare: Callable[[HttpRequest], HttpRequest] = _unchanged,
        permit: Callable[[str], AbstractContextManager[object]] = _unlimited,
    ) -> None:
        self._settings = settings
        self._auth = {origin_of(origin): each for origin, each in (auth or {}).items()}
        self._prepare = prepare
        self._permit = permit
        self._lock = threading.Lock()
        self._live: _Live | None = None
        self._closed = False

    def fetch(
        self,
        request: HttpRequest | str,
        *,
        headers: Mapping[str, str] | None = None,
        token: CancelToken | None = None,
        progress: Callable[[int, int | None], object] | None = None,
        max_bytes: int | None = None,
        accept_gzip: bool = False,
    ) -> HttpResponse:
        """
        Return an answer with its whole body; a failure on the way is retried from the start.

        Parameters
        ----------
        request
            A request, or a URL.
        headers
            Added to those of the request.
        token
            Ends it from another thread.
        progress
            Called with the bytes received and, if known, the bytes in all.
        max_bytes
            Largest body, decompressed; default ``max_response_bytes`` of the settings.
        accept_gzip
            Whether the server may compress: good for JSON, a brake for pixels.

        Raises
        ------
        FetchError
            If no attempt gave a complete answer with a status of 2xx.
        InvalidIdError
            If the URL is none.
        LimitError
            If the answer is larger than allowed.
        SecurityError
            If a redirect leads where it must not.
        UnsupportedError, IntegrityError
            If the body is compressed in a way that was not asked for, or damaged.
        LoadCancelled
            If `token` was set or the transport closed.
        """
        limit = self._settings.max_response_bytes if max_bytes is None else max_bytes
        wish = _Wish(_as_request(request, headers), accept_gzip, limit)

        def once(live: _Live, call: Call) -> HttpResponse:
            with self._open(wish, live, call) as stream:
                body = _whole(stream, progress)
            return HttpResponse(stream.status, stream.headers, body, stream.url)

        with ExitStack() as ends:
            live, call = self._begin(token, ends)
            return self._attempts(live, call, once)

    def stream(
        self,
        request: HttpRequest | str,
        *,
        headers: Mapping[str, str] | None = None,
        token: CancelToken | None = None,
        max_bytes: int | None = None,
        accept_gzip: bool = False,
    ) -> HttpStream:
        """
        Return an answer as soon as its header is there; close it, best by ``with``.

        Failures up to the header are retried. Parameters and errors are those of `fetch`; without `max_bytes`
        there is no limit, because the reader provides the memory.
        """
        wish = _Wish(_as_request(request, headers), accept_gzip, max_bytes)
        with ExitStack() as ends:
            live, call = self._begin(token, ends)
            after = ends.pop_all()
        try:
            return self._attempts(live, call, lambda live, call: self._open(wish, live, call, after.close))
        except BaseException:
            after.close()
            raise

    def close(self) -> None:
        """End what is under way, close all connections; may be called again."""
        with self._lock:
            self._closed = True
            live, self._live = self._live, None
        if live is None or live.pid != os.getpid():
            return
        for call in tuple(live.calls):
            call.abort("the transport was closed")
        live.pools.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"Transport({state}, auth for {', '.join(self._auth) or 'no origin'})"

    def _begin(self, token: CancelToken | None, ends: ExitStack) -> tuple[_Live, Call]:
        """Register a call, and in `ends` what takes it back."""
        live = self._live
        if live is None or live.pid != os.getpid():
            live = self._new_live()
        call = Call()
        live.calls.add(call)
        ends.callback(live.calls.discard, call)
        if self._closed:
            raise LoadstoneError("the transport is closed", hint="Open a new session.")
        if token is not None:
            token.raise_if_cancelled()
            ends.callback(token.on_cancel(call.abort))
        return live, call

    def _new_live(self) -> _Live:
        from loadstone.transport._pools import Pools

        if self._live is not None and self._live.pid != os.getpid():
            self._lock = threading.Lock()  # a fork may have copied it while it was held
        with self._lock:
            if self._live is None or self._live.pid != os.getpid():
                self._live = _Live(os.getpid(), Pools(self._settings))
            return self._live

    def _attempts(self, live: _Live, call: Call, once: Callable[[_Live, Call], T]) -> T:
        while True:
            call.raise_if_aborted()
            call.attempts += 1
            call.retry_after = None
            try:
                return once(live, call)
            except FetchError as error:
                if not error.retryable or call.attempts >= self._settings.attempts:
                    raise
            call.pause(wait_before(call.attempts + 1, call.retry_after, self._settings))

    def _open(self, wish: _Wish, live: _Live, call: Call, after: Callable[[], None] = _nothing) -> HttpStream:
        """Follow redirects to an answer with 2xx."""
        request, auth = wish.request, self._auth
        url = home = HttpUrl.parse(request.url)
        if home.user is not None:
            request = request.with_url(str(home))
            auth = {**auth, home.origin: BasicAuth(home.user, home.password or "")}
        trusted = True
        for _ in range(self._settings.max_redirects + 1):
            answer = self._answer(request, url, auth=auth, wish=wish, live=live, call=call, trusted=trusted)
            if 200 <= answer.status < 300:
                return answer.stream(accept_gzip=wish.accept_gzip, limit=wish.limit, after=after)
            answer.discard()
            if answer.status not in REDIRECTS or "Location" not in answer.headers:
                raise self._refused(answer, live, call)
            request = redirected(request, answer.status, answer.request.url, answer.headers["Location"])
            url = HttpUrl.parse(request.url)
            trusted = trusted and url.origin == home.origin
        raise FetchError(
            f"more than {self._settings.max_redirects} redirects",
            source=redact(wish.request.url),
            hint="The server may send in circles; else raise max_redirects (LOADSTONE_MAX_REDIRECTS).",
            attempts=call.attempts,
        )

    def _answer(
        self,
        request: HttpRequest,
        url: HttpUrl,
        *,
        auth: Mapping[str, Auth],
        wish: _Wish,
        live: _Live,
        call: Call,
        trusted: bool,
    ) -> Answer:
        """Send a request with what belongs to its origin; once more if credentials could be renewed."""
        if trusted:
            prepared = self._prepare(request)
            url = url if prepared.url == request.url else HttpUrl.parse(prepared.url)
            request = prepared
        credentials = None if "Authorization" in request.headers else auth.get(url.origin)
        while True:
            sent = request if credentials is None else credentials.authorize(request)
            answer = self._exchange(sent, url, wish, live, call, trusted=trusted)
            if answer.status != 401 or credentials is None or call.refreshed:
                return answer
            call.refreshed = True
            answer.discard()
            if not credentials.refresh(sent):
                raise self._refused(answer, live, call)

    def _exchange(
        self, request: HttpRequest, url: HttpUrl, wish: _Wish, live: _Live, call: Call, *, trusted: bool
    ) -> Answer:
        from loadstone.transport._exchange import exchange

        pause = live.pauses.left(url.origin)
        if pause:
            call.pause(pause)
        with ExitStack() as ends:
            ends.enter_context(self._permit(f"{url.host}:{url.port}"))
            call.raise_if_aborted()
            end = ends.pop_all()
        try:
            return exchange(
                request,
                url,
                live.pools.route(url, trusted=trusted),
                call=call,
                settings=self._settings,
                accept_gzip=wish.accept_gzip,
                end=end.close,
            )
        except BaseException:
            end.close()
            raise

    def _refused(self, answer: Answer, live: _Live, call: Call) -> FetchError:
        from loadstone.transport._failures import refused

        call.retry_after = retry_after(answer.headers)
        if call.retry_after is not None and is_retryable(answer.status):
            seconds = min(call.retry_after, self._settings.retry_after_most_seconds)
            live.pauses.add(origin_of(answer.request.url), seconds)
        return refused(answer.status, answer.request.url, call.attempts)


def _as_request(request: HttpRequest | str, headers: Mapping[str, str] | None) -> HttpRequest:
    if isinstance(request, str):
        return HttpRequest(request, headers=headers or {})
    return request.with_headers(headers) if headers else request


def _whole(stream: HttpStream, progress: Callable[[int, int | None], object] | None) -> bytes:
    length = stream.length
    if length is not None and length <= (_BELIEVED_BYTES if progress is None else _PIECE):
        body = stream.read(length)
        if progress is not None:
            progress(length, length)
        return body
    if progress is None:
        return stream.read()
    pieces = BytesIO()
    while piece := stream.read1(_PIECE):
        pieces.write(piece)
        progress(stream.received, stream.length)
    return pieces.getvalue()
