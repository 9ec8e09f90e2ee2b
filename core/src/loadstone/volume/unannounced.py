"""Images whose loader says nothing without pixels: loaded first, placed when the volume is planned."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from loadstone.boundary import typed_error
from loadstone.errors import LoadstoneError
from loadstone.ids import ImageId, lane_of
from loadstone.image_loading import ImageMemory, answered, checked_image
from loadstone.metadata import ImagePixel, Modules, ModuleSet, Scaling
from loadstone.parallel import run_parallel
from loadstone.volume.memory import zeros_in_pages

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from loadstone.context import LoadContext
    from loadstone.image import Image
    from loadstone.shared_load import SharedLoad

__all__ = ["UnannouncedImages"]

_MOST_MAPPED: Final = 2**14
"""Images in pages of their own: a quarter of the mappings that Linux lets a process have."""


class UnannouncedImages:
    """
    Images with stored values, charged to the budget until they are in their volume.

    Parameters
    ----------
    load, context
        Whose work it is.
    charged
        Whether their memory is of the budget.
    anew
        Whether what the session has of them is not to be used.
    """

    def __init__(self, load: SharedLoad[Any], context: LoadContext, *, charged: bool, anew: bool) -> None:
        self._load = load
        self._context = context
        self._charged = charged
        self._anew = anew
        self._known: dict[ImageId, Image] = {}
        self._images: dict[ImageId, Image] = {}
        self._memories: dict[ImageId, ImageMemory] = {}
        self._total = 0

    def modules(self, ids: Sequence[ImageId]) -> Sequence[Modules]:
        """
        Load the images and return what they say about themselves.

        Raises
        ------
        LoadstoneError
            What went wrong first.
        """
        self._total = len(ids)
        errors = run_parallel(self._context.session, self._load, self._load_one, ids, lane_of(ids[0]))
        if errors:
            raise errors[0]
        return [
            _modules_of(self._images[each]) if each in self._images else _modules_of_known(self._known[each])
            for each in ids
        ]

    def _load_one(self, image_id: ImageId) -> None:
        session = self._context.session
        if not self._anew and (known := session.cached_image(image_id, self._context.options)) is not None:
            self._known[image_id] = known  # held, so that the volume finds it when it looks for it
            return
        zeros = zeros_in_pages if len(self._images) < _MOST_MAPPED else np.zeros
        memory = ImageMemory(session.cache if self._charged else None, session.settings, zeros)
        self._memories[image_id] = memory
        context = self._context.for_memory(memory).for_image(image_id)
        try:
            answer = session.registry.image_loader(image_id.scheme).record.load(image_id, context)
            image = checked_image(answered(answer, context, self._load, lambda _: None), image_id)
        except LoadstoneError as error:
            error.add_source(image_id)
            raise
        except BaseException as error:
            raise typed_error(error, image_id) from error
        if not memory.gave(image.pixels):
            pixels = memory.allocate(image.pixels.shape, image.pixels.dtype, beside=image.nbytes)
            np.copyto(pixels, image.pixels)
            image = replace(image, pixels=pixels)
        memory.settle(image.nbytes)
        self._images[image_id] = image
        before = self._load.progress
        self._load.report(replace(before, done=len(self._images), total=self._total))

    def taken(self) -> Iterator[tuple[ImageId, Image]]:
        """Yield each image once, to be put into the volume, and let go of its memory then."""
        while self._images:
            image_id, image = self._images.popitem()
            yield image_id, image
            del image
            self._memories.pop(image_id).release()

    def let_go(self) -> bool:
        """Let go of the memory of those that were loaded; False if that frees nothing."""
        freed = bool(self._images)
        self._images.clear()
        while self._memories:
            self._memories.popitem()[1].release()
        return freed

    def release(self) -> None:
        """Let go of all."""
        self._known.clear()
        self.let_go()


def _modules_of_known(image: Image) -> Modules:
    """Describe an image that is scaled already, in its finished values."""
    return _modules_of(replace(image, slope=1.0, intercept=0.0, bits_stored=None, pixel_padding=None))


def _modules_of(image: Image) -> Modules:
    samples = image.pixels.shape[2] if image.is_color else 1
    return ModuleSet(
        image.plane,
        ImagePixel(
            image.rows,
            image.columns,
            image.pixels.dtype,
            samples,
            image.photometric_interpretation,
            image.bits_stored,
            image.pixel_padding,
        ),
        Scaling(image.slope, image.intercept, image.units),
        image.voi_lut,
    )
