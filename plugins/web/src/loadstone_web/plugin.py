"""The plugin's records; nothing heavy is imported before the first load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadstone.hookspecs import ImageLoader, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from loadstone.context import LoadContext
    from loadstone.ids import ImageId
    from loadstone.image import Image
    from loadstone.metadata import Modules


def _load(image_id: ImageId, context: LoadContext) -> Image:
    from loadstone_web.loading import load

    return load(image_id, context)


def _describe(image_ids: Sequence[ImageId], context: LoadContext) -> Mapping[ImageId, Modules]:
    from loadstone_web.loading import describe

    return describe(image_ids, context)


@hookimpl
def loadstone_image_loaders() -> Iterable[ImageLoader]:
    """Claim ``web:``."""
    return [
        ImageLoader(
            "web",
            load=_load,
            metadata=_describe,
            options=frozenset({"formats", "orientation", "spacing"}),
            summary="PNG and JPEG from a path, an http(s) URL or a data: URL",
        )
    ]
