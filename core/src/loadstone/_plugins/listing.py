"""The plugins as a list for people: what is installed, in use, disabled, in conflict, broken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

from loadstone._plugins.index import IMAGES, VOLUMES, Candidate
from loadstone._plugins.precedence import choose
from loadstone.errors import LoadstoneError, SchemeConflictError

if TYPE_CHECKING:
    from loadstone._plugins.installed import InstalledPlugins
    from loadstone._plugins.run_time import RunTimeLoaders
    from loadstone.hookspecs import ImageLoader, VolumeLoader

__all__ = ["PluginInfo", "installed_plugins", "registered_loaders"]

L = TypeVar("L", bound="ImageLoader | VolumeLoader")

State: TypeAlias = Literal["available", "active", "disabled", "conflict", "broken"]


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """One claim of an installed distribution, or one run-time registration."""

    distribution: str
    """Normalised name of the distribution; empty for one registered at run time."""
    version: str
    """Version of the distribution."""
    group: str
    """Entry-point group."""
    name: str
    """Scheme, suffix, or name of a plugin or command."""
    value: str
    """What is imported; for a suffix the scheme."""
    state: State
    """``available`` until it is used, then ``active``; else ``disabled``, ``conflict`` or ``broken``."""
    reason: str = ""
    """Why it is disabled, in conflict or broken."""


def installed_plugins(installed: InstalledPlugins) -> tuple[PluginInfo, ...]:
    """List what is installed without importing anything."""
    return tuple(_info(installed, candidate) for candidate in installed.index.candidates)


def registered_loaders(loaders: RunTimeLoaders[L], group: str) -> tuple[PluginInfo, ...]:
    """List what the program registered."""
    return tuple(
        PluginInfo("", "", group, scheme, registration.info.plugin, "active", "registered at run time")
        for layer in loaders.layers
        for scheme, registration in sorted(layer.top.items())
    )


def _info(installed: InstalledPlugins, claim: Candidate) -> PluginInfo:
    state, reason = _state(installed, claim)
    return PluginInfo(claim.distribution, claim.version, claim.group, claim.name, claim.value, state, reason)


def _state(installed: InstalledPlugins, claim: Candidate) -> tuple[State, str]:
    if reason := claim.fault:
        return "broken", reason
    if reason := installed.policy.refusal(claim.distribution):
        return "disabled", reason
    if reason := installed.failure(claim.key):
        return "broken", reason
    if claim.group in (IMAGES, VOLUMES):
        try:
            chosen = choose(installed.index, installed.policy, claim.group, claim.name)
        except SchemeConflictError as error:
            return "conflict", str(error)
        except LoadstoneError as error:
            return "broken", str(error)
        if chosen is not None and chosen != claim:
            return "disabled", f"{chosen.distribution} is preferred for {claim.name!r}"
    return ("active" if installed.is_active(claim.key) else "available"), ""
