"""The images that the tests of Cornerstone3D's behaviours load."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

import loadstone
from core.tests.builders import plane
from loadstone import (
    DecodeError,
    Image,
    ImageLoader,
    Session,
)
from loadstone.metadata import ImagePixel, ModuleSet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from loadstone import ImageId, LoadContext


class Flat:
    """
    Images ``flat:<name>/<rows>/<columns>/<value>`` of uint8; notes what it was asked for.

    In volumes the value is also the position of the slice.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failing: set[str] = set()

    def load(self, image_id: ImageId, context: LoadContext) -> Image:
        """Load one."""
        name, rows, columns, value = image_id.rest.split("/")
        self.asked.append(name)
        if name in self.failing:
            raise DecodeError("simulated loader error", source=image_id)
        out = context.allocate((int(rows), int(columns)), "u1", image_id)
        out[...] = int(value)
        return Image(out, plane=plane(float(value)))

    def metadata(self, image_ids: Sequence[ImageId], context: LoadContext) -> Mapping[ImageId, ModuleSet]:
        """Describe some."""
        described = {}
        for image_id in image_ids:
            _, rows, columns, value = image_id.rest.split("/")
            pixel = ImagePixel(int(rows), int(columns), np.dtype("u1"))
            described[image_id] = ModuleSet(plane(float(value)), pixel)
        return described


@contextmanager
def registered() -> Iterator[Flat]:
    """Give the loader of ``flat:``, which is known meanwhile."""
    loader = Flat()
    with loadstone.register_image_loader("flat", ImageLoader("flat", loader.load, metadata=loader.metadata)):
        yield loader


def sized(name: str, nbytes: int) -> str:
    """Return the id of an image of that many bytes."""
    return f"flat:{name}/1/{nbytes}/0"


def slices(count: int, side: int = 100, name: str = "slice") -> list[str]:
    """Return the ids of square slices; slice n is filled with n, from 1."""
    return [f"flat:{name}{n}/{side}/{side}/{n}" for n in range(1, count + 1)]


def kept(session: Session) -> int:
    """Return the bytes in the cache; nothing may be in flight."""
    stats = session.cache.stats()
    assert stats.reserved == 0
    return stats.kept
