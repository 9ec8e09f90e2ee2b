"""Where metadata is asked for: what was set by hand, then providers, then the loader of the image."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar, cast

from loadstone.errors import LoadstoneError, MetadataError, PluginContractError
from loadstone.ids import ImageId
from loadstone.metadata.calibration import CalibratedPixelSpacing, calibrated
from loadstone.metadata.modules import ImagePlane, Module, Modules

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from loadstone.hookspecs import MetadataProvider

__all__ = ["MetadataStore"]

M = TypeVar("M", bound=Module)


class MetadataStore:
    """
    The metadata of one session.

    Parameters
    ----------
    load
        Asks the loader of some image ids.
    plugin_providers
        Gives the providers of all active plugins.
    to_id
        Gives the id that a path or plain URL stands for.
    """

    def __init__(
        self,
        load: Callable[[Sequence[ImageId]], Sequence[Modules]],
        plugin_providers: Callable[[], Sequence[MetadataProvider]],
        to_id: Callable[[str | os.PathLike[str]], str],
    ) -> None:
        self._load = load
        self._plugin_providers = plugin_providers
        self._to_id = to_id
        self._lock = threading.Lock()
        self._set: dict[str, dict[type[Module], Module]] = {}
        self._providers: tuple[MetadataProvider, ...] = ()

    def get(self, source: str | os.PathLike[str], kind: type[M]) -> M | None:
        """
        Return what is known about an image, before its pixels are loaded.

        Parameters
        ----------
        source
            An image id, a path, a plain URL.
        kind
            Which module: `ImagePlane`, `ImagePixel`, …

        Returns
        -------
        Module or None
            What `set` set, else what the first provider gives, else what the loader says; None if nobody
            knows. Of an `ImagePlane` the spacing is that of a `CalibratedPixelSpacing` which was set or
            which a provider gives.

        Raises
        ------
        LoadstoneError
            If the loader had to be asked and failed.
        """
        image_id = ImageId(self._to_id(source))
        return self._resolve(image_id, kind, lambda: self._load([image_id])[0].get(kind))

    def many(self, image_ids: Sequence[ImageId]) -> Sequence[Modules]:
        """Return the modules of several images of one loader, asked for at once."""
        return self.overriding(image_ids, self._load(image_ids)) if image_ids else []

    def overriding(self, image_ids: Sequence[ImageId], loaded: Sequence[Modules]) -> Sequence[Modules]:
        """Return modules with everything applied that overrides them."""
        if not self._set and not self._providers and not self._plugin_providers():
            return loaded
        return [_Overridden(self, image_id, each) for image_id, each in zip(image_ids, loaded, strict=True)]

    def set(self, source: str | os.PathLike[str], module: Module) -> None:
        """
        Say what is to be known about an image; wins over everything else.

        Images and volumes that are loaded already stay what they are.

        Parameters
        ----------
        source
            An image id, a path, a plain URL.
        module
            What to know. A `CalibratedPixelSpacing` becomes the spacing of the `ImagePlane`.
        """
        image_id = self._to_id(source)
        with self._lock:
            self._set.setdefault(image_id, {})[type(module)] = module

    def forget(self, source: str | os.PathLike[str]) -> None:
        """Take back all that was `set` for an image."""
        image_id = self._to_id(source)
        with self._lock:
            self._set.pop(image_id, None)

    def add_provider(self, provider: MetadataProvider) -> None:
        """Ask a provider before the loader; the higher priority first, of equal ones the later added."""
        with self._lock:
            if provider not in self._providers:
                self._providers = (provider, *self._providers)

    def remove_provider(self, provider: MetadataProvider) -> None:
        """Ask it no more."""
        with self._lock:
            self._providers = tuple(each for each in self._providers if each != provider)

    def _resolve(self, image_id: ImageId, kind: type[M], load: Callable[[], M | None]) -> M | None:
        module = self._override(image_id, kind)
        if module is None:
            module = load()
        if kind is ImagePlane:
            calibration = self._override(image_id, CalibratedPixelSpacing)
            if calibration is not None:
                return cast("M", calibrated(cast("ImagePlane | None", module), calibration))
        return module

    def _override(self, image_id: ImageId, kind: type[M]) -> M | None:
        module = self._set.get(image_id, {}).get(kind)
        if module is not None:
            return cast("M", module)
        for provider in sorted(
            (*self._providers, *self._plugin_providers()), key=lambda each: -each.priority
        ):
            given = _asked(provider, image_id, kind)
            if given is not None:
                return given
        return None


def _asked(provider: MetadataProvider, image_id: ImageId, kind: type[M]) -> M | None:
    try:
        given = provider.get(image_id, kind)
    except LoadstoneError:
        raise
    except (Exception, SystemExit) as error:  # it runs on the caller's thread, whom Ctrl-C is for
        raise MetadataError(
            f"the metadata provider {provider.name!r} failed with {type(error).__name__}: {error}",
            source=image_id,
        ) from error
    if given is not None and not isinstance(given, kind):
        raise PluginContractError(
            f"the metadata provider {provider.name!r} gave {type(given).__name__}, not {kind.__name__}",
            source=image_id,
        )
    return given


class _Overridden:
    """The modules of one image, overrides first."""

    __slots__ = ("_image_id", "_loaded", "_store")

    def __init__(self, store: MetadataStore, image_id: ImageId, loaded: Modules) -> None:
        self._store, self._image_id, self._loaded = store, image_id, loaded

    def get(self, kind: type[M]) -> M | None:
        """Return the module of that kind, or None."""
        return self._store._resolve(self._image_id, kind, lambda: self._loaded.get(kind))
