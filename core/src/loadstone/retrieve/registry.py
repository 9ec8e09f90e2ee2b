"""Which retrieve configuration is used for what, in one session."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from loadstone.errors import LoadstoneError
from loadstone.retrieve.configurations import BUILT_IN
from loadstone.retrieve.stages import RetrieveConfiguration

if TYPE_CHECKING:
    from loadstone.settings import Settings

__all__ = ["RetrieveRegistry", "RetrieveWish"]

RetrieveWish = RetrieveConfiguration | str | None
"""A configuration, the name of a built-in one, or nothing: what the session uses for it."""


class RetrieveRegistry:
    """
    The retrieve configurations of one session; thread-safe.

    What a request names itself goes first, then what was set for the volume or image; for volumes then what
    was set for the transfer syntax of the first image, then the setting ``retrieve``.

    Parameters
    ----------
    settings
        With the name of the built-in configuration of all other volumes; empty: none.
    """

    def __init__(self, settings: Settings) -> None:
        self._default = settings.retrieve
        self._lock = threading.Lock()
        self._configurations: dict[str, RetrieveConfiguration] = {}

    def set(self, key: str, configuration: RetrieveConfiguration | str) -> None:
        """
        Use a configuration for a volume id, an image id, or the transfer syntax UID of volumes.

        Raises
        ------
        LoadstoneError
            If it is a name that no built-in configuration has.
        """
        found = _named(configuration)
        with self._lock:
            self._configurations[key] = found

    def remove(self, key: str) -> None:
        """Use none for that key any more."""
        with self._lock:
            self._configurations.pop(key, None)

    def chosen(self, wish: RetrieveWish, *keys: str) -> RetrieveConfiguration | None:
        """
        Return the configuration that the request names or that was set for one of the keys, or None.

        Parameters
        ----------
        wish
            What the request names.
        *keys
            Ids and transfer syntaxes that it is for; the first that has one decides.

        Raises
        ------
        LoadstoneError
            If the request names one that does not exist.
        """
        if wish is not None:
            return _named(wish)
        if not self._configurations:
            return None
        return next((self._configurations[key] for key in keys if key in self._configurations), None)

    def of_volume(self, wish: RetrieveWish, *keys: str) -> RetrieveConfiguration | None:
        """
        Return what `chosen` does, else the configuration that the setting names for all volumes, or None.

        Raises
        ------
        LoadstoneError
            If the request, or the setting, names one that does not exist.
        """
        return self.chosen(wish, *keys) or (_named(self._default) if self._default else None)


def _named(configuration: RetrieveConfiguration | str) -> RetrieveConfiguration:
    if isinstance(configuration, RetrieveConfiguration):
        return configuration
    found = BUILT_IN.get(configuration)
    if found is None:
        raise LoadstoneError(
            f"there is no retrieve configuration {configuration!r}",
            hint=f"There are {', '.join(BUILT_IN)}, or give a RetrieveConfiguration.",
        )
    return found
