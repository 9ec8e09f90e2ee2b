"""What the server answers instead of data.

::

    RequestRefusedError (ValueError)    any answer of 4xx or 5xx
    ├── BadRequestError          400    the request makes no sense
    ├── UnauthorizedError        401    the behaviour asks for credentials
    ├── NotFoundError            404    no such study, series, instance, frame, element
    ├── MethodNotAllowedError    405    only GET and HEAD are served
    ├── NotAcceptableError       406    it is here, but not in a form that the client accepts
    ├── RangeNotSatisfiableError 416    the byte range lies outside
    └── DamagedObjectError       500    the stored object cannot be read
    ServerNotRunningError (OSError)     an address was asked for while there is none
"""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar

__all__ = [
    "BadRequestError",
    "DamagedObjectError",
    "MethodNotAllowedError",
    "NotAcceptableError",
    "NotFoundError",
    "RangeNotSatisfiableError",
    "RequestRefusedError",
    "ServerNotRunningError",
    "UnauthorizedError",
]


class RequestRefusedError(ValueError):
    """A request is answered with an error.

    Parameters
    ----------
    text
        What is wrong, for a person; the body of the answer.
    status
        The status, where it is not the one of the class.
    """

    default_status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR

    def __init__(self, text: str, *, status: int | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.status = int(self.default_status if status is None else status)

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Header fields that this answer needs besides the usual ones."""
        return ()


class BadRequestError(RequestRefusedError):
    """The request makes no sense: a missing, unknown or malformed parameter."""

    default_status = HTTPStatus.BAD_REQUEST


class UnauthorizedError(RequestRefusedError):
    """The behaviour asks for credentials, and they were not sent or are wrong."""

    default_status = HTTPStatus.UNAUTHORIZED

    def __init__(self, scheme: str) -> None:
        super().__init__(f"this server wants {scheme} credentials")
        self.scheme = scheme

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The challenge."""
        return (("WWW-Authenticate", f'{self.scheme} realm="loadstone"'),)


class NotFoundError(RequestRefusedError):
    """There is no such study, series, instance, frame or element."""

    default_status = HTTPStatus.NOT_FOUND


class MethodNotAllowedError(RequestRefusedError):
    """Something else than GET or HEAD was asked for."""

    default_status = HTTPStatus.METHOD_NOT_ALLOWED

    def __init__(self, method: str) -> None:
        super().__init__(f"{method} is not served: this server only reads (GET and HEAD)")

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The methods that are served."""
        return (("Allow", "GET, HEAD"),)


class NotAcceptableError(RequestRefusedError):
    """What was asked for is here, but not in a form that the client accepts."""

    default_status = HTTPStatus.NOT_ACCEPTABLE


class RangeNotSatisfiableError(RequestRefusedError):
    """The byte range begins behind the last byte."""

    default_status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE

    def __init__(self, length: int) -> None:
        super().__init__(f"the range lies outside of the {length} bytes there are")
        self.length = length

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """How long the whole is."""
        return (("Content-Range", f"bytes */{self.length}"),)


class DamagedObjectError(RequestRefusedError):
    """The stored object cannot be read: truncated, inconsistent, changed or gone since it was indexed."""

    default_status = HTTPStatus.INTERNAL_SERVER_ERROR


class ServerNotRunningError(OSError):
    """An address was asked for, or a stop waited for, while the server is not running."""

    def __init__(self) -> None:
        super().__init__("the server is not running: use it in a `with` block, or call start()")
