"""Images whose loader says nothing without pixels: loaded first, placed when the volume is planned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from loadstone.boundary import typed_error
from loadstone.ids import ImageId, lane_of
from loadstone.image_loading import ImageMemory, answered, checked_image
from loadstone.metadata import ImagePixel, Modules, ModuleSet, Scaling
from loadstone.parallel import run_parallel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadstone.context import LoadContext
    from loadstone.image import Image
    from loadstone.shared_load import SharedLoad
    from loadstone.volume.assembly import Assembly

__all__ = ["UnannouncedImages"]


class UnannouncedImages:
    """
    Images with stored values, charged to the budget until they are in their volume.

    Parameters
    ----------
    load, context
        Whose work it is.
    charged
        Whether their memory is of the budget.
    """

    def __init__(self, load: SharedLoad[Any], context: LoadContext, *, charged: bool) -> None:
        self._load = load
        self._context = context
        self._charged = charged
        self._images: dict[ImageId, Image] = {}
        self._memories: list[ImageMemory] = []

    def modules(self, ids: Sequence[ImageId]) -> Sequence[Modules]:
        """
        Load the images and return what they say about themselves.

        Raises
        ------
        LoadstoneError
            What went wrong first.
        """
        errors = run_parallel(self._context.session, self._load, self._load_one, ids, lane_of(ids[0]))
        if errors:
            raise errors[0]
        return [_modules_of(self._images[each]) for each in ids]

    def _load_one(self, image_id: ImageId) -> None:
        session = self._context.session
        memory = ImageMemory(session.cache if self._charged else None, session.settings)
        self._memories.append(memory)
        context = self._context.for_memory(memory).for_image(image_id)
        try:
            answer = session.registry.image_loader(image_id.scheme).record.load(image_id, context)
            image = checked_image(answered(answer, context, self._load, lambda _: None), image_id)
        except BaseException as error:
            raise typed_error(error, image_id) from error
        if not memory.gave(image.pixels):
            memory.reserve(image.nbytes)
        self._images[image_id] = image

    def place(self, assembly: Assembly) -> None:
        """Put them into their volume."""
        for image_id, image in self._images.items():
            assembly.place(image, image_id)
        self.release()

    def release(self) -> None:
        """Let go of their memory."""
        self._images.clear()
        while self._memories:
            self._memories.pop().release()


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
