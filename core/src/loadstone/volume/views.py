"""Images that volumes hold: which volume of a session shows which image, without copying."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadstone.errors import InvalidIdError, LoadstoneError
from loadstone.ids import ImageId, path_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from loadstone.cache import Cache
    from loadstone.files import FileState
    from loadstone.image import Image
    from loadstone.image_requests import ImageKey
    from loadstone.options import LoadOptions
    from loadstone.volume.volume import Volume

__all__ = ["SliceViews"]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an image is."""

    volume: weakref.ref[Volume]
    """In which volume."""
    index: int
    """Its index there."""
    files: Sequence[FileState]
    """What it was read from."""


class SliceViews:
    """
    The images of the volumes that a session keeps or fills.

    Volumes are indexed when an image is looked for that is not there by itself: naming all images of a volume
    takes milliseconds, which a caller who only wants volumes does not pay.

    Parameters
    ----------
    cache
        Keeps the volumes.
    key_of
        Gives the key under which an image with these options is known.
    """

    def __init__(self, cache: Cache, key_of: Callable[[ImageId, LoadOptions], ImageKey]) -> None:
        self._cache = cache
        self._key_of = key_of
        self._lock = threading.RLock()
        self._new: list[weakref.ref[Volume]] = []
        self._keys: dict[weakref.ref[Volume], Sequence[ImageKey | None]] = {}
        self._places: dict[Hashable, list[_Place]] = {}

    def add(self, volume: Volume) -> None:
        """Show the images of a volume from now on, each as soon as it is final."""
        if volume.image_ids:
            with self._lock:
                for dead in [each for each in self._keys if each() is None]:
                    self._forget(dead)
                self._new.append(weakref.ref(volume))

    def remove(self, volume: Volume) -> None:
        """Show them no longer."""
        with self._lock:
            self._forget(weakref.ref(volume))

    def clear(self) -> None:
        """Show none."""
        with self._lock:
            self._new.clear()
            self._keys.clear()
            self._places.clear()

    def _forget(self, volume: weakref.ref[Volume]) -> None:
        self._new = [each for each in self._new if each is not volume]
        for key in self._keys.pop(volume, ()):
            left = [place for place in self._places.pop(key, ()) if place.volume is not volume]
            if left:
                self._places[key] = left

    def find(self, key: Hashable) -> Image | None:
        """Return an image as a view of a volume that holds it in its final quality, or None."""
        if not self._new and not self._places:
            return None
        with self._lock:
            self._index()
            places = tuple(self._places.get(key, ()))
        for place in places:
            volume = place.volume()
            image = None if volume is None else volume._assembly.viewed(place.index, volume.loader)
            if volume is None or image is None:
                continue
            if all(state.current() for state in place.files):
                self._cache.touch(volume._assembly.key)
                return image
            self.remove(volume)
            self._cache.remove(volume._assembly.key, volume)
        return None

    def shares_any(self, volume: Volume) -> bool:
        """Say whether another volume has an image of this one."""
        with self._lock:
            others = [each() for each in (*self._new, *self._keys)]
        others = [each for each in others if each is not None and each is not volume]
        image_ids = frozenset(volume.image_ids) if others else frozenset()
        return any(not image_ids.isdisjoint(each.image_ids) for each in others if each is not None)

    def files(self, volume: Volume, index: int) -> Sequence[FileState]:
        """Return what an image of a volume was read from."""
        named = _files_by_path(volume).get(_path_in(volume.image_ids[index]))
        return volume._assembly.files if named is None else (named,)

    def keys(self, volume: Volume) -> Sequence[ImageKey | None]:
        """Return the key of each image of a volume, in order; None for one that nobody loads by itself."""
        return self.keys_of(volume.image_ids, volume._assembly.options)

    def keys_of(self, image_ids: Sequence[str], options: LoadOptions) -> Sequence[ImageKey | None]:
        """Return the key of each image; None for one without a name, or that nobody loads by itself."""
        try:
            return [self._key_of(ImageId(each), options) if each else None for each in image_ids]
        except LoadstoneError:  # a volume loader may name images of which it is no image loader
            return [None] * len(image_ids)

    def _index(self) -> None:
        while self._new:
            reference = self._new.pop()
            volume = reference()
            if volume is None:
                continue
            keys = self.keys(volume)
            self._keys[reference] = keys
            files = _files_by_path(volume)
            for index, key in enumerate(keys):
                if key is not None:
                    named = files.get(_path_in(volume.image_ids[index]))
                    own = volume._assembly.files if named is None else (named,)
                    self._places.setdefault(key, []).append(_Place(reference, index, own))


def _files_by_path(volume: Volume) -> dict[str | None, FileState]:
    return {state.path: state for state in volume._assembly.files}


def _path_in(image_id: str) -> str | None:
    """Return the path that an id names, if it names one: of many files, that is the one the image is in."""
    try:
        return path_of(ImageId(image_id).locator)
    except InvalidIdError:
        return None
