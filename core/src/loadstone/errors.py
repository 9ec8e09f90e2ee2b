"""
Everything that Loadstone raises on purpose.

One tree, so that ``except loadstone.LoadstoneError`` catches all of it::

    LoadstoneError
    ├── InvalidIdError          an id or a source that cannot be taken apart, or a frame that is not there
    ├── UnknownSchemeError      no installed plugin claims the scheme
    ├── SchemeConflictError     several installed plugins claim the scheme
    ├── PluginLoadError         the plugin that claims the scheme is broken
    ├── PluginContractError     a plugin does not keep its side of the contract
    ├── FetchError              bytes could not be had (file, network)
    ├── SecurityError           refused because it could leak or overreach
    ├── IntegrityError          bytes are short, or disagree with what describes them
    ├── DecodeError             bytes are complete but cannot be decoded
    ├── UnsupportedError        a kind of object or encoding that is not an image Loadstone can read
    ├── LimitError              larger than a limit of the settings
    ├── GeometryError           the images do not form the volume that was asked for
    ├── CacheFullError          the memory budget cannot hold it
    ├── LoadCancelled           the load was cancelled
    ├── LoadCycleError          a load waits, directly or not, for itself
    └── MetadataError           what describes the image is missing or contradictory

A message says what happened, what was looked at and what to do next. All of them pickle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadstone.geometry import GeometryReport
    from loadstone.volume import Volume

__all__ = [
    "CacheFullError",
    "DecodeError",
    "FetchError",
    "GeometryError",
    "IntegrityError",
    "InvalidIdError",
    "LimitError",
    "LoadCancelled",
    "LoadCycleError",
    "LoadstoneError",
    "MetadataError",
    "PluginContractError",
    "PluginLoadError",
    "SchemeConflictError",
    "SecurityError",
    "UnknownSchemeError",
    "UnsupportedError",
]


class LoadstoneError(Exception):
    """
    Base of every error that Loadstone raises on purpose.

    Parameters
    ----------
    what
        What happened, without a full stop.
    source
        What was looked at: an id, a path, a URL, of which only what is no secret is kept.
    hint
        What to do next, as a full sentence.

    Attributes
    ----------
    volume : Volume or None
        On a volume that could not be loaded completely: the volume with everything that did arrive.
    missing : tuple of int
        Its indices that are not final.
    """

    volume: Volume | None = None
    missing: tuple[int, ...] = ()

    def __init__(self, what: str, *, source: str = "", hint: str = "") -> None:
        from loadstone.transport.urls import shown  # it has errors of its own to raise

        self.what = what
        self.source = shown(str(source))
        self.hint = hint
        super().__init__(_sentence(what, self.source, hint))

    def add_source(self, source: str) -> None:
        """Say what was looked at, where that is not said yet."""
        if self.source:
            return
        from loadstone.transport.urls import shown

        self.source = shown(str(source))
        self.args = (_sentence(self.what, self.source, self.hint),)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by state, whatever the constructor of a subclass takes; a volume stays in its process."""
        state = {name: value for name, value in self.__dict__.items() if name != "volume"}
        return _restore, (type(self), self.args, state)


def _sentence(what: str, source: str, hint: str) -> str:
    text = f"{source}: {what}" if source else what
    return f"{text}. {hint}" if hint else text


def _restore(kind: type[LoadstoneError], args: tuple[Any, ...], state: dict[str, Any]) -> LoadstoneError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


class InvalidIdError(LoadstoneError):
    """An id or source that leads nowhere: no scheme, an unknown suffix, a frame that is not there."""


class UnknownSchemeError(LoadstoneError):
    """No installed plugin claims the scheme of an id."""

    def __init__(
        self, scheme: str, *, installed: Sequence[str] = (), source: str = "", hint: str = ""
    ) -> None:
        self.scheme = scheme
        self.installed = tuple(installed)
        known = ", ".join(self.installed) or "none"
        super().__init__(
            f"no installed plugin loads {scheme!r} (installed: {known})", source=source, hint=hint
        )


