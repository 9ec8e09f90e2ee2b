"""Import one plugin, call its hooks, check what it returns; nothing of it is visible before all went well."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pluggy

from loadstone import hookspecs
from loadstone._plugins.index import IMAGES, VOLUMES, Candidate, PluginIndex
from loadstone._plugins.records import Registration, api_mismatch, faults
from loadstone.errors import LoadstoneError, PluginContractError, PluginLoadError
from loadstone.hookspecs import ImageLoader, MetadataProvider, VolumeLoader
from loadstone.image import LoaderInfo

if TYPE_CHECKING:
    from pluggy import HookimplOpts

__all__ = ["ActivationError", "ActivePlugin", "HookManager", "activate"]

_PREFIX = "loadstone_"
_MARK = "loadstone_impl"

L = TypeVar("L", bound="ImageLoader | VolumeLoader")
T = TypeVar("T")


class ActivationError(Exception):
    """
    A plugin cannot be used; remembered, and told to everyone who asks for one of its schemes.

    Parameters
    ----------
    reason
        What is wrong with it.
    contract
        Whether it breaks the contract, rather than being broken in itself.
    hint
        What its author has to do.
    """

    def __init__(self, reason: str, *, contract: bool = False, hint: str = "") -> None:
        self.reason = reason
        self.contract = contract
        self.hint = hint
        super().__init__(reason)

    def told_to(self, candidate: Candidate) -> LoadstoneError:
        """Return a new error for the claim that was used: one raised twice would collect tracebacks."""
        if self.contract:
            source = f"{candidate.claimant} ({candidate.value})"
            return PluginContractError(self.reason, source=source, hint=self.hint)
        return PluginLoadError(candidate.name, candidate.claimant, candidate.value, self.reason)


class HookManager(pluggy.PluginManager):
    """A plugin manager that knows the hooks and looks only at what may implement one."""

    def __init__(self) -> None:
        super().__init__("loadstone")
        self.add_hookspecs(hookspecs)

    def parse_hookimpl_opts(self, plugin: object, name: str) -> HookimplOpts | None:
        """Leave other attributes alone: getting a lazy one would import what it stands for (pluggy < 1.7)."""
        if name.startswith(_PREFIX) or _is_marked(plugin, name):
            return super().parse_hookimpl_opts(plugin, name)
        return None


def _is_marked(plugin: object, name: str) -> bool:
    """Whether an attribute is a function with the mark, so that ``@hookimpl def lodstone_...`` is noticed."""
    found = inspect.getattr_static(plugin, name, None)
    function = found.__func__ if isinstance(found, staticmethod | classmethod) else found
    return isinstance(function, FunctionType) and hasattr(function, _MARK)


@dataclass(frozen=True, slots=True)
class ActivePlugin:
    """A plugin that was imported and found right."""

    plugin: object
    """The module or object with the hooks."""
    name: str
    """Distribution and entry-point value."""
    hooks: HookManager
    """Calls the hooks of this plugin alone."""
    images: dict[str, Registration[ImageLoader]]
    """Its image loaders by scheme."""
    volumes: dict[str, Registration[VolumeLoader]]
    """Its volume loaders by scheme."""
    providers: tuple[MetadataProvider, ...]
    """Its metadata overrides."""


def activate(candidate: Candidate, index: PluginIndex) -> ActivePlugin:
    """
    Import the plugin that a claim names and check it.

    Raises
    ------
    ActivationError
        If it cannot be imported, breaks the contract or is built for another plugin API. A plugin that raises
        `SystemExit` at import counts as broken, too: it must not end the program of somebody who asked for an
        image.
    """
    info = LoaderInfo(candidate.value, candidate.distribution, candidate.version)
    plugin = _guarded(candidate.load, "its import raised")
    name = ":".join(candidate.key)
    hooks = _registered(plugin, name)
    relay = hooks.hook
    images = _records(relay.loadstone_image_loaders, ImageLoader)
    volumes = _records(relay.loadstone_volume_loaders, VolumeLoader)
    return ActivePlugin(
        plugin=plugin,
        name=name,
        hooks=hooks,
        images=_by_scheme(images, info, index.declared(candidate.key, IMAGES), IMAGES),
        volumes=_by_scheme(volumes, info, index.declared(candidate.key, VOLUMES), VOLUMES),
        providers=tuple(_records(relay.loadstone_metadata_providers, MetadataProvider)),
    )


def _guarded(call: Callable[[], T], what: str) -> T:
    """Run code of the plugin; KeyboardInterrupt and the like pass, and the plugin may be tried again."""
    try:
        return call()
    except ActivationError:
        raise
    except (Exception, SystemExit) as error:
        raise ActivationError(f"{what} {type(error).__name__}: {error}") from error


def _registered(plugin: object, name: str) -> HookManager:
    """Register the plugin with a manager of its own, so that a faulty one leaves no trace anywhere else."""
    hooks = HookManager()
    if plugin is None:
        raise ActivationError("the entry point names None, which has no hooks", contract=True)
    try:
        hooks.register(plugin, name)
        hooks.check_pending()
    except pluggy.PluginValidationError as error:
        raise ActivationError(
            f"a hook is not one of Loadstone's: {error}",
            contract=True,
            hint=f"The hooks are {', '.join(_hook_names())}; see loadstone.hookspecs for their arguments.",
        ) from error
    return hooks


def _hook_names() -> list[str]:
    return sorted(name for name in vars(hookspecs) if name.startswith(_PREFIX))


def _records(hook: Callable[[], list[object]], kind: type[T]) -> list[T]:
    name = cast("Any", hook).name
    return _guarded(lambda: list(_checked(hook(), name, kind)), f"{name} raised")


def _checked(answers: list[object], hook: str, kind: type[T]) -> Iterator[T]:
    for answer in answers:
        if not isinstance(answer, Iterable):
            raise ActivationError(
                f"{hook} returned {answer!r}, not an iterable of {kind.__name__} records", contract=True
            )
        for record in answer:
            if not isinstance(record, kind):
                raise ActivationError(f"{hook} gave {record!r}, not a record {kind.__name__}", contract=True)
            yield record


def _by_scheme(
    records: list[L], info: LoaderInfo, declared: frozenset[str], group: str
) -> dict[str, Registration[L]]:
    registrations: dict[str, Registration[L]] = {}
    for record in records:
        if mismatch := api_mismatch(record):
            raise ActivationError(mismatch)
        for fault in faults(record):
            raise ActivationError(f"in its record for {record.scheme!r} {fault}", contract=True)
        scheme = record.scheme.lower()
        if scheme in registrations:
            raise ActivationError(f"it has two records for the scheme {scheme!r} in {group}", contract=True)
        registrations[scheme] = Registration(record, info)
    _compare(frozenset(registrations), declared, group)
    return registrations


def _compare(given: frozenset[str], declared: frozenset[str], group: str) -> None:
    """Hold the records against the entry points: discovery promised exactly these schemes."""
    if undeclared := given - declared:
        raise ActivationError(
            f"it has records for {_listed(undeclared)}, which its entry points in {group} do not name",
            contract=True,
            hint=f"Declare the scheme in [project.entry-points.{group!r}] and install the package again.",
        )
    if missing := declared - given:
        raise ActivationError(
            f"its entry points in {group} name {_listed(missing)}, for which it has no record",
            contract=True,
            hint="Is the hook there, is it marked with @loadstone.hookimpl, does it return every scheme?",
        )


def _listed(schemes: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(schemes)))
