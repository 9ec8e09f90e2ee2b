"""Connection pools: one for each origin, with proxies and certificates as the settings say."""

from __future__ import annotations

import ssl
import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

import urllib3

from loadstone.errors import InvalidIdError, LoadstoneError
from loadstone.transport._wire import HttpPool, HttpsPool
from loadstone.transport.urls import HttpUrl

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadstone.settings import Settings

__all__ = ["Pools", "Route"]

T = TypeVar("T")

_POOL_CLASSES: Final = {"http": HttpPool, "https": HttpsPool}

Route = tuple[urllib3.HTTPConnectionPool, bool]
"""A pool, and whether it leads to a proxy that wants whole URLs."""


class Pools:
    """All connections of a transport."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._routes: dict[tuple[str, bool], Route] = {}
        self._managers: dict[tuple[str, bool], urllib3.PoolManager] = {}
        self._contexts: dict[bool, ssl.SSLContext] = {}

    def route(self, url: HttpUrl, *, trusted: bool) -> Route:
        """
        Return the pool for an origin.

        Parameters
        ----------
        url
            Any URL of the origin.
        trusted
            Whether the client certificate may be shown: not to an origin that another one redirected to.
        """
        identified = trusted and bool(self._settings.client_certificate)
        key = url.origin, identified
        route = self._routes.get(key)
        if route is None:
            with self._lock:
                route = self._routes.setdefault(key, self._new_route(url, identified=identified))
        return route

    def close(self) -> None:
        """Close all idle connections; those in use are closed when they come back."""
        with self._lock:
            routes = list(self._routes.values())
            self._routes.clear()
            self._managers.clear()
        for pool, _ in routes:
            pool.close()

    def _new_route(self, url: HttpUrl, *, identified: bool) -> Route:
        proxy = self._proxy(url)
        manager = self._managers.get((proxy, identified))
        if manager is None:
            manager = self._managers[proxy, identified] = self._new_manager(proxy)
        tls = {"ssl_context": self._context(identified=identified)} if url.scheme == "https" else None
        pool = manager.connection_from_host(url.host, url.port, url.scheme, pool_kwargs=tls)
        return pool, bool(proxy) and url.scheme == "http"

    def _new_manager(self, proxy: str) -> urllib3.PoolManager:
        manager: urllib3.PoolManager
        options: dict[str, Any] = {"maxsize": self._settings.host_permits, "num_pools": 256}
        if not proxy:
            manager = urllib3.PoolManager(**options)
        else:
            parsed = _parsed_proxy(proxy)
            if parsed.scheme == "https":
                options["proxy_ssl_context"] = self._context(identified=False)
                options["ssl_context"] = options["proxy_ssl_context"]
            if parsed.user is not None:
                userinfo = f"{parsed.user}:{parsed.password or ''}"
                options["proxy_headers"] = urllib3.make_headers(proxy_basic_auth=userinfo)
            manager = urllib3.ProxyManager(parsed.origin, **options)
        manager.pool_classes_by_scheme = _POOL_CLASSES
        return manager

    def _proxy(self, url: HttpUrl) -> str:
        if self._settings.proxy:
            return self._settings.proxy
        found = getproxies_environment()
        if proxy_bypass_environment(url.authority, found):
            return ""
        return found.get(url.scheme) or found.get("all") or ""

    def _context(self, *, identified: bool) -> ssl.SSLContext:
        context = self._contexts.get(identified)
        if context is None:
            context = self._contexts[identified] = self._new_context(identified=identified)
        return context

    def _new_context(self, *, identified: bool) -> ssl.SSLContext:
        settings = self._settings
        bundle = settings.ca_bundle or None
        context = _loaded("ca_bundle", settings.ca_bundle, lambda: ssl.create_default_context(cafile=bundle))
        if identified:
            # An empty password: a key that needs one is refused, and nothing waits at a terminal.
            certificate = settings.client_certificate
            _loaded(
                "client_certificate",
                certificate,
                lambda: context.load_cert_chain(certificate, password=lambda: b""),
            )
        return context


def _loaded(setting: str, path: str, load: Callable[[], T]) -> T:
    try:
        return load()
    except OSError as error:  # ssl.SSLError is one
        raise LoadstoneError(
            f"the file of the setting {setting} cannot be used: {error.strerror or type(error).__name__}",
            source=path,
            hint="It must be a PEM file; the key of a client certificate is in it too, without a password.",
        ) from error


def _parsed_proxy(proxy: str) -> HttpUrl:
    try:
        return HttpUrl.parse(proxy if "://" in proxy else f"http://{proxy}")
    except InvalidIdError as error:
        raise LoadstoneError(
            "the proxy is not an http or https URL",
            source=error.source,
            hint="Correct the setting proxy, or the variables HTTP_PROXY and HTTPS_PROXY.",
        ) from None
