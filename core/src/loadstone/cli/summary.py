"""An image or a volume in the few numbers that fit on a line."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from loadstone.image import Image, LoaderInfo
    from loadstone.volume import Volume

__all__ = ["Summary", "middle_image"]


@dataclass(frozen=True, slots=True)
class Summary:
    """What was loaded, by whom, how fast."""

    id: str
    """Its id."""
    kind: str
    """``image`` or ``volume``."""
    plugin: str
    """Distribution and version that loaded it."""
    shape: tuple[int, ...]
    """Of the array."""
    axes: tuple[str, ...]
    """A name for each axis."""
    dtype: str
    """Of the array."""
    spacing: tuple[float | None, ...]
    """mm; of a volume along i, j, k, of an image between rows and between columns; empty when unknown."""
    units: str
    """Of the values; empty when not known."""
    range: tuple[float, float]
    """Lowest and highest value, padding left out."""
    milliseconds: float
    """How long the caller waited."""

    @classmethod
    def of_image(cls, image: Image, seconds: float) -> Self:
        """Summarise an image that was loaded in so many seconds."""
        return cls(
            id=image.image_id,
            kind="image",
            plugin=_made_by(image.loader),
            shape=image.pixels.shape,
            axes=("j", "i") + (("rgba"[: image.pixels.shape[2]],) if image.is_color else ()),
            dtype=str(image.pixels.dtype),
            spacing=image.pixel_spacing or (),
            units=image.units,
            range=(image.min_value, image.max_value),
            milliseconds=round(seconds * 1000, 1),
        )

    @classmethod
    def of_volume(cls, volume: Volume, seconds: float) -> Self:
        """Summarise a volume that was loaded in so many seconds."""
        return cls(
            id=volume.volume_id,
            kind="volume",
            plugin=_made_by(volume.loader),
            shape=volume.shape,
            axes=volume.axes,
            dtype=str(volume.dtype),
            spacing=volume.spacing,
            units=volume.units,
            range=_range(volume),
            milliseconds=round(seconds * 1000, 1),
        )

    @property
    def shape_text(self) -> str:
        """The shape as ``24x96x128``."""
        return "x".join(map(str, self.shape))

    @property
    def spacing_text(self) -> str:
        """The spacing as ``2x2x2.2``, without its unit mm; ``?`` for what is unknown."""
        return "x".join("?" if each is None else f"{each:.4g}" for each in self.spacing) or "?"

    @property
    def range_text(self) -> str:
        """The range as ``-1024 .. 3071``."""
        low, high = (f"{each:.6g}" for each in self.range)
        return f"{low} .. {high}"

    def as_dict(self) -> dict[str, Any]:
        """Return the fields, for JSON."""
        return asdict(self)


def middle_image(volume: Volume) -> Image:
    """Return the middle slice of a volume, at the first time where it has several."""
    axes = volume.axes[:-1] if volume.axes[-1] in {"rgb", "rgba"} else volume.axes
    return volume.image(volume.shape[len(axes) - 3] // 2)


def _made_by(loader: LoaderInfo) -> str:
    return f"{loader.distribution or loader.plugin} {loader.version}".rstrip()


def _range(volume: Volume) -> tuple[float, float]:
    """Go through the images, because each knows its padding."""
    ends = [(each.min_value, each.max_value) for each in map(volume.image, range(len(volume.quality)))]
    lows = [low for low, _ in ends if not math.isnan(low)]
    highs = [high for _, high in ends if not math.isnan(high)]
    return min(lows, default=math.nan), max(highs, default=math.nan)
