"""Images that stand in their own id: ``base64:<rows>x<columns>,<one byte a pixel, as base64>``."""

from base64 import b64decode

import numpy as np

from loadstone import Image, ImageId, ImageLoader, IntegrityError, LoadContext, hookimpl


def load(image_id: ImageId, context: LoadContext) -> Image:
    """Return the image that the id spells out."""
    size, _, text = image_id.rest.partition(",")
    rows, columns = map(int, size.split("x"))
    pixels = np.frombuffer(b64decode(text, validate=True), np.uint8)
    if pixels.size != rows * columns:
        raise IntegrityError(f"{pixels.size} bytes, but {rows} x {columns} pixels", source=image_id)
    return Image(pixels.reshape(rows, columns))


@hookimpl
def loadstone_image_loaders() -> list[ImageLoader]:
    """Claim ``base64:``."""
    return [ImageLoader("base64", load, summary="pixels in the id: base64:2x3,AAECAwQF")]
