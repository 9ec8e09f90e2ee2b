"""URLs taken apart, and URLs made fit to be shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from loadstone.errors import InvalidIdError

__all__ = ["HttpUrl", "origin_of", "redact", "shown"]

_PORTS: Final = {"http": 80, "https": 443}

# Strict where parsers disagree and attackers profit from it: no backslash, no control character.
_HTTP_URL: Final = re.compile(
    r"(?P<scheme>https?)://"
    r"(?:(?P<userinfo>[^/?#\\]*)@)?"
    r"(?P<host>\[[0-9a-f:.%]+\]|[^/?#@:\[\]\\\s]+)"
    r"(?::(?P<port>[0-9]{0,5}))?"
    r"(?P<target>[/?][^#]*)?"
    r"(?:\#.*)?",
    re.IGNORECASE,
)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_AUTHORITY: Final = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[^:\[\]\s]*)(?::[0-9]*)?")
_PATH_PARAMETERS: Final = re.compile(r";[^/]*")
_SHOWN_QUERY: Final = re.compile(r"(?:frame|requestType)=[A-Za-z0-9,.-]*")
_HIDDEN: Final = "***"
_DATA_URL: Final = re.compile(r"((?:[a-z][a-z0-9.-]*:)?data:[^,]{0,64})[^,]*,.*", re.IGNORECASE | re.DOTALL)
"""A ``data:`` URL (RFC 2397), perhaps behind a scheme of ours; its data may be megabytes."""


@dataclass(frozen=True, slots=True, repr=False)
class HttpUrl:
    """An http or https URL, taken apart."""

    scheme: str
    """``http`` or ``https``."""
    host: str
    """In lower case; an IPv6 address in its brackets."""
    port: int
    """Always known: 80 or 443 where the URL names none."""
    target: str
    """Path and query, as they are sent."""
    user: str | None = None
    """User in front of the host, percent-decoded."""
    password: str | None = None
    """Password in front of the host, percent-decoded."""

    @classmethod
    def parse(cls, url: str) -> HttpUrl:
        """
        Take a URL apart.

        Raises
        ------
        InvalidIdError
            If it is not an absolute http or https URL.
        """
        match = None if _CONTROL.search(url) else _HTTP_URL.fullmatch(url)
        if match is None:
            raise InvalidIdError(
                "not an absolute http or https URL",
                source=redact(url),
                hint="Write it as https://host/path, with special characters percent-encoded.",
            )
        scheme, userinfo, host, port, target = match.group("scheme", "userinfo", "host", "port", "target")
        scheme = scheme.lower()
        number = int(port) if port else _PORTS[scheme]
        if not 0 < number < 65536:
            raise InvalidIdError(f"there is no port {number}", source=redact(url))
        target = target or "/"
        return cls(
            scheme,
            _ascii_host(host, url),
            number,
            target if target[0] == "/" else f"/{target}",
            *_user_and_password(userinfo),
        )

    @property
    def authority(self) -> str:
        """Host and port, as ``Host:`` has them."""
        return self.host if self.port == _PORTS[self.scheme] else f"{self.host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme, host and, if it is not the scheme's own, port."""
        return f"{self.scheme}://{self.authority}"

    def __str__(self) -> str:
        """Return the URL without user and password."""
        return f"{self.origin}{self.target}"

    def __repr__(self) -> str:
        return f"HttpUrl({redact(str(self))!r})"


def _ascii_host(host: str, url: str) -> str:
    if host.isascii():
        return host.lower()
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        raise InvalidIdError("the host's name is not valid", source=redact(url)) from None


def _user_and_password(userinfo: str | None) -> tuple[str | None, str | None]:
    if not userinfo:
        return None, None
    from urllib.parse import unquote

    user, _, password = userinfo.partition(":")
    return unquote(user), unquote(password)


def origin_of(url: str) -> str:
    """
    Return the origin of an http or https URL: what credentials are bound to.

    Raises
    ------
    InvalidIdError
        If it is not an absolute http or https URL.

    Examples
    --------
    >>> origin_of("https://user:secret@PACS.example.org:443/dicom-web?x=1")
    'https://pacs.example.org'
    >>> origin_of("http://127.0.0.1:8042/wado")
    'http://127.0.0.1:8042'
    """
    return HttpUrl.parse(url).origin


def redact(url: str) -> str:
    """
    Return a URL or an id fit for messages and logs; never raises.

    Scheme, host and path stay. Of the query only the values of ``frame`` and ``requestType`` stay; user and
    password, path parameters (session ids) and the fragment never do.

    Examples
    --------
    >>> redact("https://user:secret@pacs/wado?requestType=WADO&PatientName=DOE&frame=3#top")
    'https://pacs/wado?requestType=WADO&PatientName=***&frame=3'
    """
    head, question, query = url.partition("#")[0].partition("?")
    scheme, slashes, rest = head.partition("//")
    authority, slash, path = rest.partition("/")
    authority = authority.rpartition("@")[2]
    if not _AUTHORITY.fullmatch(authority):
        # Not how a host looks: it may be half of a password with a slash in it.
        shown = f"{scheme}//{_HIDDEN}"
    else:
        shown = _PATH_PARAMETERS.sub(f";{_HIDDEN}", f"{scheme}{slashes}{authority}{slash}{path}")
        shown += question + "&".join(map(_shown_parameter, query.split("&")))
    return _CONTROL.sub("?", shown)


def shown(text: str) -> str:
    """
    Return an id, a URL or a path fit for messages and logs; a path stays as it is, data are left out.

    Examples
    --------
    >>> shown("web:data:image/png;base64,iVBORw0KGgo=")
    'web:data:image/png;base64,…'
    >>> shown("web:https://host/a.png?token=secret"), shown("nifti:/data/50%23;1/t1.nii.gz?frame=3")
    ('web:https://host/a.png?token=***', 'nifti:/data/50%23;1/t1.nii.gz?frame=3')
    """
    if data := _DATA_URL.fullmatch(text):
        return f"{data[1]},…"
    return redact(text) if "://" in text else text


def _shown_parameter(parameter: str) -> str:
    if not parameter or _SHOWN_QUERY.fullmatch(parameter):
        return parameter
    name, equals, _ = parameter.partition("=")
    return f"{name}={_HIDDEN}" if equals else _HIDDEN
