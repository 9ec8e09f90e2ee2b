"""From a scheme to the loader that serves it."""

from __future__ import annotations

import importlib
import os
import weakref
from collections.abc import Callable
from dataclasses import replace as changed
from functools import cache, partial
from typing import TYPE_CHECKING, TypeVar

from loadstone._plugins.index import COMMANDS, IMAGES, VOLUMES, Candidate, PluginIndex
from loadstone._plugins.installed import InstalledPlugins
from loadstone._plugins.listing import PluginInfo, installed_plugins
from loadstone._plugins.policy import PluginPolicy
from loadstone._plugins.precedence import allowed_claims
from loadstone._plugins.records import (
    ImageRegistration,
    Registration,
    VolumeRegistration,
    api_mismatch,
    faults,
)
from loadstone._plugins.run_time import RegistrationHandle, RunTimeLoaders
from loadstone._plugins.suffixes import SuffixTable
from loadstone._plugins.unknown import unknown_scheme
from loadstone.errors import LoadstoneError, PluginContractError
from loadstone.hookspecs import ImageLoader, VolumeLoader
from loadstone.image import LoaderInfo

if TYPE_CHECKING:
    from loadstone.events import LoadFinished
    from loadstone.hookspecs import ImageLoad, ImageLoadMany, MetadataLoad, MetadataProvider, VolumeOpen
    from loadstone.ids import ImageId
    from loadstone.transport import HttpRequest

__all__ = ["Registry", "default_registry"]

L = TypeVar("L", ImageLoader, VolumeLoader)

_registries: weakref.WeakSet[Registry] = weakref.WeakSet()


