"""From a scheme to the loader that serves it."""

from __future__ import annotations

import os
import weakref
from dataclasses import replace as changed
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from loadstone._plugins.index import COMMANDS, IMAGES, VOLUMES, Candidate, PluginIndex
from loadstone._plugins.installed import Installation
from loadstone._plugins.listing import PluginInfo, installed_plugins, registered_loaders
from loadstone._plugins.precedence import allowed_claims, allowed_names
from loadstone._plugins.records import ImageRegistration, Registration, VolumeRegistration, registration_of
from loadstone._plugins.run_time import RegistrationHandle, RunTimeLoaders, already_claimed
from loadstone._plugins.suffixes import SuffixTable
from loadstone._plugins.unknown import unknown_scheme
from loadstone.hookspecs import ImageLoader, VolumeLoader

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from loadstone._plugins.policy import PluginPolicy
    from loadstone.errors import UnknownSchemeError
    from loadstone.events import LoadFinished
    from loadstone.hookspecs import ImageLoad, ImageLoadMany, MetadataLoad, MetadataProvider, VolumeOpen
    from loadstone.ids import ImageId
    from loadstone.transport import HttpRequest

__all__ = ["Registry", "default_registry"]

L = TypeVar("L", bound="ImageLoader | VolumeLoader")


class Registry:
    """
    The loaders that can be used: those of installed plugins, and on top of them those of the program.

    Plugins are imported when one of their schemes is first used, each one once; from then on a look-up is a
    few dictionary look-ups without a lock.

    Parameters
    ----------
    index
        What is installed; None: what is installed on `sys.path`. ``PluginIndex()`` isolates.
    policy
        What may be used; None: what the ``LOADSTONE_*`` variables say at first use.
    below
        Put this registry on top of another one: it sees everything of that one, which does not see what is
        registered here. Then `index` and `policy` are those of the other one.
    """

    def __init__(
        self,
        *,
        index: PluginIndex | None = None,
        policy: PluginPolicy | None = None,
        below: Registry | None = None,
    ) -> None:
        self.installation: Installation = below.installation if below else Installation(index, policy)
        """What is installed; shared with the registries on top of this one."""
        self.images: RunTimeLoaders[ImageLoader] = RunTimeLoaders(below.images if below else None)
        """Loaders of images that the program registered."""
        self.volumes: RunTimeLoaders[VolumeLoader] = RunTimeLoaders(below.volumes if below else None)
        """Loaders of volumes that the program registered."""
        _registries.add(self)

    def child(self) -> Registry:
        """Return a registry on top of this one."""
        return Registry(below=self)

    def refresh(self) -> None:
        """
        Look again what is installed; run-time registrations stay.

        Remembered failures are dropped, and every plugin is activated anew when it is used next. A module
        that was imported stays imported: a new version of it needs a new process.
        """
        self.installation.refresh()

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
        plugins = self.installation.plugins
        found = self.images.find(scheme) or plugins.images.get(scheme)
        if found is None:
            scheme = scheme.lower()
            found = self.images.find(scheme) or plugins.image_loader(scheme) or self.images.fall_back(scheme)
        if found is None:
            raise self._unknown(IMAGES, scheme, self.image_schemes(), self.volume_schemes())
        return found

    def volume_loader(self, scheme: str) -> VolumeRegistration:
        """Return the loader of a scheme of volumes; as `image_loader`."""
        plugins = self.installation.plugins
        found = self.volumes.find(scheme) or plugins.volumes.get(scheme)
        if found is None:
            scheme = scheme.lower()
            found = (
                self.volumes.find(scheme) or plugins.volume_loader(scheme) or self.volumes.fall_back(scheme)
            )
        if found is None:
            raise self._unknown(VOLUMES, scheme, self.volume_schemes(), self.image_schemes())
        return found

    def _unknown(
        self, group: str, scheme: str, known: Collection[str], other: Collection[str]
    ) -> UnknownSchemeError:
        plugins = self.installation.plugins
        return unknown_scheme(
            scheme, known, other=other, index=plugins.index, policy=plugins.policy, group=group
        )

    def image_schemes(self) -> tuple[str, ...]:
        """Return the schemes of images that can be used, sorted; imports nothing."""
        return tuple(sorted(self.images.schemes() | self._installed_schemes(IMAGES)))

    def volume_schemes(self) -> tuple[str, ...]:
        """Return the schemes of volumes that can be used, sorted; imports nothing."""
        return tuple(sorted(self.volumes.schemes() | self._installed_schemes(VOLUMES)))

    def _installed_schemes(self, group: str) -> set[str]:
        plugins = self.installation.plugins
        return set(allowed_names(plugins.index, plugins.policy, group))

    def to_id(self, source: str | os.PathLike[str]) -> str:
        """
        Return the id of a path or URL, by its suffix; an id is returned unchanged.

        Paths become absolute, so that the id means the same wherever it is used, and ``?``, ``#``, ``%`` in
        them are percent-encoded; `loadstone.ids.path_of` is the way back.

        Raises
        ------
        InvalidIdError
            If the suffix is unknown or stands for several schemes.
        """
        plugins = self.installation.plugins
        return SuffixTable(plugins.index, plugins.policy).to_id(source)

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
            A function that loads one image, or a whole record, of which the other fields are taken then.
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
        record = (
            loader
            if isinstance(loader, ImageLoader)
            else ImageLoader(
                scheme,
                loader,
                load_many=load_many,
                metadata=metadata,
                canonical=canonical,
                batch_size=batch_size,
                summary=summary,
            )
        )
        registration = registration_of(changed(record, scheme=scheme), record.load)
        return self._register(self.images, IMAGES, registration, replace=replace)

    def register_volume_loader(
        self, scheme: str, loader: VolumeOpen | VolumeLoader, *, replace: bool = False, summary: str = ""
    ) -> RegistrationHandle:
        """Register a loader of volumes for a scheme; as `register_image_loader`."""
        record = loader if isinstance(loader, VolumeLoader) else VolumeLoader(scheme, loader, summary=summary)
        registration = registration_of(changed(record, scheme=scheme), record.open)
        return self._register(self.volumes, VOLUMES, registration, replace=replace)

    def _register(
        self, loaders: RunTimeLoaders[L], group: str, registration: Registration[L], *, replace: bool
    ) -> RegistrationHandle:
        if not replace:
            plugins = self.installation.plugins
            scheme = registration.record.scheme
            if claims := allowed_claims(plugins.index, plugins.policy, group, scheme):
                raise already_claimed(scheme, [claim.claimant for claim in claims])
        return loaders.add(registration, over=replace)

    def unregister_image_loader(self, scheme: str) -> None:
        """
        Take back the last loader that was registered here for a scheme; what it replaced counts again.

        Raises
        ------
        LoadstoneError
            If none was registered here. Installed plugins are switched off with
            ``LOADSTONE_DISABLE_PLUGINS``.
        """
        self.images.pop(scheme.lower())

    def unregister_volume_loader(self, scheme: str) -> None:
        """Take back a loader of volumes; as `unregister_image_loader`."""
        self.volumes.pop(scheme.lower())

    def unregister_all_image_loaders(self) -> None:
        """Take back all loaders of images that were registered here, the one for unknown schemes as well."""
        self.images.clear()

    def unregister_all_volume_loaders(self) -> None:
        """Take back all loaders of volumes that were registered here, the one for unknown schemes as well."""
        self.volumes.clear()

    def register_unknown_image_loader(self, load: ImageLoad | None) -> ImageLoad | None:
        """
        Set what loads images of schemes that nobody claims, and return what did so far.

        Parameters
        ----------
        load
            A function as in `ImageLoader`; None: unknown schemes are an error.
        """
        previous = self.images.unknown
        self.images.unknown = registration_of(ImageLoader("unknown", load), load) if load else None
        return previous.record.load if previous else None

    def register_unknown_volume_loader(self, open: VolumeOpen | None) -> VolumeOpen | None:
        """Set what loads volumes of schemes that nobody claims, and return what did so far."""
        previous = self.volumes.unknown
        self.volumes.unknown = registration_of(VolumeLoader("unknown", open), open) if open else None
        return previous.record.open if previous else None

    def activate_schemeless(self) -> None:
        """
        Import the plugins without a scheme, once: call it before the first load of anything.

        A broken one is a `RuntimeWarning` and is listed.
        """
        self.installation.plugins.activate_schemeless()

    def is_activating(self) -> bool:
        """
        Whether this thread is inside the import of a plugin.

        To wait there for another thread that needs the same plugin would never end.
        """
        return self.installation.plugins.is_activating()

    def metadata_providers(self) -> tuple[MetadataProvider, ...]:
        """Return the metadata overrides of active plugins: by priority, of equal ones the later first."""
        return self.installation.plugins.providers

    def prepare_request(self, request: HttpRequest) -> HttpRequest:
        """Let active plugins sign or authorise a request; costs nothing if none of them does."""
        return self.installation.plugins.prepare_request(request)

    def load_finished(self, event: LoadFinished) -> None:
        """Tell active plugins that a load ended; costs nothing if none of them observes."""
        self.installation.plugins.load_finished(event)

    def commands(self) -> tuple[Candidate, ...]:
        """Return the entry points of CLI commands that may be used; ``.load()`` imports one."""
        plugins = self.installation.plugins
        return tuple(
            claim
            for name in plugins.index.names(COMMANDS)
            for claim in allowed_claims(plugins.index, plugins.policy, COMMANDS, name)
        )

    def plugins(self) -> tuple[PluginInfo, ...]:
        """List what is installed and what is registered at run time; imports nothing."""
        return (
            *installed_plugins(self.installation.plugins),
            *registered_loaders(self.images, IMAGES),
            *registered_loaders(self.volumes, VOLUMES),
        )

    def forget_threads(self) -> None:
        """Start with free locks: in a forked child the threads that held them are gone."""
        self.installation.plugins.forget_threads()
        self.images.forget_threads()
        self.volumes.forget_threads()


@cache
def default_registry() -> Registry:
    """Return the registry of the process; scans what is installed at the first call."""
    return Registry()


_registries: weakref.WeakSet[Registry] = weakref.WeakSet()


def _forget_threads() -> None:
    for registry in tuple(_registries):
        registry.forget_threads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
