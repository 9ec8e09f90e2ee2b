"""How the pixels of an object are stored (DICOM PS3.3 C.7.6.3), checked once before anything is allocated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from loadstone.errors import LimitError, MetadataError, UnsupportedError
from loadstone_wado import tags
from loadstone_wado.memo import Memo
from loadstone_wado.naming import naming

if TYPE_CHECKING:
    from loadstone.settings import Settings
    from loadstone_wado.elements import Elements

__all__ = ["PixelLayout", "pixel_layout"]

_FLOATS: Final[dict[int, np.dtype[Any]]] = {
    tags.FLOAT_PIXEL_DATA: np.dtype(np.float32),
    tags.DOUBLE_FLOAT_PIXEL_DATA: np.dtype(np.float64),
}
_SUBSAMPLED: Final = frozenset({"YBR_FULL_422", "YBR_PARTIAL_422"})
_ONE_SAMPLE: Final = frozenset({"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"})


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """How the pixels of each frame are stored."""

    rows: int
    """Number of rows."""
    columns: int
    """Number of columns."""
    samples: int
    """Samples per pixel."""
    bits_allocated: int
    """Bits that a stored sample takes."""
    bits_stored: int
    """Low bits of it that carry the value."""
    signed: bool
    """Whether samples are two's complement."""
    photometric_interpretation: str
    """As recorded."""
    planar: bool
    """Whether native frames hold one plane after the other (PlanarConfiguration 1)."""
    frames: int
    """NumberOfFrames."""
    dtype: np.dtype[Any]
    """Of decoded stored values, native byte order."""
    shape: tuple[int, ...]
    """Of a decoded frame: (rows, columns), or (rows, columns, samples)."""
    frame_bits: int
    """Bits of a native frame."""

    @property
    def decoded_bytes(self) -> int:
        """Bytes of a decoded frame."""
        return self.rows * self.columns * self.samples * self.dtype.itemsize

    @property
    def unused_bits(self) -> int:
        """High bits of a stored integer that carry no value."""
        return (
            0
            if self.dtype.kind == "f" or self.bits_allocated == 1
            else self.bits_allocated - self.bits_stored
        )

    @property
    def bounds(self) -> tuple[int, int]:
        """Lowest and highest integer that `bits_stored` bits can be."""
        most = (1 << (self.bits_stored - self.signed)) - 1
        return (-most - 1, most) if self.signed else (0, most)

    @property
    def subsampled(self) -> bool:
        """Whether native frames hold two luminances for each pair of chrominances."""
        return self.photometric_interpretation in _SUBSAMPLED


def pixel_layout(elements: Elements, settings: Settings, *, pixel_tag: int, source: str) -> PixelLayout:
    """
    Read the layout from the attributes.

    Parameters
    ----------
    elements
        The attributes.
    settings
        Limits.
    pixel_tag
        PixelData, FloatPixelData or DoubleFloatPixelData.
    source
        For messages.

    Raises
    ------
    MetadataError
        If an attribute is missing or out of range.
    LimitError
        If a frame or the number of frames is beyond the limits.
    UnsupportedError
        If samples have a size that no array can hold.
    """
    with naming(source):
        layout = _LAYOUTS[pixel_tag].get(elements, lambda each: _described(each, pixel_tag))
        _check_limits(layout, settings)
        return layout


