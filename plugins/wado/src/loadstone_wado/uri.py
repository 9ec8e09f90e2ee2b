"""``wadouri:``: whole Part-10 objects over HTTP, from a WADO-URI service or any plain URL."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final

from loadstone import InvalidIdError
from loadstone.transport import redact
from loadstone_wado.decode import load_frame
from loadstone_wado.dicomweb.answers import refuse_cut, refuse_text
from loadstone_wado.dicomweb.media import MediaType
from loadstone_wado.dicomweb.retrieve import only_part
from loadstone_wado.ids import Selection, frame_of
from loadstone_wado.modules import frame_modules
from loadstone_wado.part10 import Part10
from loadstone_wado.series import Member, stacks_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from loadstone import Image, ImageId, ImageStack, LoadContext, VolumeId
    from loadstone.ids import LoadId
    from loadstone.metadata import Modules
    from loadstone.transport import HttpResponse
    from loadstone_wado.instance import Instance

__all__ = ["canonical", "instance_of", "load", "metadata", "open_volumes"]

_IS_SERVICE: Final = re.compile(r"[?&]requestType=WADO(?:&|\Z)", re.IGNORECASE)
_NAMES_CONTENT: Final = re.compile(r"[?&]contentType=", re.IGNORECASE)


def canonical(image_id: ImageId) -> str:
    """Name the frame of a URL in one way."""
    return f"wadouri:{image_id.locator} frame {frame_of(image_id)}"


def instance_of(image_id: ImageId, context: LoadContext) -> Instance:
    """Return the object that a frame is of."""
    return _fetched(image_id, image_id.locator, context).instance


def load(image_id: ImageId, context: LoadContext) -> Image:
    """Load one frame of an object that is fetched once for all its frames."""
    number = frame_of(image_id)
    part10 = _fetched(image_id, image_id.locator, context)
    with context.computing():
        return load_frame(
            part10.frames,
            number,
            scaled=context.options.scaled,
            values=context.options.values,
            allocate=context.allocate,
        )


def metadata(image_ids: Sequence[ImageId], context: LoadContext) -> Mapping[ImageId, Modules]:
    """Describe frames; the object is fetched for that, and kept while there is room."""
    scaled, values = context.options.scaled, context.options.values
    return {
        image_id: frame_modules(
            _fetched(image_id, image_id.locator, context).instance,
            frame_of(image_id),
            scaled=scaled,
            values=values,
        )
        for image_id in image_ids
    }


def open_volumes(volume_id: VolumeId, context: LoadContext) -> Iterable[ImageStack]:
    """Describe the volumes of an object."""
    locator, selection = Selection.of(volume_id, "stack")
    part10 = _fetched(volume_id, locator, context)
    part10.frames.check_number_of_frames()
    separator = "&" if "?" in locator else "?"
    place = f"wadouri:{locator}"
    member = Member(part10.instance, partial("{0}{1}frame={2}".format, place, separator))
    return stacks_of([member], place, selection, separator=separator)


def _fetched(load_id: LoadId, locator: str, context: LoadContext) -> Part10:
    if not locator.lower().startswith(("http://", "https://")):
        raise InvalidIdError(
            "there is no http(s) URL behind wadouri:", source=redact(load_id), hint="Write wadouri:https://…"
        )

    def fetch() -> Part10:
        answer = context.fetch(_asking_for_dicom(locator), headers={"Accept": "*/*"})
        refuse_text(answer)
        # Some URLs are those of WADO-RS, or of services that pack what they send in the same way.
        content = only_part(answer, context).body if _is_packed(answer) else answer.body
        part10 = Part10.from_bytes(content, context.settings, source=redact(answer.url))
        refuse_cut(part10, answer)
        return part10

    return context.source(("wadouri", locator), fetch)


def _is_packed(answer: HttpResponse) -> bool:
    return MediaType.of(answer.headers.get("Content-Type", "")).name.startswith("multipart/")


def _asking_for_dicom(url: str) -> str:
    """Name the content type: a WADO-URI service sends a JPEG without one (DICOM PS3.18 9.1.2.2.1)."""
    if _IS_SERVICE.search(url) and not _NAMES_CONTENT.search(url):
        return f"{url}&contentType=application/dicom"
    return url
