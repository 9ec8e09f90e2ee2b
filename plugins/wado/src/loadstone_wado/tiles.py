"""Ids of single tiles (``&tile=3``), for loaders that know whole sheets only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np

from loadstone import ImageId, InvalidIdError, MetadataError
from loadstone.metadata import ImagePixel, ImagePlane, Module, Overlays
from loadstone.transport import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from loadstone import Image, LoadContext
    from loadstone.hookspecs import FutureLike
    from loadstone.metadata import Modules
    from loadstone_wado.instance import Instance
    from loadstone_wado.mosaics import Mosaic

    Answer = Image | FutureLike[Image] | Exception

__all__ = ["Tiled", "TiledStream", "tile_id"]

M = TypeVar("M", bound=Module)


def tile_id(sheet_id: str, tile: int) -> str:
    """
    Return the id of one tile of a sheet.

    Parameters
    ----------
    sheet_id
        Of the whole sheet.
    tile
        From 1.
    """
    return f"{sheet_id}{'&' if '?' in sheet_id else '?'}tile={tile}"


def _split(image_id: ImageId) -> tuple[ImageId, int]:
    """Return the id of the sheet, and the tile; 0 for the whole sheet."""
    rest, found = image_id.selections("tile")
    if "tile" not in found:
        return image_id, 0
    return ImageId(f"{image_id.scheme}:{rest}"), image_id.number("tile", found["tile"], least=1)


@dataclass(frozen=True, slots=True)
class Tiled:
    """A loader of frames that also gives single tiles of mosaics."""

    load_sheet: Callable[[ImageId, LoadContext], Image]
    """Loads one frame."""
    describe_sheets: Callable[[Sequence[ImageId], LoadContext], Mapping[ImageId, Modules]]
    """Describes frames."""
    name_sheet: Callable[[ImageId], str]
    """Names a frame in one way."""
    instance_of: Callable[[ImageId, LoadContext], Instance]
    """Gives the object that a frame is of."""

    def canonical(self, image_id: ImageId) -> str:
        """Name a frame or a tile in one way."""
        sheet, tile = _split(image_id)
        return f"{self.name_sheet(sheet)} tile {tile}" if tile else self.name_sheet(image_id)

    def load(self, image_id: ImageId, context: LoadContext) -> Image:
        """Load a frame or a tile."""
        sheet, tile = _split(image_id)
        if not tile:
            return self.load_sheet(image_id, context)
        mosaic = self._mosaic(sheet, tile, context)
        return _cut(self.load_sheet(sheet, context), mosaic, tile, image_id, context)

    def metadata(self, image_ids: Sequence[ImageId], context: LoadContext) -> Mapping[ImageId, Modules]:
        """Describe frames and tiles."""
        parts = {image_id: _split(image_id) for image_id in image_ids}
        sheets = self.describe_sheets([sheet for sheet, _ in parts.values()], context)
        return {
            image_id: _TileModules(sheets[sheet], self._mosaic(sheet, tile, context), tile)
            if tile
            else sheets[sheet]
            for image_id, (sheet, tile) in parts.items()
        }

    def _mosaic(self, sheet: ImageId, tile: int, context: LoadContext) -> Mosaic:
        """
        Return how a sheet is laid out.

        Raises
        ------
        MetadataError
            If it does not say.
        InvalidIdError
            If it has no such tile.
        """
        mosaic = self.instance_of(sheet, context).mosaic
        if mosaic is None:
            raise MetadataError(
                "it has no tiles: it is no mosaic, or does not say how its slices lie on the sheet",
                source=redact(sheet),
                hint="Load the whole image, without tile=.",
            )
        if tile > mosaic.tiles:
            raise InvalidIdError(
                f"there is no tile {tile}, the mosaic has {mosaic.tiles}", source=redact(sheet)
            )
        return mosaic


@dataclass(frozen=True, slots=True)
class TiledStream(Tiled):
    """One that loads several frames at once."""

    load_sheets: Callable[[Sequence[ImageId], LoadContext], Iterator[tuple[ImageId, Answer]]]
    """Loads several frames."""

    def load_many(
        self, image_ids: Sequence[ImageId], context: LoadContext
    ) -> Iterator[tuple[ImageId, Answer]]:
        """Load frames and tiles, each sheet once for all its tiles."""
        wanted: dict[ImageId, list[tuple[ImageId, int]]] = {}
        for image_id in image_ids:
            sheet, tile = _split(image_id)
            wanted.setdefault(sheet, []).append((image_id, tile))
        for sheet, answer in self.load_sheets(list(wanted), context):
            for image_id, tile in wanted[sheet]:
                if not tile or isinstance(answer, Exception):
                    yield image_id, answer
                else:
                    mosaic = self._mosaic(sheet, tile, context)
                    yield image_id, _Cut(answer, mosaic, tile, image_id, context)


@dataclass(frozen=True, slots=True)
class _Cut:
    """A tile that is cut out when somebody waits for it."""

    answer: Image | FutureLike[Image]
    mosaic: Mosaic
    tile: int
    image_id: ImageId
    context: LoadContext

    def result(self) -> Image:
        """Wait for the sheet and return the tile."""
        result = getattr(self.answer, "result", None)
        sheet = cast("Image", result() if result else self.answer)
        return _cut(sheet, self.mosaic, self.tile, self.image_id, self.context)


def _cut(sheet: Image, mosaic: Mosaic, tile: int, image_id: ImageId, context: LoadContext) -> Image:
    """Copy a tile out of a sheet, which then need not be kept."""
    region = sheet.pixels[mosaic.region(tile)]
    out = context.allocate(region.shape, region.dtype, image_id)
    np.copyto(out, region)
    return replace(sheet, pixels=out, plane=mosaic.plane(sheet.plane, tile))


@dataclass(frozen=True, slots=True)
class _TileModules:
    """What is known about a tile: what is known about its sheet, but for size and place."""

    sheet: Modules
    mosaic: Mosaic
    tile: int

    def get(self, kind: type[M]) -> M | None:
        """Return the module of that kind, or None."""
        found: Module | None = None if kind is Overlays else self.sheet.get(kind)
        if isinstance(found, ImagePixel):
            found = replace(found, rows=self.mosaic.rows, columns=self.mosaic.columns)
        elif isinstance(found, ImagePlane):
            found = self.mosaic.plane(found, self.tile)
        return cast("M | None", found)
