"""
Codestreams of HTJ2K at a lower resolution, or of which only the beginning is there.

Both are wavelets without their finest details, whose filters overshoot at edges. OpenJPH lets what is out of
the range of the samples wrap around: 255 becomes 0. So a copy of the codestream says that its samples are
wider than they are, which leaves room for what is then clipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from loadstone.errors import IntegrityError
from loadstone_wado import transfer_syntaxes as ts
from loadstone_wado.codecs.codestream import Codestream, inspect_jpeg2000
from loadstone_wado.codecs.registry import Decoding, decoded_space, refuse_other_image
from loadstone_wado.codecs.swallowed import raising_swallowed_errors

if TYPE_CHECKING:
    import numpy.typing as npt

    from loadstone_wado.frames import EncodedFrame
    from loadstone_wado.layout import PixelLayout

__all__ = ["REDUCIBLE", "ends_with_mark", "level_for", "prepare_reduced"]

REDUCIBLE: Final = frozenset({ts.HTJ2K_LOSSLESS, ts.HTJ2K_LOSSLESS_RPCL, ts.HTJ2K})
"""Transfer syntaxes whose frames can be decoded in part."""

_START: Final = b"\xff\x4f\xff\x51"
_CODING_STYLE: Final = 0x52
_START_OF_TILE_PART: Final = 0x90
_LRCP, _RLCP, _RPCL = 0, 1, 2
_HEADROOM: Final = 2
"""Bits by which samples are said to be wider than they are."""
_WIDEST: Final = 24
"""Bits of a sample up to which there is room for that."""
_LEVEL_FROM: Final = ((1 / 4, 0), (1 / 16, 1), (1 / 64, 2))
"""Share of the bytes from which a level is worth decoding; it has a quarter of the samples of the next."""
_OVERHEAD: Final = 0.02
"""Share of the bytes that carry no samples: headers, and the rest of a cut packet."""


@dataclass(frozen=True, slots=True)
class _CodingStyle:
    """The coding style default of a codestream (ISO/IEC 15444-1 A.6.1)."""

    levels: int
    """How often its size can be halved."""
    coarse_first: bool
    """Whether its beginning holds the whole image at a lower resolution, rather than a part of it."""
    reversible: bool
    """Whether its wavelets are those of whole numbers."""


def level_for(share: float) -> int:
    """Return how often the size is best halved when `share` of the bytes of a frame is there."""
    return next((level for least, level in _LEVEL_FROM if share - _OVERHEAD > least), 3)


def ends_with_mark(data: bytes | memoryview) -> bool:
    """Say whether the end marker of a codestream is there; a byte may follow it, to make the length even."""
    tail = bytes(data[-3:])
    return tail.endswith(b"\xff\xd9") or tail == b"\xff\xd9\0"


def prepare_reduced(frame: EncodedFrame, layout: PixelLayout, level: int) -> Decoding | None:
    """
    Look at a frame that is to be decoded in part.

    Parameters
    ----------
    frame
        The codestream, or its beginning.
    layout
        Of the whole image.
    level
        How often rows and columns are halved, as far as the codestream allows; what is left is repeated to
        the full size.

    Returns
    -------
    Decoding or None
        None when this codestream gives no coarser image of the whole.

    Raises
    ------
    IntegrityError
        If it disagrees with the attributes, or ends within its header.
    """
    # Between two indices of a palette lies no colour between theirs.
    if frame.transfer_syntax_uid not in REDUCIBLE or layout.photometric_interpretation == "PALETTE COLOR":
        return None
    codestream, style = inspect_jpeg2000(frame.data), _coding_style(frame.data)
    refuse_other_image(codestream, layout)
    if not style.coarse_first or codestream.signed != layout.signed or codestream.precision > _WIDEST:
        return None
    halvings = min(level, style.levels)
    return Decoding(
        frame.transfer_syntax_uid,
        decoded_space(layout),
        lambda out: _decode(frame.data, codestream, style, layout, halvings=halvings, out=out),
    )


def _coding_style(data: bytes | memoryview) -> _CodingStyle:
    position = bytes(data[:4096]).find(_START) + 2
    try:
        while data[position + 1] != _START_OF_TILE_PART:
            if data[position + 1] == _CODING_STYLE:
                order, layers, levels = (
                    data[position + 5],
                    data[position + 6 : position + 8],
                    data[position + 9],
                )
                coarse_first = order in {_RLCP, _RPCL} or (order == _LRCP and bytes(layers) == b"\0\1")
                return _CodingStyle(levels, coarse_first, reversible=data[position + 13] == 1)
            position += 2 + (data[position + 2] << 8 | data[position + 3])
    except IndexError:
        pass
    raise IntegrityError("the JPEG 2000 codestream does not say how it is coded")


def _decode(
    data: bytes | memoryview,
    codestream: Codestream,
    style: _CodingStyle,
    layout: PixelLayout,
    *,
    halvings: int,
    out: npt.NDArray[Any],
) -> None:
    from imagecodecs import htj2k_decode

    with raising_swallowed_errors("imagecodecs._htj2k"):
        coarse = htj2k_decode(_with_headroom(data, codestream.components), skipres=halvings, resilient=True)
    wide = coarse.view(np.int32) if coarse.dtype.itemsize == 4 else coarse.astype(np.int32)
    samples = _without_headroom(wide, codestream, style)
    _clip(samples, codestream, layout)
    if not halvings:
        out[...] = samples
        return
    rows, columns = (_nearest(out.shape[axis], halvings, samples.shape[axis]) for axis in (0, 1))
    # Columns first, while there are few rows.
    samples.astype(out.dtype).take(columns, axis=1).take(rows, axis=0, out=out, mode="clip")


def _with_headroom(data: bytes | memoryview, components: int) -> bytearray:
    """Return a codestream that says its samples are wider (ISO/IEC 15444-1 A.5.1)."""
    wider = bytearray(data)
    depths = wider.find(_START) + 42
    for component in range(components):
        wider[depths + 3 * component] += _HEADROOM
    return wider


def _without_headroom(
    samples: npt.NDArray[np.int32], codestream: Codestream, style: _CodingStyle
) -> npt.NDArray[np.int32]:
    """
    Undo what the wider samples do to the values.

    Unsigned ones are shifted by half of their range (ISO/IEC 15444-1 G.1), which is a wider one here.
    Wavelets of whole numbers know no range; those of fractions give shares of it, so their values are larger.
    """
    middle = 0 if codestream.signed else 1 << (codestream.precision - 1)
    samples -= middle << _HEADROOM
    if not style.reversible:
        samples >>= _HEADROOM
    samples += middle
    return samples


def _clip(samples: npt.NDArray[np.int32], codestream: Codestream, layout: PixelLayout) -> None:
    """Bring back what the filters pushed out of the range that the attributes promise."""
    bits = min(codestream.precision, layout.bits_stored)
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if layout.signed else (0, (1 << bits) - 1)
    np.clip(samples, low, high, out=samples)


def _nearest(size: int, halvings: int, found: int) -> npt.NDArray[np.intp]:
    """Return the coarse sample next to each fine one: coarse sample k lies on fine sample k * 2^halvings."""
    half = (1 << halvings) >> 1
    nearest: npt.NDArray[np.intp] = (np.arange(size) + half) >> halvings
    return np.minimum(nearest, found - 1)