def _described(elements: Elements, pixel_tag: int) -> PixelLayout:
    rows, columns = _needed(elements, tags.ROWS, "Rows"), _needed(elements, tags.COLUMNS, "Columns")
    samples = _needed(elements, tags.SAMPLES_PER_PIXEL, "SamplesPerPixel")
    frames = elements.integer(tags.NUMBER_OF_FRAMES) or 1
    bits_allocated, bits_stored, dtype = _sample(elements, pixel_tag, colour=samples > 1)
    photometric = _photometric_interpretation(elements, samples)
    if frames < 1:
        raise MetadataError(f"NumberOfFrames is {frames}")
    pixels = rows * columns
    subsampled = photometric in _SUBSAMPLED and samples == 3
    return PixelLayout(
        rows=rows,
        columns=columns,
        samples=samples,
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        signed=dtype.kind == "i",
        photometric_interpretation=photometric,
        planar=samples > 1 and elements.integer(tags.PLANAR_CONFIGURATION) == 1,
        frames=frames,
        dtype=dtype,
        shape=(rows, columns) if samples == 1 else (rows, columns, samples),
        # The last pixel of an odd number shares its chrominances with none, and they are there all the same.
        frame_bits=bits_allocated * (2 * (pixels + pixels % 2) if subsampled else pixels * samples),
    )


def _needed(elements: Elements, tag: tags.Attribute, name: str) -> int:
    value = elements.integer(tag)
    if value is None or value < 1:
        found = "missing" if value is None else str(value)
        raise MetadataError(f"{name} is {found}", hint="The object does not describe an image.")
    return value


def _sample(elements: Elements, pixel_tag: int, *, colour: bool) -> tuple[int, int, np.dtype[Any]]:
    """Return BitsAllocated, BitsStored and the dtype of a sample."""
    if pixel_tag in _FLOATS:
        dtype = _FLOATS[pixel_tag]
        return dtype.itemsize * 8, dtype.itemsize * 8, dtype
    allocated = _needed(elements, tags.BITS_ALLOCATED, "BitsAllocated")
    stored = elements.integer(tags.BITS_STORED) or allocated
    # Colours are unsigned, whatever some writers say.
    signed = not colour and elements.integer(tags.PIXEL_REPRESENTATION) == 1
    if allocated not in {1, 8, 16, 32, 64}:
        raise UnsupportedError(
            f"samples of {allocated} bits are not supported", hint="1, 8, 16, 32 and 64 are."
        )
    if not 1 <= stored <= allocated:
        raise MetadataError(f"BitsStored is {stored} where BitsAllocated is {allocated}")
    return (
        allocated,
        stored,
        np.dtype("u1" if allocated == 1 else f"{'i' if signed else 'u'}{allocated // 8}"),
    )


def _photometric_interpretation(elements: Elements, samples: int) -> str:
    photometric = elements.text(tags.PHOTOMETRIC_INTERPRETATION).upper()
    if not photometric:
        raise MetadataError("PhotometricInterpretation is missing")
    if samples not in {1, 3, 4} or (samples == 1) != (photometric in _ONE_SAMPLE):
        raise MetadataError(
            f"PhotometricInterpretation is {photometric[:16]} where SamplesPerPixel is {samples}"
        )
    return photometric


def _check_limits(layout: PixelLayout, settings: Settings) -> None:
    for name, size, limit in (
        ("max_pixels", layout.rows * layout.columns, settings.max_pixels),
        ("max_frames", layout.frames, settings.max_frames),
        ("max_image_bytes", layout.decoded_bytes, settings.max_image_bytes),
    ):
        if size > limit:
            raise LimitError(
                f"the image is larger than {name} allows: {size:,} where the limit is {limit:,}",
                hint=f"Raise {name} in the settings if you trust the object.",
            )


_LAYOUTS: Final[dict[int, Memo[PixelLayout]]] = {
    tag: Memo[PixelLayout](
        tags.ROWS,
        tags.COLUMNS,
        tags.SAMPLES_PER_PIXEL,
        tags.NUMBER_OF_FRAMES,
        tags.BITS_ALLOCATED,
        tags.BITS_STORED,
        tags.PIXEL_REPRESENTATION,
        tags.PHOTOMETRIC_INTERPRETATION,
        tags.PLANAR_CONFIGURATION,
    )
    for tag in (tags.PIXEL_DATA, tags.FLOAT_PIXEL_DATA, tags.DOUBLE_FLOAT_PIXEL_DATA)
}
