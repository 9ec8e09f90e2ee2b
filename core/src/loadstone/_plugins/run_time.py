"""Loaders that the program registers itself, on top of what is installed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

from loadstone._plugins.records import Registration
from loadstone.hookspecs import ImageLoader, VolumeLoader

__all__ = ["RegistrationHandle", "RunTimeLoaders"]

L = TypeVar("L", ImageLoader, VolumeLoader)


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
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.unregister()


class RunTimeLoaders(Generic[L]):
    """Loaders of one kind (images or volumes): a stack for each scheme, the last registered one counts."""

    def __init__(self) -> None:
        self.top: dict[str, Registration[L]] = {}
        """The loader that counts, by scheme: read without a lock."""
        self.unknown: Registration[L] | None = None
        """Serves schemes that nobody claims."""
        self._stacks: dict[str, list[Registration[L]]] = {}
        self._lock = threading.Lock()

    def add(self, scheme: str, registration: Registration[L], *, replace: bool) -> bool:
        """Put a loader on top; False (and nothing happens) if there is one and it is not to be replaced."""
        with self._lock:
            stack = self._stacks.setdefault(scheme, [])
            if stack and not replace:
                return False
            stack.append(registration)
            self.top[scheme] = registration
            return True

    def remove(self, scheme: str, registration: Registration[L]) -> None:
        """Take one loader away, wherever it stands; nothing happens if it is gone."""
        with self._lock:
            self._keep(scheme, [each for each in self._stacks.get(scheme, ()) if each is not registration])

    def pop(self, scheme: str) -> bool:
        """Take away the loader that counts; False if there is none."""
        with self._lock:
            stack = self._stacks.get(scheme, [])
            self._keep(scheme, stack[:-1])
            return bool(stack)

    def clear(self) -> None:
        """Take all away, the one for unknown schemes as well."""
        with self._lock:
            self._stacks.clear()
            self.top.clear()
            self.unknown = None

    def forget_threads(self) -> None:
        """Start with a free lock: in a forked child the thread that held it is gone."""
        self._lock = threading.Lock()

    def _keep(self, scheme: str, stack: list[Registration[L]]) -> None:
        if stack:
            self._stacks[scheme] = stack
            self.top[scheme] = stack[-1]
        else:
            self._stacks.pop(scheme, None)
            self.top.pop(scheme, None)