class SchemeConflictError(LoadstoneError):
    """Several loaders claim one scheme and nothing says which is meant."""

    def __init__(self, scheme: str, claimants: Sequence[str], *, hint: str = "") -> None:
        self.scheme = scheme
        self.claimants = tuple(claimants)
        chosen = self.claimants[0].split()[0]
        super().__init__(
            f"the scheme {scheme!r} is claimed by {' and by '.join(self.claimants)}",
            hint=hint or f'Decide with LOADSTONE_PREFER="{scheme}={chosen}" or uninstall all but one.',
        )


class PluginLoadError(LoadstoneError):
    """The plugin that claims a scheme could not be imported or is built for another plugin API."""

    def __init__(self, scheme: str, distribution: str, entry_point: str, reason: str) -> None:
        self.scheme = scheme
        self.distribution = distribution
        self.entry_point = entry_point
        super().__init__(
            f"the plugin {entry_point!r} of {distribution} for {scheme!r} failed to load: {reason}",
            hint=f"Repair or uninstall {distribution.split(maxsplit=1)[0]}; other schemes are not affected.",
        )


class PluginContractError(LoadstoneError):
    """A plugin does not keep its side of the contract: wrong record, wrong return value, wrong shape."""


class FetchError(LoadstoneError):
    """
    Bytes could not be had from a file or a server.

    Attributes
    ----------
    status : int or None
        HTTP status of the last answer, if there was one.
    attempts : int
        How often it was tried.
    retryable : bool
        Whether the same request may succeed later.
    """

    def __init__(
        self,
        what: str,
        *,
        source: str = "",
        hint: str = "",
        status: int | None = None,
        attempts: int = 1,
        retryable: bool = False,
    ) -> None:
        self.status = status
        self.attempts = attempts
        self.retryable = retryable
        super().__init__(what, source=source, hint=hint)


class SecurityError(LoadstoneError):
    """Refused: it would send a secret elsewhere, lower the protection, or reach out of where it belongs."""


class IntegrityError(LoadstoneError):
    """Bytes are short, too many, or disagree with the header that describes them."""


class DecodeError(LoadstoneError):
    """The bytes are there and complete, but cannot be decoded."""


class UnsupportedError(LoadstoneError):
    """A kind of object, or an encoding, that Loadstone does not turn into an image (named in the message)."""


class LimitError(LoadstoneError):
    """Larger than a limit of the settings; nothing was allocated for it."""


class GeometryError(LoadstoneError):
    """
    The images do not form the volume that was asked for, or its place in space is unknown.

    Attributes
    ----------
    report : GeometryReport or None
        Everything that was found, with its numbers.
    """

    def __init__(
        self, what: str, *, source: str = "", hint: str = "", report: GeometryReport | None = None
    ) -> None:
        self.report = report
        super().__init__(what, source=source, hint=hint)


class CacheFullError(LoadstoneError):
    """
    The memory budget cannot hold what was asked for, even after evicting everything evictable.

    Attributes
    ----------
    needed, free : int
        Bytes that were asked for, and bytes that could be had.
    """

    def __init__(self, needed: int, free: int, budget: int, *, source: str = "") -> None:
        self.needed = needed
        self.free = free
        self.budget = budget
        super().__init__(
            f"needs {needed:,} bytes, {free:,} of the budget of {budget:,} can be made free",
            source=source,
            hint="Release volumes, raise cache_bytes (LOADSTONE_CACHE_BYTES), or load with cache=False.",
        )


class LoadCancelled(LoadstoneError):  # noqa: N818 - an outcome that the caller asked for, not a fault
    """The load was cancelled before it was done."""

    def __init__(self, what: str = "the load was cancelled", *, source: str = "") -> None:
        super().__init__(what, source=source)


class LoadCycleError(LoadstoneError):
    """A load waits, directly or through others, for itself."""


class MetadataError(LoadstoneError):
    """What describes an image is missing, out of range or contradicts itself."""
