"""One 2-D image: pixels, what they mean, where they lie, who made them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from loadstone import pixels as pixel_values
from loadstone.metadata import ImagePlane, VoiLut, Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL.Image import Image as PilImage

__all__ = ["Image", "LoaderInfo", "Quality", "Timings"]


class Quality(IntEnum):
    """How good the pixels are now; a better one never gives way to a worse one."""

    FAR_REPLICATE = 1
    """Copied from a slice further away."""
    ADJACENT_REPLICATE = 3
    """Copied from the next slice."""
    SUBRESOLUTION = 6
    """Decoded at a lower resolution or from a part of the bytes."""
    LOSSY = 7
    """Full size, from a lossy rendition."""
    FULL = 8
    """Final."""


@dataclass(frozen=True, slots=True)
class LoaderInfo:
    """Who made an image or a volume."""

    plugin: str = ""
    """The plugin's module or object."""
    distribution: str = ""
    """The installed distribution it came from; empty for one registered at run time."""
    version: str = ""
    """The distribution's version."""


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time of a load went, in seconds."""

    total: float = 0.0
    """From the start of the load to the finished image, without the time spent queued."""


def _no_header() -> None:
    """Say that there is no header."""


@dataclass(frozen=True, eq=False)
class Image:
    """
    One 2-D image.

    A loader returns ``Image(stored_values, slope=…, intercept=…)``; ``Image(pixels)`` alone is a valid
    answer. The core scales it, fills in identity and loader, and makes the pixels read-only before anybody
    sees it.

    ``np.asarray(image)`` is `pixels`.
    """

    pixels: npt.NDArray[Any]
    """``(rows, columns[, 3 or 4])``, read-only; modality values unless loaded with ``scaled=False``."""
    slope: float = 1.0
    """Modality value = slope * stored value + intercept."""
    intercept: float = 0.0
    """See `slope`."""
    units: str = ""
    """Unit of the modality values; empty when not known."""
    photometric_interpretation: str = "MONOCHROME2"
    """Of `pixels`: MONOCHROME1, MONOCHROME2, RGB, RGBA; others only with ``scaled=False``."""
    bits_stored: int | None = None
    """Bits of a stored sample that carry a value."""
    pixel_padding: tuple[float, float] | None = None
    """Lowest and highest *stored* value that stand for 'no data'."""
    stored_bounds: tuple[int, int] | None = None
    """Two integers between which the loader has made sure that all *stored* values lie, ends included, so
    that nobody has to look again whether their results fit; None: the core looks."""
    plane: ImagePlane = field(default_factory=ImagePlane)
    """Where the image lies in space."""
    voi_lut: VoiLut = field(default_factory=VoiLut)
    """How it is meant to be shown."""
    inverted: bool = False
    """Whether low values are shown bright for another reason than MONOCHROME1 (presentation LUT INVERSE)."""
    quality: Quality = Quality.FULL
    """How good the pixels are."""
    image_id: str = ""
    """The id that was asked for."""
    scaled: bool = False
    """Whether slope and intercept are applied to `pixels`."""
    loader: LoaderInfo = LoaderInfo()
    """Who made it."""
    timings: Timings = Timings()
    """Where the time went."""
    header: Callable[[], Any] = field(default=_no_header, repr=False)
    """Gives the header that the loader read (a pydicom Dataset, a nibabel header), or None."""

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.pixels.shape[0])

    @property
    def columns(self) -> int:
        """Number of columns."""
        return int(self.pixels.shape[1])

    @property
    def nbytes(self) -> int:
        """Bytes of the pixels."""
        return self.pixels.nbytes

    @property
    def is_color(self) -> bool:
        """Whether a pixel has several samples."""
        return self.pixels.ndim == 3

    @property
    def pixel_spacing(self) -> tuple[float, float] | None:
        """Distance between rows and between columns in mm, as in DICOM; None when unknown."""
        return self.plane.pixel_spacing

    @property
    def slice_thickness(self) -> float | None:
        """Nominal thickness in mm; None when unknown."""
        return self.plane.slice_thickness

    @property
    def windows(self) -> tuple[Window, ...]:
        """The windows that came with the image, in modality values."""
        return self.voi_lut.windows

    def __getstate__(self) -> dict[str, Any]:
        """Leave the header behind: it may lead to an open file."""
        return {**self.__dict__, "header": _no_header}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Keep the pixels read-only."""
        pixels: Any = state["pixels"]
        self.__dict__.update(state, pixels=np.asarray(memoryview(pixels).toreadonly()))

    def padding_mask(self) -> npt.NDArray[np.bool_]:
        """
        Say which pixels are padding ('no data').

        Returns
        -------
        numpy.ndarray
            bool, ``(rows, columns)``. Source: DICOM PS3.3 C.7.5.1.1.2.
        """
        return pixel_values.padding_mask(self.pixels, self._shown_padding)

    @property
    def _shown_padding(self) -> tuple[float, float] | None:
        """The padding range in the values of `pixels`."""
        if self.pixel_padding is None or not self.scaled:
            return self.pixel_padding
        ends = sorted(value * self.slope + self.intercept for value in self.pixel_padding)
        return ends[0], ends[1]

    @cached_property
    def _range(self) -> tuple[float, float]:
        return pixel_values.value_range(self.pixels, self._shown_padding)

    @property
    def min_value(self) -> float:
        """Lowest value of `pixels`, padding and NaN left out."""
        return self._range[0]

    @property
    def max_value(self) -> float:
        """Highest value of `pixels`, padding and NaN left out."""
        return self._range[1]

    def display(self, window: Window | tuple[float, float] | None = None) -> npt.NDArray[np.uint8]:
        """
        Return the image as it is meant to be shown.

        Parameters
        ----------
        window
            A `Window` or (center, width) in the values of `pixels`. Default: the VOI LUT, else the first
            window, else from the 1st to the 99th percentile without padding.

        Returns
        -------
        numpy.ndarray
            uint8, ``(rows, columns)`` or ``(rows, columns, 3 or 4)``; MONOCHROME1 is inverted. Source: DICOM
            PS3.3 C.11.2.
        """
        return pixel_values.display(
            self.pixels,
            voi_lut=self.voi_lut,
            window=window,
            padding=self._shown_padding,
            inverted=self.inverted != (self.photometric_interpretation == "MONOCHROME1"),
            bits_stored=self.bits_stored,
        )

    def to_pil(self, window: Window | tuple[float, float] | None = None) -> PilImage:
        """
        Return `display` as a Pillow image (needs Pillow).

        Raises
        ------
        UnsupportedError
            If Pillow is not installed.
        """
        from loadstone.interop.needing import needing  # conversions know volumes, and those know images

        with needing("pillow"):
            from PIL import Image as pil  # noqa: N813 - an optional dependency

        return pil.fromarray(self.display(window))

    def _repr_png_(self) -> bytes:
        """Show the image in a notebook."""
        return pixel_values.png_bytes(self.display())

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:  # noqa: FBT001 - numpy's protocol
        """Return `pixels`."""
        return np.array(self.pixels, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        """Say what it is in one line, without names of people."""
        from loadstone.transport.urls import shown  # the transport needs the core's records

        shape = "x".join(map(str, self.pixels.shape))
        units = f" {self.units}" if self.units else ""
        return f"<Image {shown(self.image_id) or '(no id)'} {shape} {self.pixels.dtype}{units}>"
