"""What the user says about plugins: which may be used, which is meant when several claim the same."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from loadstone.errors import LoadstoneError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["PluginPolicy", "normalised"]

_DISTRIBUTION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\Z")
_ON = frozenset({"1", "true", "yes", "on"})
_OFF = frozenset({"", "0", "false", "no", "off"})


def normalised(name: str) -> str:
    """Return the name of a distribution as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


@dataclass(frozen=True, slots=True)
class PluginPolicy:
    """
    Which installed plugins may be used and which is preferred.

    Distributions are named as they are installed (``loadstone-nifti``); case, ``-``, ``_`` and ``.`` do not
    matter.
    """

    only: frozenset[str] | None = None
    """Distributions that may be used; None: all of them, empty: none."""
    disabled: frozenset[str] = frozenset()
    """Distributions that may not be used, even if `only` has them."""
    prefer: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Scheme (or suffix) to the distribution that is meant when several claim it."""
    strict: bool = False
    """Whether every plugin is imported at the first use of one, and a broken one is an error."""

    def __post_init__(self) -> None:
        """Bring names into the form in which they are compared."""
        if self.only is not None:
            object.__setattr__(self, "only", frozenset(map(normalised, self.only)))
        object.__setattr__(self, "disabled", frozenset(map(normalised, self.disabled)))
        preferred = {name.lower(): normalised(chosen) for name, chosen in self.prefer.items()}
        object.__setattr__(self, "prefer", preferred)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """
        Read the switches from environment variables.

        ``LOADSTONE_PLUGINS`` and ``LOADSTONE_DISABLE_PLUGINS`` are names of distributions with commas between
        them (the first one set but empty: none), ``LOADSTONE_PREFER`` is ``scheme=distribution`` with commas
        between, and ``LOADSTONE_STRICT`` is on with 1, true, yes, on and off with 0, false, no, off or
        nothing.

        Parameters
        ----------
        environment
            In place of `os.environ`.

        Raises
        ------
        LoadstoneError
            If a variable cannot be understood; the message names it.
        """
        environment = os.environ if environment is None else environment
        only = environment.get("LOADSTONE_PLUGINS")
        return cls(
            only=None if only is None else frozenset(_distributions("LOADSTONE_PLUGINS", only)),
            disabled=frozenset(
                _distributions("LOADSTONE_DISABLE_PLUGINS", environment.get("LOADSTONE_DISABLE_PLUGINS", ""))
            ),
            prefer=_preferences("LOADSTONE_PREFER", environment.get("LOADSTONE_PREFER", "")),
            strict=_switch("LOADSTONE_STRICT", environment.get("LOADSTONE_STRICT", "")),
        )

    def refusal(self, distribution: str) -> str:
        """Say why a distribution may not be used; empty if it may."""
        name = normalised(distribution)
        if name in self.disabled:
            return "disabled by LOADSTONE_DISABLE_PLUGINS or the session's policy"
        if self.only is not None and name not in self.only:
            return "not among LOADSTONE_PLUGINS or the session's policy"
        return ""


def _items(text: str) -> Iterable[str]:
    return filter(None, map(str.strip, text.split(",")))


def _distributions(variable: str, text: str) -> Iterable[str]:
    for name in _items(text):
        if not _DISTRIBUTION.match(name):
            raise LoadstoneError(
                f"{variable}={text!r} has {name!r}, which is no name of a distribution",
                hint="Write names as pip does, with commas between them: acme-nifti,loadstone-web",
            )
        yield name


def _preferences(variable: str, text: str) -> dict[str, str]:
    preferences: dict[str, str] = {}
    for item in _items(text):
        name, equals, distribution = (part.strip() for part in item.partition("="))
        if not (name and equals and _DISTRIBUTION.match(distribution)):
            raise LoadstoneError(
                f"{variable}={text!r} has {item!r}, which is not scheme=distribution",
                hint="Write it as nifti=acme-nifti,web=loadstone-web",
            )
        if preferences.setdefault(name.lower(), distribution) != distribution:
            raise LoadstoneError(
                f"{variable}={text!r} prefers two distributions for {name!r}", hint="Keep one of them."
            )
    return preferences


def _switch(variable: str, text: str) -> bool:
    word = text.strip().lower()
    if word not in _ON | _OFF:
        raise LoadstoneError(f"{variable}={text!r} is neither on nor off", hint="Write 1 or 0.")
    return word in _ON
