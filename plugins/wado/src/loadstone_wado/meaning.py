"""What the array of a frame means, in the kind of values that was asked for: scale, units, windows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from loadstone.errors import MetadataError
from loadstone.metadata import Scaling, VoiLut, Window
from loadstone_wado import tags
from loadstone_wado.naming import naming
from loadstone_wado.real_world import real_world_map
from loadstone_wado.suv import SUV_UNITS, suv_factor
from loadstone_wado.values import modality_lut

if TYPE_CHECKING:
    from loadstone_wado.instance import Instance
    from loadstone_wado.output import Output

__all__ = ["frame_scaling", "frame_voi_lut"]

_NOTHING: Final = Scaling()
_THRESHOLD: Final = 1e-9
"""In place of no width at all, which only LINEAR has a rule for."""


def frame_scaling(instance: Instance, number: int, output: Output) -> Scaling:
    """
    Return what the core is to apply to the array of a frame, and the units that this gives.

    Parameters
    ----------
    instance
        The object.
    number
        The frame, from 1.
    output
        Which array it becomes.

    Raises
    ------
    MetadataError, UnsupportedError
        If the values that were asked for cannot be had.
    """
    if output.table:
        # It was applied already, as a real-world map is.
        return Scaling(units=output.table.units)
    if output.as_real_world:
        with naming(instance.source):
            return Scaling(units=real_world_map(instance.frame(number)).units)
    if len(output.shape) == 3:
        return _NOTHING
    if not output.scaled:
        return _if_known(instance, number)
    scaling = instance.frame(number).scaling
    if output.values is None:
        return scaling
    factor = _suv_factor(instance, number, output.values)
    return Scaling(factor * scaling.slope, factor * scaling.intercept, SUV_UNITS[output.values])


def frame_voi_lut(instance: Instance, number: int, output: Output) -> VoiLut:
    """Return how a frame is meant to be shown; parameters and errors as for `frame_scaling`."""
    recorded = instance.frame(number).voi_lut
    if output.values is None:
        return recorded
    if output.as_real_world:
        # The windows are those of modality values, from which nothing leads to real-world values.
        return VoiLut()
    factor = _suv_factor(instance, number, output.values)
    return VoiLut(tuple([_times(factor, each) for each in recorded.windows]))


def _if_known(instance: Instance, number: int) -> Scaling:
    try:
        return instance.frame(number).scaling
    except MetadataError:
        # Stored values can be had without knowing what they mean.
        return _NOTHING


def _suv_factor(instance: Instance, number: int, kind: str) -> float:
    """Return what the modality values of a frame are multiplied by."""
    units = instance.elements.text(tags.UNITS) or modality_lut(instance.frame(number)).rescale_type or ""
    known = instance.suv_factors
    if (kind, units) not in known:
        with naming(instance.source):
            known[kind, units] = suv_factor(kind, instance.elements, units.upper(), instance.all_elements)
    return known[kind, units]


def _times(factor: float, window: Window) -> Window:
    """Return the window of values that are `factor` times as large."""
    if window.function != "LINEAR":
        return replace(window, center=factor * window.center, width=factor * window.width)
    # LINEAR steps in whole numbers, which SUV are not: the same ends are those of an exact one (C.11.2.1.2).
    center, width = factor * (window.center - 0.5), factor * max(window.width - 1, _THRESHOLD)
    return replace(window, center=center, width=width, function="LINEAR_EXACT")
