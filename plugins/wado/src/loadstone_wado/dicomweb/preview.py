"""Pictures of frames for people to look at: made by the server, or else here, out of the frame."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from loadstone import (
    DecodeError,
    FetchError,
    Image,
    IntegrityError,
    LoadstoneError,
    MetadataError,
    Quality,
    RequestType,
    Window,
)
from loadstone.metadata import VoiLut
from loadstone.transport import redact
from loadstone_wado.dicomweb.answers import refuse_text
from loadstone_wado.dicomweb.bodies import Received
from loadstone_wado.dicomweb.ladder import RENDERED, climb
from loadstone_wado.dicomweb.multipart import parts_of
from loadstone_wado.dicomweb.pictures import decoded_picture
from loadstone_wado.ids import RsUrl

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from loadstone import ImageId, Session

__all__ = ["preview"]

_NO_PICTURES: Final = frozenset({400, 404, 405, 406, 415, 500, 501})
"""Statuses with which servers say that they make no picture (of this frame)."""

_AS_IT_IS: Final = VoiLut(windows=(Window(128, 256),))
"""Shows 0 to 255 as 0 to 255."""


def preview(
    image_id: ImageId,
    session: Session,
    *,
    thumbnail: bool,
    window: Window | tuple[float, float] | None,
    size: tuple[int, int] | None,
) -> Image:
    """Return a picture of a frame; see `DicomWeb.rendered`."""
    url = RsUrl.of_image(image_id)
    asked = _query(url, window, size)
    # The window of a thumbnail is the server's choice (DICOM PS3.18 8.3.5.1).
    pictures = [f"thumbnail{url.query}"] if thumbnail and window is None else []
    for picture in (*pictures, f"rendered{asked}"):
        try:
            pixels = _fetched(f"{url.frame_url}/{picture}", url, session)
        except (FetchError, DecodeError, IntegrityError) as error:
            if isinstance(error, FetchError) and error.status not in _NO_PICTURES:
                raise
            continue
        return _image(pixels, image_id)
    image = session.load_image(image_id, type=RequestType.THUMBNAIL)
    return _image(image.display(window), image_id)


def _image(pixels: npt.NDArray[np.uint8], image_id: ImageId) -> Image:
    pixels.flags.writeable = False
    color = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    return Image(
        pixels,
        photometric_interpretation=color,
        bits_stored=8,
        voi_lut=_AS_IT_IS,
        quality=Quality.LOSSY,
        image_id=str(image_id),
    )


def _query(url: RsUrl, window: Window | tuple[float, float] | None, size: tuple[int, int] | None) -> str:
    """Return the parameters of a picture (DICOM PS3.18 8.3.5.1)."""
    asked = {}
    if window is not None:
        chosen = _possible(window)
        function = chosen.function.lower().replace("_", "-")
        asked["window"] = f"{chosen.center:g},{chosen.width:g},{function}"
    if size is not None:
        if min(size) < 1:
            raise LoadstoneError(f"a picture of {size[0]} columns and {size[1]} rows is impossible")
        asked["viewport"] = f"{size[0]},{size[1]}"
    if not asked:
        return url.query
    return f"{url.query}{'&' if url.query else '?'}{urlencode(asked, safe=',')}"


def _possible(window: Window | tuple[float, float]) -> Window:
    """Return the window that is asked for; as for `Image.display`, one that is narrower than 1 is exact."""
    if not isinstance(window, Window):
        center, width = window
        window = Window(center, width, function="LINEAR" if width >= 1 else "LINEAR_EXACT")
    least = 1 if window.function == "LINEAR" else 0
    if not math.isfinite(window.center) or not least <= window.width < math.inf or not window.width:
        raise MetadataError(f"the window with center {window.center} and width {window.width} is impossible")
    return window


def _fetched(target: str, url: RsUrl, session: Session) -> npt.NDArray[np.uint8]:
    answer = climb(
        RENDERED,
        url.root,
        session,
        lambda accept: session.transport.fetch(target, headers={"Accept": accept}),
    )
    refuse_text(answer)
    source, content_type = redact(answer.url), answer.headers.get("Content-Type", "")
    for part in parts_of(Received(answer.body), content_type, session.settings, source=source):
        return decoded_picture(part.body, session.settings, source=source)
    raise IntegrityError("the answer has no parts", source=source)
