"""The installed plugins as one look at the environment found them: which are active, which are broken."""

from __future__ import annotations

import threading
import warnings
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from loadstone._plugins.activation import ActivationError, ActivePlugin, HookManager, activate
from loadstone._plugins.index import (
    IMAGES,
    PLUGINS,
    VOLUMES,
    Candidate,
    PluginIndex,
    PluginKey,
    forget_folders,
)
from loadstone._plugins.policy import PluginPolicy
from loadstone._plugins.precedence import choose
from loadstone._plugins.turns import TurnCycleError, Turns
from loadstone.boundary import run_isolated
from loadstone.errors import PluginContractError, PluginLoadError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loadstone._plugins.records import Registration
    from loadstone.events import LoadFinished
    from loadstone.hookspecs import ImageLoader, MetadataProvider, VolumeLoader
    from loadstone.transport import HttpRequest

__all__ = ["Installation", "InstalledPlugins"]


L = TypeVar("L", bound="ImageLoader | VolumeLoader")


class InstalledPlugins:
    """
    Activates plugins when they are first used, and keeps them.

    Looking again (`Registry.refresh`) makes a new one; an activation that is under way then ends in the old
    one and is forgotten with it.

    Parameters
    ----------
    index
        What is installed.
    policy
        What may be used; None: what the environment says at first use, so that a malformed variable does not
        break the import of Loadstone.
    """

    def __init__(self, index: PluginIndex, policy: PluginPolicy | None) -> None:
        self.index = index
        self.images: dict[str, Registration[ImageLoader]] = {}
        """Loaders that were used, by scheme: read without a lock."""
        self.volumes: dict[str, Registration[VolumeLoader]] = {}
        """The same for volumes."""
        self.providers: tuple[MetadataProvider, ...] = ()
        """Metadata overrides of the active plugins, the first to be asked first."""
        self._policy = policy
        self._turns = Turns()
        self._lock = threading.Lock()
        self._active: dict[PluginKey, ActivePlugin] = {}
        self._failures: dict[PluginKey, ActivationError] = {}
        self._hooks = HookManager()
        self._prepares = False
        self._observers: tuple[ActivePlugin, ...] = ()
        self._has_schemeless = False
        self._has_all = False

    @property
    def policy(self) -> PluginPolicy:
        """What may be used; raises `LoadstoneError` for a malformed environment variable."""
        if self._policy is None:
            self._policy = PluginPolicy.from_environment()
        return self._policy

    def forget_threads(self) -> None:
        """Start with free locks: in a forked child the threads that held them are gone."""
        self._turns = Turns()
        self._lock = threading.Lock()

    def is_active(self, key: PluginKey) -> bool:
        """Whether the plugin was imported and found right."""
        return key in self._active

    def failure(self, key: PluginKey) -> str:
        """Say why the plugin could not be activated; empty if it was not tried or went well."""
        failed = self._failures.get(key)
        return failed.reason if failed else ""

    def is_activating(self) -> bool:
        """Whether this thread is inside the import of a plugin."""
        return self._turns.held_here()

    def image_loader(self, scheme: str) -> Registration[ImageLoader] | None:
        """Activate the plugin that serves a scheme of images; None if nobody claims it."""
        return self._loader(IMAGES, scheme, self.images, lambda plugin: plugin.images)

    def volume_loader(self, scheme: str) -> Registration[VolumeLoader] | None:
        """Activate the plugin that serves a scheme of volumes; None if nobody claims it."""
        return self._loader(VOLUMES, scheme, self.volumes, lambda plugin: plugin.volumes)

    def _loader(
        self,
        group: str,
        scheme: str,
        used: dict[str, Registration[L]],
        of: Callable[[ActivePlugin], Mapping[str, Registration[L]]],
    ) -> Registration[L] | None:
        self._activate_all_if_strict()
        candidate = choose(self.index, self.policy, group, scheme)
        if candidate is None:
            return None
        used[scheme] = found = of(self._activate(candidate))[scheme]
        return found

    def activate_schemeless(self) -> None:
        """
        Import the plugins without a scheme, once.

        A broken one is a `RuntimeWarning`, after all others are active, and is listed.

        Raises
        ------
        ExceptionGroup
            If a plugin is broken and LOADSTONE_STRICT is on.
        """
        if self._has_schemeless:
            return
        self._activate_all_if_strict()
        try:
            with self._turns.of(PLUGINS):
                broken = self._broken_schemeless()
        except TurnCycleError:
            return  # one of them loads something while it is imported: it has to do without the others
        for error in broken:
            warnings.warn(str(error), RuntimeWarning, stacklevel=3)

    def _broken_schemeless(self) -> list[PluginLoadError | PluginContractError]:
        """Activate them unless another thread did meanwhile; return what is wrong with the broken ones."""
        broken = [] if self._has_schemeless else self._broken_among(PLUGINS)
        self._has_schemeless = True
        return broken

    def _activate_all_if_strict(self) -> None:
        if self._has_all or not self.policy.strict or self.is_activating():
            return
        broken: list[Exception] = list(self._broken_among(IMAGES, VOLUMES, PLUGINS))
        broken += [
            PluginLoadError(each.name, each.claimant, each.value, each.fault)
            for each in self.index.candidates
            if each.fault and not self.policy.refusal(each.distribution)
        ]
        if broken:
            raise ExceptionGroup(f"broken plugins: {len(broken)} (LOADSTONE_STRICT is on)", broken)
        self._has_all = True

    def _broken_among(self, *groups: str) -> list[PluginLoadError | PluginContractError]:
        """Activate every plugin of the groups that may be used."""
        plugins = {
            each.key: each
            for each in self.index.candidates
            if each.group in groups and not each.fault and not self.policy.refusal(each.distribution)
        }
        broken = []
        for candidate in plugins.values():
            try:
                self._activate(candidate)
            except (PluginLoadError, PluginContractError) as error:
                broken.append(error)
        return broken

    def _activate(self, candidate: Candidate) -> ActivePlugin:
        if active := self._active.get(candidate.key):
            return active
        try:
            with self._turns.of(candidate.key):
                return self._active.get(candidate.key) or self._activate_once(candidate)
        except TurnCycleError as error:
            raise PluginLoadError(
                candidate.name, candidate.claimant, candidate.value, "it is used while it is being imported"
            ) from error

    def _activate_once(self, candidate: Candidate) -> ActivePlugin:
        failure = self._failures.get(candidate.key)
        if failure is None:
            try:
                plugin = activate(candidate, self.index)
            except ActivationError as error:
                failure = self._failures[candidate.key] = error
            else:
                self._commit(candidate.key, plugin)
                return plugin
        raise failure.told_to(candidate) from failure.__cause__

    def _commit(self, key: PluginKey, plugin: ActivePlugin) -> None:
        with self._lock:
            if not self._hooks.is_registered(plugin.plugin):  # two entry-point values can name one object
                self._hooks.register(plugin.plugin, plugin.name)
                self._prepares = bool(self._hooks.hook.loadstone_prepare_request.get_hookimpls())
                if plugin.hooks.hook.loadstone_load_finished.get_hookimpls():
                    self._observers += (plugin,)
                providers = (*reversed(plugin.providers), *self.providers)
                self.providers = tuple(sorted(providers, key=lambda provider: -provider.priority))
            self._active[key] = plugin

    def prepare_request(self, request: HttpRequest) -> HttpRequest:
        """
        Let plugins sign or authorise a request; the first that returns one decides.

        Raises
        ------
        PluginContractError
            If a plugin returns something else than a request.
        """
        if not self._prepares:
            return request
        prepared = self._hooks.hook.loadstone_prepare_request(request=request)
        if prepared is None:
            return request
        if not isinstance(prepared, type(request)):
            raise PluginContractError(
                f"loadstone_prepare_request returned {type(prepared).__name__}, not {type(request).__name__}",
                source=", ".join(sorted(name for name, _ in self._hooks.list_name_plugin())),
                hint="Return a changed copy of the request, or None to pass.",
            )
        return prepared

    def load_finished(self, event: LoadFinished) -> None:
        """Tell the observers; one that raises is logged and keeps the others from nothing."""
        for observer in self._observers:
            told = partial(observer.hooks.hook.loadstone_load_finished, event=event)
            run_isolated(f"the observer {observer.name}", [told])


class Installation:
    """
    The latest look at what is installed.

    Parameters
    ----------
    index
        What is installed; None: look on `sys.path`, now and at each `refresh`.
    policy
        What may be used; None: what the environment says, now and after each `refresh`.
    """

    def __init__(self, index: PluginIndex | None, policy: PluginPolicy | None) -> None:
        self._index = index
        self._policy = policy
        self.plugins = self._look()
        """The plugins that were found."""

    def refresh(self) -> None:
        """Look again."""
        forget_folders()
        self.plugins = self._look()

    def _look(self) -> InstalledPlugins:
        return InstalledPlugins(PluginIndex.scan() if self._index is None else self._index, self._policy)
