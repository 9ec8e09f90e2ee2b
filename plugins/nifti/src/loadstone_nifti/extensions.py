"""Header extensions (nifti1.h, "EXTENDED HEADER"): blocks of bytes between a header and the voxels."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from loadstone.geometry import Finding, FindingKind

if TYPE_CHECKING:
    from loadstone_nifti.layouts import Layout

__all__ = ["walk_extensions"]

_LEAST_BYTES = 16


def walk_extensions(head: bytes, layout: Layout) -> tuple[int, Finding | None]:
    """
    Walk over the extensions; they say nothing about voxels, so that damaged ones are only noted.

    Parameters
    ----------
    head
        Everything in front of the voxels.
    layout
        Of the header.

    Returns
    -------
    end : int
        Byte at which the last one ends that is whole.
    broken : Finding or None
        About the first one whose size makes no sense. Zeros up to the voxels are none: some writers fill up.
    """
    at = layout.extensions_at
    if layout.is_analyze or len(head) < at or not head[layout.size]:
        return min(at, len(head)), None
    while at + _LEAST_BYTES <= len(head):
        length = struct.unpack_from(layout.order + "i", head, at)[0]
        if length < _LEAST_BYTES or length % _LEAST_BYTES or at + length > len(head):
            if not any(head[at:]):
                break
            message = f"the header extension at byte {at} says it has {length} bytes; the rest is left out"
            return at, Finding(FindingKind.NOTED, message)
        at += length
    return at, None