class Registry:
    """
    The loaders that can be used: those of installed plugins, and on top of them those of the program.

    Plugins are imported when one of their schemes is first used, each one once; from then on a look-up is a few
    dictionary look-ups without a lock.

    Parameters
    ----------
    index
        What is installed; None: what is installed on `sys.path`. ``PluginIndex()`` isolates.
    policy
        What may be used; None: what the ``LOADSTONE_*`` variables say at first use.
    parent
        Put this registry on top of another one: it sees everything of the parent, which does not see what is
        registered here. Then `index` and `policy` are the parent's.
    """

    def __init__(
        self,
        *,
        index: PluginIndex | None = None,
        policy: PluginPolicy | None = None,
        parent: Registry | None = None,
    ) -> None:
        self._images: RunTimeLoaders[ImageLoader] = RunTimeLoaders()
        self._volumes: RunTimeLoaders[VolumeLoader] = RunTimeLoaders()
        self._image_layers: tuple[RunTimeLoaders[ImageLoader], ...] = (self._images,)
        self._volume_layers: tuple[RunTimeLoaders[VolumeLoader], ...] = (self._volumes,)
        if parent is None:
            self._plugins = _Plugins(index, policy)
        else:
            self._plugins = parent._plugins
            self._image_layers += parent._image_layers
            self._volume_layers += parent._volume_layers
        _registries.add(self)

    def child(self) -> Registry:
        """Return a registry on top of this one."""
        return Registry(parent=self)

    def refresh(self) -> None:
        """
        Look again what is installed; run-time registrations stay.

        Remembered failures are dropped, and every plugin is activated anew when it is used next. A module that was
        imported stays imported: a new version of it needs a new process.
        """
        self._plugins.refresh()

    def image_loader(self, scheme: str) -> ImageRegistration:
        """
        Return the loader of a scheme of images; imports its plugin at first use.

        Raises
        ------
        UnknownSchemeError, SchemeConflictError, PluginLoadError, PluginContractError
            If nobody claims it, several do, or the plugin is broken.
        LoadstoneError
            If a ``LOADSTONE_*`` variable is malformed.
        ExceptionGroup
            If LOADSTONE_STRICT is on and any plugin is broken.
        """
        for layer in self._image_layers:
            if found := layer.top.get(scheme):
                return found
        installed = self._plugins.installed
        return installed.images.get(scheme) or self._slow_image_loader(installed, scheme.lower())

    def volume_loader(self, scheme: str) -> VolumeRegistration:
        """Return the loader of a scheme of volumes; as `image_loader`."""
        for layer in self._volume_layers:
            if found := layer.top.get(scheme):
                return found
        installed = self._plugins.installed
        return installed.volumes.get(scheme) or self._slow_volume_loader(installed, scheme.lower())

    def _slow_image_loader(self, installed: InstalledPlugins, scheme: str) -> ImageRegistration:
        found = _topmost(self._image_layers, scheme) or installed.image_loader(scheme)
        if found := found or _fall_back(self._image_layers, scheme):
            return found
        raise unknown_scheme(
            scheme,
            self.image_schemes(),
            other=self.volume_schemes(),
            index=installed.index,
            policy=installed.policy,
            group=IMAGES,
        )

    def _slow_volume_loader(self, installed: InstalledPlugins, scheme: str) -> VolumeRegistration:
        found = _topmost(self._volume_layers, scheme) or installed.volume_loader(scheme)
        if found := found or _fall_back(self._volume_layers, scheme):
            return found
        raise unknown_scheme(
            scheme,
            self.volume_schemes(),
            other=self.image_schemes(),
            index=installed.index,
            policy=installed.policy,
            group=VOLUMES,
        )

    def image_schemes(self) -> tuple[str, ...]:
        """Return the schemes of images that can be used, sorted; imports nothing."""
        return _schemes(self._image_layers, self._plugins.installed, IMAGES)

    def volume_schemes(self) -> tuple[str, ...]:
        """Return the schemes of volumes that can be used, sorted; imports nothing."""
        return _schemes(self._volume_layers, self._plugins.installed, VOLUMES)

    def to_id(self, source: str | os.PathLike[str]) -> str:
        """
        Return the id of a path or URL, by its suffix; an id is returned unchanged.

        Paths become absolute, so that the id means the same wherever it is used, and ``?``, ``#``, ``%`` in them are
        percent-encoded; `loadstone.ids.path_of` is the way back.

        Raises
        ------
        InvalidIdError
            If the suffix is unknown or stands for several schemes.
        """
        installed = self._plugins.installed
        return SuffixTable(installed.index, installed.policy).to_id(source)

    def register_image_loader(
        self,
        scheme: str,
        loader: ImageLoad | ImageLoader,
        *,
        replace: bool = False,
        load_many: ImageLoadMany | None = None,
        metadata: MetadataLoad | None = None,
        canonical: Callable[[ImageId], str] | None = None,
        batch_size: int | None = None,
        summary: str = "",
    ) -> RegistrationHandle:
        """
        Register a loader of images for a scheme.

        Parameters
        ----------
        scheme
            The scheme.
        loader
            A function that loads one image, or a whole record; with a record the other fields are taken from it.
        replace
            Whether it may take the place of a plugin or of an earlier registration.
        load_many, metadata, canonical, batch_size, summary
            As in `ImageLoader`.

        Returns
        -------
        RegistrationHandle
            Takes it back; also as a context manager.

        Raises
        ------
        LoadstoneError
            If the scheme is claimed already and `replace` is false.
        PluginContractError
            If the scheme is malformed or belongs to the core, or a field is not what it has to be.
        """
        if isinstance(loader, ImageLoader):
            record = changed(loader, scheme=scheme)
        else:
            record = ImageLoader(
                scheme,
                loader,
                load_many=load_many,
                metadata=metadata,
                canonical=canonical,
                batch_size=batch_size,
                summary=summary,
            )
        made_by = record.load
        return self._register(self._image_layers, IMAGES, _registration(record, made_by), replace=replace)

    def register_volume_loader(
        self, scheme: str, loader: VolumeOpen | VolumeLoader, *, replace: bool = False, summary: str = ""
    ) -> RegistrationHandle:
        """Register a loader of volumes for a scheme; as `register_image_loader`."""
        if isinstance(loader, VolumeLoader):
            record = changed(loader, scheme=scheme)
        else:
            record = VolumeLoader(scheme, loader, summary=summary)
        made_by = record.open
        return self._register(self._volume_layers, VOLUMES, _registration(record, made_by), replace=replace)

    def _register(
        self,
        layers: tuple[RunTimeLoaders[L], ...],
        group: str,
        registration: Registration[L],
        *,
        replace: bool,
    ) -> RegistrationHandle:
        scheme = registration.record.scheme
        claimed_by = "" if replace else self._claimed_by(layers, group, scheme)
        if claimed_by or not layers[0].add(scheme, registration, replace=replace):
            raise LoadstoneError(
                f"the scheme {scheme!r} is claimed by {claimed_by or 'an earlier registration'}",
                hint="Pass replace=True to put this loader in its place.",
            )
        return RegistrationHandle(scheme, partial(layers[0].remove, scheme, registration))

    def _claimed_by(self, layers: tuple[RunTimeLoaders[L], ...], group: str, scheme: str) -> str:
        if _topmost(layers, scheme):
            return "an earlier registration"
        installed = self._plugins.installed
        claims = allowed_claims(installed.index, installed.policy, group, scheme)
        return " and by ".join(claim.claimant for claim in claims)

    def unregister_image_loader(self, scheme: str) -> None:
        """
        Take back the last loader that was registered here for a scheme; what it replaced counts again.

        Raises
        ------
        LoadstoneError
            If none was registered here. Installed plugins are switched off with ``LOADSTONE_DISABLE_PLUGINS``.
        """
        _unregister(self._images, scheme)

    def unregister_volume_loader(self, scheme: str) -> None:
        """Take back a loader of volumes; as `unregister_image_loader`."""
        _unregister(self._volumes, scheme)

    def unregister_all_image_loaders(self) -> None:
        """Take back all loaders of images that were registered here, the one for unknown schemes as well."""
        self._images.clear()

    def unregister_all_volume_loaders(self) -> None:
        """Take back all loaders of volumes that were registered here, the one for unknown schemes as well."""
        self._volumes.clear()

    def register_unknown_image_loader(self, load: ImageLoad | None) -> ImageLoad | None:
        """
        Set what loads images of schemes that nobody claims, and return what did so far.

        Parameters
        ----------
        load
            A function as in `ImageLoader`; None: unknown schemes are an error.
        """
        previous = self._images.unknown
        self._images.unknown = load and _registration(ImageLoader("unknown", load), load)
        return previous and previous.record.load

    def register_unknown_volume_loader(self, open: VolumeOpen | None) -> VolumeOpen | None:
        """Set what loads volumes of schemes that nobody claims, and return what did so far."""
        previous = self._volumes.unknown
        self._volumes.unknown = open and _registration(VolumeLoader("unknown", open), open)
        return previous and previous.record.open

    def activate_schemeless(self) -> None:
        """
        Import the plugins without a scheme, once: call it before the first load of anything.

        A broken one is a `RuntimeWarning` and is listed.
        """
        self._plugins.installed.activate_schemeless()

    def is_activating(self) -> bool:
        """
        Whether this thread is inside the import of a plugin.

        To wait there for another thread that needs the same plugin would never end.
        """
        return self._plugins.installed.is_activating()

    def metadata_providers(self) -> tuple[MetadataProvider, ...]:
        """Return the metadata overrides of active plugins: higher priority first, then the later activated."""
        return self._plugins.installed.providers

    def prepare_request(self, request: HttpRequest) -> HttpRequest:
        """Let active plugins sign or authorise a request; costs nothing if none of them does."""
        return self._plugins.installed.prepare_request(request)

    def load_finished(self, event: LoadFinished) -> None:
        """Tell active plugins that a load ended; costs nothing if none of them observes."""
        self._plugins.installed.load_finished(event)

    def commands(self) -> tuple[Candidate, ...]:
        """Return the entry points of CLI commands that may be used; ``.load()`` imports one."""
        installed = self._plugins.installed
        return tuple(
            each
            for each in installed.index.candidates
            if each.group == COMMANDS and not each.fault and not installed.policy.refusal(each.distribution)
        )

    def plugins(self) -> tuple[PluginInfo, ...]:
        """List what is installed and what is registered at run time; imports nothing."""
        return (
            *installed_plugins(self._plugins.installed),
            *_listed(self._image_layers, IMAGES),
            *_listed(self._volume_layers, VOLUMES),
        )

    def _after_fork(self) -> None:
        self._plugins.installed.forget_threads()
        self._images.forget_threads()
        self._volumes.forget_threads()


