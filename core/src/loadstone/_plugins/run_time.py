"""Loaders that the program registers itself, on top of what is installed."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from loadstone.errors import LoadstoneError, SchemeConflictError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from loadstone._plugins.records import Registration
    from loadstone.hookspecs import ImageLoader, VolumeLoader

__all__ = ["RegistrationHandle", "RunTimeLoaders", "already_claimed"]

L = TypeVar("L", bound="ImageLoader | VolumeLoader")


class RegistrationHandle:
    """
    Takes a registration back.

    Examples
    --------
    >>> with loadstone.register_image_loader("mem", load):  # doctest: +SKIP
    ...     loadstone.load_image("mem:1")
    """

    def __init__(self, scheme: str, unregister: Callable[[], None]) -> None:
        self.scheme = scheme
        self._unregister = unregister

    def unregister(self) -> None:
        """Take it back; what it replaced counts again. Does nothing the second time."""
        self._unregister()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.unregister()


class RunTimeLoaders(Generic[L]):
    """
    Loaders of one kind (images or volumes): a stack for each scheme, the last registered one counts.

    Parameters
    ----------
    below
        Loaders that count where this one has none: those of the process below those of a session.
    """

    def __init__(self, below: RunTimeLoaders[L] | None = None) -> None:
        lower: tuple[RunTimeLoaders[L], ...] = below.layers if below else ()
        self.layers: tuple[RunTimeLoaders[L], ...] = (self, *lower)
        """This one and those below it."""
        self.top: dict[str, Registration[L]] = {}
        """The loader of this layer that counts, by scheme: read without a lock."""
        self.unknown: Registration[L] | None = None
        """Serves schemes that nobody claims."""
        self._stacks: dict[str, list[Registration[L]]] = {}
        self._lock = threading.Lock()

    def find(self, scheme: str) -> Registration[L] | None:
        """Return the loader that counts in this layer or below."""
        for layer in self.layers:
            if found := layer.top.get(scheme):
                return found
        return None

    def fall_back(self, scheme: str) -> Registration[L] | None:
        """Return the loader for unknown schemes as if it were registered for this one."""
        for layer in self.layers:
            if unknown := layer.unknown:
                return replace(unknown, record=replace(unknown.record, scheme=scheme))
        return None

    def schemes(self) -> set[str]:
        """Return the schemes of this layer and of those below."""
        return set().union(*(layer.top for layer in self.layers))

    def add(self, registration: Registration[L], *, over: bool) -> RegistrationHandle:
        """
        Put a loader on top.

        Parameters
        ----------
        registration
            The loader.
        over
            Whether it may stand on top of an earlier one.

        Raises
        ------
        SchemeConflictError
            If there is an earlier one and it may not.
        """
        scheme: str = registration.record.scheme
        with self._lock:
            if not over and self.find(scheme):
                raise already_claimed(scheme, ["an earlier registration"])
            self._keep(scheme, [*self._stacks.get(scheme, ()), registration])
        return RegistrationHandle(scheme, lambda: self._remove(registration))

    def pop(self, scheme: str) -> None:
        """
        Take away the loader of this layer that counts.

        Raises
        ------
        LoadstoneError
            If there is none.
        """
        with self._lock:
            if scheme not in self._stacks:
                raise LoadstoneError(
                    f"no loader was registered here for the scheme {scheme!r}",
                    hint="An installed plugin is switched off with LOADSTONE_DISABLE_PLUGINS.",
                )
            self._keep(scheme, self._stacks[scheme][:-1])

    def clear(self) -> None:
        """Take all of this layer away, the one for unknown schemes as well."""
        with self._lock:
            self._stacks.clear()
            self.top.clear()
            self.unknown = None

    def forget_threads(self) -> None:
        """Start with a free lock: in a forked child the thread that held it is gone."""
        self._lock = threading.Lock()

    def _remove(self, registration: Registration[L]) -> None:
        scheme = registration.record.scheme
        with self._lock:
            self._keep(scheme, [each for each in self._stacks.get(scheme, ()) if each is not registration])

    def _keep(self, scheme: str, stack: list[Registration[L]]) -> None:
        if stack:
            self._stacks[scheme] = stack
            self.top[scheme] = stack[-1]
        else:
            self._stacks.pop(scheme, None)
            self.top.pop(scheme, None)


def already_claimed(scheme: str, claimants: Sequence[str]) -> SchemeConflictError:
    """Build the error for a registration that would replace another loader without saying so."""
    return SchemeConflictError(scheme, claimants, hint="Pass replace=True to put this loader in its place.")
