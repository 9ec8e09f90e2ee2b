"""One request over one connection, and its answer."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import urllib3

from loadstone.transport._body import Body, body_of, gunzipped
from loadstone.transport._failures import WIRE_ERRORS, explained
from loadstone.transport._flight import Call, Flight
from loadstone.transport._kept import asked_again
from loadstone.transport._wire import airborne
from loadstone.transport.stream import HttpStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadstone.settings import Settings
    from loadstone.transport._pools import Route
    from loadstone.transport._response import Response
    from loadstone.transport.messages import HttpRequest
    from loadstone.transport.urls import HttpUrl

__all__ = ["Answer", "exchange"]

_NO_RETRIES: Final = urllib3.Retry.from_int(retries=False, redirect=False)
_DRAINED_BYTES: Final = 16384
_DRAIN_SECONDS: Final = 1.0


@cache
def _user_agent() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"loadstone/{version('loadstone')}"
    except PackageNotFoundError:  # frozen into an application, without its metadata
        return "loadstone"


@cache
def _timeout(connect: float, stall: float) -> urllib3.Timeout:
    return urllib3.Timeout(connect=connect, read=stall)


class Answer:
    """The header of an answer; its body waits on the connection until it is streamed or discarded."""

    __slots__ = ("_end", "_flight", "_response", "_settings", "_url", "headers", "request", "status")

    def __init__(
        self,
        response: Response,
        request: HttpRequest,
        *,
        url: HttpUrl,
        flight: Flight,
        settings: Settings,
        end: Callable[[], None],
    ) -> None:
        self._response = response
        self._url = str(url)
        self._flight = flight
        self._settings = settings
        self._end = end
        self.request = request
        """As it was sent."""
        self.status = response.status
        """HTTP status."""
        self.headers = response.fields
        """Fields of the header."""

    def stream(self, *, accept_gzip: bool, limit: int | None, after: Callable[[], None]) -> HttpStream:
        """Return the body, to be read; `after` is called when it is let go."""

        def end(reusable: bool) -> None:  # noqa: FBT001 - called by the stream
            self._let_go(reusable=reusable)
            after()

        try:
            framed = self._framed()
            body = gunzipped(framed, self.headers, self._settings, accepted=accept_gzip)
        except Exception as error:  # noqa: BLE001 - explained and raised
            self._let_go(reusable=False)
            raise self._explained(error)  # noqa: B904 - has its cause
        return HttpStream(
            status=self.status,
            headers=self.headers,
            url=self._url,
            body=body,
            limit=limit,
            explain=self._explained,
            end=end,
        )

    def discard(self) -> None:
        """Read what is left if it is little, so that the connection can be used again, and let it go."""
        reusable = False
        self._flight.hurry(_DRAIN_SECONDS)
        try:
            body = self._framed()
            body.read(_DRAINED_BYTES)
            reusable = body.done
        except WIRE_ERRORS:
            pass  # the connection is closed instead
        finally:
            self._let_go(reusable=reusable)

    def _framed(self) -> Body:
        return body_of(self._response.fp, self.status, self.headers, method=self.request.method)

    def _explained(self, error: Exception) -> Exception:
        return explained(error, self._url, self._flight, self._settings)

    def _let_go(self, *, reusable: bool) -> None:
        self._flight.call.drop()
        try:
            self._response.let_go(reusable=reusable)
        finally:
            self._end()


def exchange(
    request: HttpRequest,
    url: HttpUrl,
    route: Route,
    *,
    call: Call,
    settings: Settings,
    accept_gzip: bool,
    end: Callable[[], None],
) -> Answer:
    """
    Send a request and return the answer once its header is there; `end` is called when its body is let go.

    A connection that had served before and turns out to be closed costs nothing but another one.
    """
    pool, absolute = route
    headers = {"Accept": "*/*", "User-Agent": _user_agent()}
    for name, value in request.headers.items():
        headers[name.title()] = value
    headers["Accept-Encoding"] = "gzip" if accept_gzip else "identity"
    was_idle = True
    while True:
        flight = Flight(call, settings)
        try:
            with airborne(flight):
                if not asked_again(pool, request, url, headers, flight):
                    pool.urlopen(
                        request.method,
                        str(url) if absolute else url.target,
                        headers=headers,
                        retries=_NO_RETRIES,
                        redirect=False,
                        assert_same_host=False,
                        timeout=_timeout(settings.connect_seconds, settings.stall_seconds),
                        preload_content=False,
                        decode_content=False,
                    )
        except Exception as error:  # noqa: BLE001 - explained and raised
            call.drop()
            if was_idle and flight.lost_idle_connection and isinstance(error, WIRE_ERRORS):
                was_idle = False
                continue
            raise explained(error, str(url), flight, settings)  # noqa: B904 - has its cause
        if flight.response is None:
            raise RuntimeError("urllib3 answered with a response that is not ours")
        flight.in_body = True
        return Answer(flight.response, request, url=url, flight=flight, settings=settings, end=end)
