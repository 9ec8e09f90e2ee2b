"""
JPEG frames whose data end before their last pixel.

libjpeg makes up what is missing, mid-grey as a rule, and only warns, which nobody hears. A frame without an
end of image is refused before it is decoded; but programs that "repair" such frames write one. Whether the
data reach to the last pixel shows when bytes are put behind them: if they do, nobody reads those; if they do
not, the decoder takes them for pixels, and the picture changes. That costs a second decode, so it is only
done where the last pixel is mid-grey, or where components come one after the other and only some may be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from loadstone.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from loadstone_wado.codecs.codestream import Codestream

__all__ = ["refuse_early_end"]

_END: Final = b"\xff\xd9"
_CODED: Final = bytes(range(0xB0, 0xF0))
"""Bytes that mean something else to the decoder than the zeros that it takes for missing ones; no marker."""
_MORE: Final = _CODED + b"".join(bytes((0xFF, 0xD0 + number)) + _CODED for number in range(8))
"""The same behind every restart marker too: cut in front of one, the decoder waits for nothing else."""


def refuse_early_end(
    data: bytes | memoryview,
    codestream: Codestream,
    out: npt.NDArray[Any],
    decode: Callable[[bytes, npt.NDArray[Any]], None],
) -> None:
    """
    Refuse a frame whose data do not reach its last pixel.

    Parameters
    ----------
    data
        The frame, which has an end of image.
    codestream
        What it says about itself.
    out
        What was decoded, ``(rows, columns)`` or ``(rows, columns, samples)``.
    decode
        Decodes a frame into an array like `out`.

    Raises
    ------
    IntegrityError
        If they do not.
    Exception
        Whatever the decoder raises when what follows the data makes no sense to it: they did not.
    """
    if codestream.interleaved and not _ends_in_grey(out, codestream.precision):
        return
    whole = bytes(data)
    end = whole.rindex(_END)
    scans = whole[:end].rstrip(b"\xff")  # fill bytes are part of the marker
    again = np.empty_like(out)
    decode(scans + _MORE + whole[end:], again)
    if not np.array_equal(again, out):
        raise IntegrityError("the JPEG frame is truncated: its data end before its last pixel")


def _ends_in_grey(out: npt.NDArray[Any], precision: int) -> bool:
    """Whether the last pixel is such as the decoder makes without data, to one level."""
    pattern = (1 << precision) - 1
    grey = 1 << (precision - 1)
    return all(abs((sample & pattern) - grey) <= 1 for sample in out[-1, -1:].ravel().tolist())
