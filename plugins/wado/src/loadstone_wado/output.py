"""Which array an object's frames become: shape, dtype and colour space, known before anything is decoded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from loadstone.errors import MetadataError, UnsupportedError
from loadstone_wado.native import is_plain
from loadstone_wado.palettes import Palette, read_palette
from loadstone_wado.real_world import real_world_dtype
from loadstone_wado.suv import SUV_UNITS
from loadstone_wado.values import LookUpTable, modality_table

if TYPE_CHECKING:
    import numpy as np

    from loadstone_wado.instance import Instance
    from loadstone_wado.layout import PixelLayout

__all__ = ["VALUES", "Output", "describe_output"]

REAL_WORLD: Final = "rwv"
VALUES: Final = frozenset({REAL_WORLD, *SUV_UNITS})
"""The kinds of values that can be asked for in place of modality values."""


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """The array that each frame of an object becomes."""

    shape: tuple[int, ...]
    """(rows, columns), or (rows, columns, samples)."""
    dtype: np.dtype[Any]
    """Native byte order."""
    photometric_interpretation: str
    """Of the array; with stored colours a codestream may know better."""
    bits_stored: int | None
    """Bits of a sample that carry a value; None for floats."""
    as_rgb: bool = False
    """Whether colours are converted to RGB."""
    palette: Palette | None = None
    """Applied to indices."""
    table: LookUpTable | None = None
    """The modality LUT, applied to stored values."""
    scaled: bool = True
    """Whether values that mean something are wanted; False: stored values."""
    values: str | None = None
    """The kind of values that is wanted; None: modality values."""
    is_bytes: bool = False
    """Whether the bytes of an uncompressed frame, in native byte order, are the array as they are."""

    @property
    def is_stored(self) -> bool:
        """Whether the array is the stored values themselves."""
        return self.palette is None and self.table is None and not self.as_real_world

    @property
    def as_real_world(self) -> bool:
        """Whether stored values are mapped to real-world values, frame by frame."""
        return self.values == REAL_WORLD


def describe_output(instance: Instance, *, scaled: bool, values: str | None = None) -> Output:
    """
    Describe what the frames become.

    Parameters
    ----------
    instance
        The object.
    scaled
        Whether palette, colour space and modality LUT are applied; False: stored values.
    values
        The kind of values, in place of modality values.

    Raises
    ------
    LoadstoneError
        As `Instance.layout`; `MetadataError` if a palette or a LUT is damaged; `UnsupportedError` if such
        objects have no values of that kind.
    """
    output = _described(instance, scaled=scaled, values=values)
    layout = instance.layout
    as_they_are = not output.as_rgb or layout.photometric_interpretation == "RGB"
    return replace(output, is_bytes=output.is_stored and as_they_are and is_plain(layout))


def _described(instance: Instance, *, scaled: bool, values: str | None) -> Output:
    layout = instance.layout
    stored = _stored(layout)
    if not scaled:
        return replace(stored, scaled=False)
    if values is not None:
        return _of_kind(values, instance, stored)
    if layout.photometric_interpretation == "PALETTE COLOR":
        palette = read_palette(instance.elements)
        dtype = palette.colors.dtype
        shape = (layout.rows, layout.columns, 3)
        return Output(shape, dtype, "RGB", dtype.itemsize * 8, palette=palette)
    if layout.samples == 4:
        raise UnsupportedError(
            f"the photometric interpretation {layout.photometric_interpretation} cannot be shown as RGB",
            hint="Load it with scaled=False for the values as stored.",
        )
    if layout.samples == 3:
        return Output(layout.shape, layout.dtype, "RGB", layout.bits_stored, as_rgb=True)
    table = modality_table(instance.frame(1)) if layout.samples == 1 and layout.dtype.kind != "f" else None
    if table is None:
        return stored
    bits = table.entries.dtype.itemsize * 8
    return Output(layout.shape, table.entries.dtype, stored.photometric_interpretation, bits, table=table)


def _of_kind(values: str, instance: Instance, stored: Output) -> Output:
    layout = instance.layout
    if layout.samples > 1 or layout.photometric_interpretation == "PALETTE COLOR":
        raise UnsupportedError(f"values={values!r} is not for colours", hint="Load it without values=.")
    if values == REAL_WORLD:
        return replace(stored, dtype=real_world_dtype(layout.dtype), bits_stored=None, values=values)
    if modality_table(instance.frame(1)):
        raise MetadataError("SUV cannot be computed: its values come from a modality LUT")
    return replace(stored, values=values)


def _stored(layout: PixelLayout) -> Output:
    recorded = layout.photometric_interpretation
    decoded = {"YBR_RCT": "RGB", "YBR_ICT": "RGB", "YBR_FULL_422": "YBR_FULL"}.get(recorded, recorded)
    bits = None if layout.dtype.kind == "f" else layout.bits_stored
    return Output(layout.shape, layout.dtype, decoded, bits)
