"""``wadouri:``: whole Part-10 objects over HTTP, from a WADO-URI service or any plain URL."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from loadstone import Image, ImageId, ImageStack, InvalidIdError, VolumeId
from loadstone_wado.decode import decode_frame
from loadstone_wado.ids import frame_of
from loadstone_wado.modules import frame_modules
from loadstone_wado.part10 import Part10
from loadstone_wado.series import Member, stacks_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from loadstone import LoadContext
    from loadstone.metadata import Modules

__all__ = ["canonical", "load", "metadata", "open_volumes"]


def canonical(image_id: ImageId) -> str:
    """Name the frame of a URL in one way."""
    return f"wadouri:{image_id.locator} frame {frame_of(image_id)}"


def load(image_id: ImageId, context: LoadContext) -> Image:
    """Load one frame of an object that is fetched once for all its frames."""
    part10 = _fetched(_url(image_id, image_id.locator), context)
    number = frame_of(image_id)
    with context.computing():
        return decode_frame(
            part10.instance,
            number,
            part10.frames.read(number),
            scaled=context.options.scaled,
            allocate=context.allocate,
        )


def metadata(image_ids: Sequence[ImageId], context: LoadContext) -> Mapping[ImageId, Modules]:
    """Describe frames; the object is fetched for that, and kept while there is room."""
    return {
        image_id: frame_modules(
            _fetched(_url(image_id, image_id.locator), context).instance,
            frame_of(image_id),
            scaled=context.options.scaled,
        )
        for image_id in image_ids
    }


def open_volumes(volume_id: VolumeId, context: LoadContext) -> Iterable[ImageStack]:
    """Describe the volumes of an object."""
    locator, selection = volume_id.split("stack")
    stack = volume_id.number("stack", selection["stack"], least=1) if selection else None
    instance = _fetched(_url(volume_id, locator), context).instance
    _ = instance.layout
    separator = "&" if "?" in locator else "?"
    name = f"wadouri:{locator}"
    image_id = partial("{0}{1}frame={2}".format, name, separator)
    return stacks_of([Member(instance, image_id)], name, separator=separator, stack=stack)


def _url(load_id: ImageId | VolumeId, locator: str) -> str:
    if not locator.lower().startswith(("http://", "https://")):
        raise InvalidIdError(
            "there is no http(s) URL behind wadouri:", source=str(load_id), hint="Write wadouri:https://…"
        )
    return locator


def _fetched(url: str, context: LoadContext) -> Part10:
    def fetch() -> Part10:
        answer = context.fetch(url, headers={"Accept": "application/dicom, */*;q=0.5"})
        return Part10.from_bytes(answer.body, context.settings, source=answer.url)

    return context.source(("wadouri", url), fetch)
