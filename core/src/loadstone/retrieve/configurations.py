"""The retrieve configurations that are there from the start."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from loadstone.errors import LoadstoneError
from loadstone.image import Quality
from loadstone.pools import RequestType
from loadstone.retrieve.stages import NearbyFill, RetrieveConfiguration, RetrieveOptions, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "BUILT_IN",
    "BYTE_RANGES",
    "INTERLEAVED",
    "RESOLUTION_LEVELS",
    "SEQUENTIAL",
    "SINGLE",
    "outward",
]

CHUNK_BYTES: Final = 64 * 1024
"""Of an encoded image that are enough for a coarse one."""

_NEARBY: Final = (
    NearbyFill(-1, Quality.ADJACENT_REPLICATE),
    NearbyFill(1, Quality.ADJACENT_REPLICATE),
    NearbyFill(2, Quality.FAR_REPLICATE),
)
_COARSE: Final = RetrieveOptions(Quality.SUBRESOLUTION)

SINGLE: Final = RetrieveConfiguration((Stage("all", retrieve_type="single"),))
"""Every image once, at its final quality."""

SEQUENTIAL: Final = RetrieveConfiguration.of(
    [Stage("fast", retrieve_type="single_fast"), Stage("final", retrieve_type="single_final")],
    single_fast=_COARSE,
)
"""Every image coarse, in the way that its loader finds best, then every image at its final quality."""

BYTE_RANGES: Final = SEQUENTIAL.with_options(
    single_fast=RetrieveOptions(Quality.SUBRESOLUTION, byte_range=(0, CHUNK_BYTES)),
    single_final=RetrieveOptions(byte_range=(CHUNK_BYTES, None)),
)
"""The first 64 KiB of every image, then the rest: for codestreams that begin with a coarse image (HTJ2K)."""

RESOLUTION_LEVELS: Final = RetrieveConfiguration.of(
    [
        Stage("quarter", retrieve_type="quarter"),
        Stage("half", retrieve_type="half"),
        Stage("final", retrieve_type="single_final"),
    ],
    quarter=RetrieveOptions(Quality.SUBRESOLUTION, decode_level=2),
    half=RetrieveOptions(Quality.SUBRESOLUTION, decode_level=1),
)
"""Every image at a quarter of its rows and columns, at half of them, then whole (HTJ2K)."""


def _quarter(name: str, offset: int, priority: int, *, fast: bool = False) -> Stage:
    return Stage(
        name,
        decimate=4,
        offset=offset,
        retrieve_type="multiple_fast" if fast else "multiple_final",
        request_type=RequestType.THUMBNAIL,
        priority=priority,
        nearby=_NEARBY if fast else (),
    )


INTERLEAVED: Final = RetrieveConfiguration(
    (
        Stage(
            "initial",
            positions=(0.5, 0, -1),
            request_type=RequestType.THUMBNAIL,
            priority=5,
            nearby=_NEARBY,
        ),
        _quarter("quarter fast", 3, 6, fast=True),
        _quarter("half fast", 1, 7, fast=True),
        _quarter("quarter final", 2, 8),
        _quarter("half final", 0, 9),
        _quarter("three quarters final", 1, 10),
        _quarter("all final", 3, 11),
        Stage("once more", request_type=RequestType.THUMBNAIL, priority=12),
    )
)
"""
The middle, the first and the last image, then every fourth, standing in for their neighbours, then the rest.

Its first passes are of the retrieve type ``multiple_fast``: ``INTERLEAVED.with_options(multiple_fast=…)``
makes them coarse. What failed is asked for once more at the end.
"""

BUILT_IN: Final[Mapping[str, RetrieveConfiguration]] = MappingProxyType(
    {
        "single": SINGLE,
        "sequential": SEQUENTIAL,
        "interleaved": INTERLEAVED,
        "byte-ranges": BYTE_RANGES,
        "resolution-levels": RESOLUTION_LEVELS,
    }
)
"""By the name that ``retrieve=`` and the setting take."""


def outward(current: int, groups: int, images: int) -> RetrieveConfiguration:
    """
    Load a volume group by group, from one outward: the time points of a 4-D volume.

    Parameters
    ----------
    current
        The group that comes first; then, in turn, the one before and the one behind, ever further away.
    groups
        Number of groups: the length of the leading axis.
    images
        Images of each group: slices of a time point.

    Returns
    -------
    RetrieveConfiguration
        One stage for each group, named ``group n``, at the final quality.

    Raises
    ------
    LoadstoneError
        If there is no such group.

    Examples
    --------
    >>> [stage.name for stage in outward(1, 4, 20).stages]
    ['group 1', 'group 0', 'group 2', 'group 3']
    """
    if not 0 <= current < groups or images < 1:
        raise LoadstoneError(f"there is no group {current} among {groups} of {images} images")
    order = sorted(range(groups), key=lambda group: (abs(group - current), group))
    return RetrieveConfiguration(
        tuple(
            Stage(
                f"group {group}",
                positions=tuple(range(group * images, (group + 1) * images)),
                priority=priority,
            )
            for priority, group in enumerate(order)
        )
    )