class _Plugins:
    """The latest look at what is installed; shared by a registry and those on top of it."""

    def __init__(self, index: PluginIndex | None, policy: PluginPolicy | None) -> None:
        self._index = index
        self._policy = policy
        self.installed = self._look()

    def refresh(self) -> None:
        importlib.invalidate_caches()
        self.installed = self._look()

    def _look(self) -> InstalledPlugins:
        return InstalledPlugins(PluginIndex.scan() if self._index is None else self._index, self._policy)


def _topmost(layers: tuple[RunTimeLoaders[L], ...], scheme: str) -> Registration[L] | None:
    return next((layer.top[scheme] for layer in layers if scheme in layer.top), None)


def _fall_back(layers: tuple[RunTimeLoaders[L], ...], scheme: str) -> Registration[L] | None:
    """Return the loader for unknown schemes as if it were registered for this one."""
    unknown = next((layer.unknown for layer in layers if layer.unknown), None)
    return unknown and changed(unknown, record=changed(unknown.record, scheme=scheme))


def _schemes(
    layers: tuple[RunTimeLoaders[L], ...], installed: InstalledPlugins, group: str
) -> tuple[str, ...]:
    claimed = {
        scheme
        for scheme in installed.index.names(group)
        if allowed_claims(installed.index, installed.policy, group, scheme)
    }
    return tuple(sorted(claimed.union(*(layer.top for layer in layers))))


def _registration(record: L, function: Callable[..., object]) -> Registration[L]:
    """Check a record that the program made and say that it came from there."""
    for fault in (api_mismatch(record), *faults(record)):
        if fault:
            raise PluginContractError(fault, source=f"registration of {record.scheme!r}")
    name = getattr(function, "__qualname__", type(function).__qualname__)
    plugin = f"{getattr(function, '__module__', type(function).__module__)}:{name}"
    return Registration(changed(record, scheme=record.scheme.lower()), LoaderInfo(plugin))


def _unregister(loaders: RunTimeLoaders[L], scheme: str) -> None:
    if not loaders.pop(scheme.lower()):
        raise LoadstoneError(
            f"no loader was registered here for the scheme {scheme!r}",
            hint="An installed plugin is switched off with LOADSTONE_DISABLE_PLUGINS.",
        )


def _listed(layers: tuple[RunTimeLoaders[L], ...], group: str) -> tuple[PluginInfo, ...]:
    return tuple(
        PluginInfo("", "", group, scheme, registration.info.plugin, "active", "registered at run time")
        for layer in layers
        for scheme, registration in sorted(layer.top.items())
    )


def _forget_threads() -> None:
    """Locks that another thread held when the process was forked would never be free in the child."""
    for registry in list(_registries):
        registry._after_fork()  # noqa: SLF001 - the hook is registered once, for all registries


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)


@cache
def default_registry() -> Registry:
    """Return the registry of the process; scans what is installed at the first call."""
    return Registry()
