"""Sessions, loaders and images that tests of the core share."""

from __future__ import annotations

import copy
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from loadstone import Image, ImageLoader, Session
from loadstone.metadata import ImagePixel, ImagePlane, ModuleSet, Scaling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from loadstone import ImageId, LoadContext
    from loadstone.hookspecs import ImageLoad

WAIT = 10.0
"""Seconds after which something that ought to happen counts as never happening."""

SHAPE = (4, 5)


def flat(value: float, shape: tuple[int, ...] = SHAPE, dtype: str = "u2", **fields: Any) -> Image:
    """Return an image of one value."""
    return Image(np.full(shape, value, dtype), **fields)


def numbered(image_id: ImageId, context: LoadContext) -> Image:
    """Load an image whose value is the number in its id, into memory of the core."""
    out = context.allocate(SHAPE, "u2")
    out[:] = int(image_id.rest)
    return Image(out)


def make_session(loaders: Mapping[str, ImageLoad | ImageLoader] | None = None, **settings: Any) -> Session:
    """Return a session with loaders of its own; ``number:7`` is there anyway."""
    session = Session(**settings)
    for scheme, loader in {"number": numbered, **(loaders or {})}.items():
        session.registry.register_image_loader(scheme, loader, replace=True)
    return session


class Paused:
    """A loader that waits until it is let go, and notes what it was asked for."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.started = threading.Event()
        self.go = threading.Event()

    def __call__(self, image_id: ImageId, context: LoadContext) -> Image:
        self.calls.append(str(image_id))
        self.started.set()
        assert self.go.wait(WAIT)
        return flat(len(self.calls))


def until(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.002)


def plane(position: float, spacing: tuple[float, float] = (0.5, 0.75)) -> ImagePlane:
    """Return an axial plane at a height in mm."""
    return ImagePlane(
        pixel_spacing=spacing,
        image_position_patient=(0.0, 0.0, position),
        image_orientation_patient=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    )


class Stack:
    """
    A loader of slices ``slices:k``, 3 mm apart, of value ``values[k]``; counts what it is asked for.

    Parameters
    ----------
    values
        Stored value of each slice.
    failing
        Numbers of the slices that fail.
    """

    def __init__(
        self,
        values: Sequence[int],
        *,
        dtype: str = "u2",
        shape: tuple[int, ...] = SHAPE,
        scaling: Scaling | Callable[[int], Scaling] = Scaling(),  # noqa: B008 - a frozen value
        bits_stored: int | None = None,
        failing: Mapping[int, BaseException] | None = None,
    ) -> None:
        self.values = values
        self.dtype = np.dtype(dtype)
        self.shape = shape
        self.bits_stored = bits_stored
        self.failing = dict(failing or {})
        self.asked: list[int] = []
        self._scaling = scaling

    @property
    def ids(self) -> list[str]:
        """The ids of all slices, out of order."""
        numbers = list(range(len(self.values)))
        return [f"slices:{number}" for number in numbers[1::2] + numbers[0::2]]

    def scaling(self, number: int) -> Scaling:
        """Return how a slice is scaled."""
        return self._scaling if isinstance(self._scaling, Scaling) else self._scaling(number)

    def load(self, image_id: ImageId, context: LoadContext) -> Image:
        """Load one slice."""
        number = int(image_id.rest)
        self.asked.append(number)
        out = context.allocate(self.shape, self.dtype, image_id)
        out[...] = self.values[number]
        if number in self.failing:
            raise copy.copy(self.failing[number])
        scaling = self.scaling(number)
        return Image(
            out,
            slope=scaling.slope,
            intercept=scaling.intercept,
            units=scaling.units,
            bits_stored=self.bits_stored,
            plane=plane(3.0 * number),
            header=lambda: f"header {number}",
        )

    def load_many(
        self, image_ids: Sequence[ImageId], context: LoadContext
    ) -> Iterator[tuple[ImageId, Image | Exception]]:
        """Load slices from last to first."""
        for image_id in reversed(image_ids):
            try:
                image = self.load(image_id, context)
            except Exception as error:  # noqa: BLE001 - given in place of the image
                yield image_id, error
            else:
                yield image_id, image

    def metadata(self, image_ids: Sequence[ImageId], context: LoadContext) -> dict[ImageId, ModuleSet]:
        """Describe slices."""
        return {image_id: self.modules(int(image_id.rest)) for image_id in image_ids}

    def modules(self, number: int) -> ModuleSet:
        """Return what is known about a slice."""
        samples = self.shape[2] if len(self.shape) > 2 else 1
        return ModuleSet(
            plane(3.0 * number),
            ImagePixel(self.shape[0], self.shape[1], self.dtype, samples, bits_stored=self.bits_stored),
            self.scaling(number),
        )

    def loader(
        self, *, many: bool = True, batch_size: int | None = None, described: bool = True
    ) -> ImageLoader:
        """Return the record."""
        return ImageLoader(
            "slices",
            self.load,
            load_many=self.load_many if many else None,
            metadata=self.metadata if described else None,
            batch_size=batch_size,
        )
