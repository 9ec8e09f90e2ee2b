"""
Which chunks a PNG must have, and where (W3C PNG, third edition, 5.6 and 11.2).

Decoders go on in different ways where a file breaks these rules: one leaves transparency out, one shows
another palette, one ends. There is no picture that the file vouches for.
"""

from __future__ import annotations

from typing import Final

from loadstone.errors import DecodeError, IntegrityError, UnsupportedError

__all__ = ["ChunkOrder"]

_CRITICAL: Final = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})
_UPPER_CASE: Final = range(ord("A"), ord("Z") + 1)
_COLOUR_BYTES: Final = 3
_MOST_COLOURS: Final = 256
_TRANSPARENT_BYTES: Final = {"grey": 2, "RGB": 6}


class ChunkOrder:
    """Sees the chunks of one file as they come."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._last = b""
        self._lengths: dict[bytes, int] = {}

    def see(self, kind: bytes, length: int) -> None:
        """
        Take the next chunk.

        Raises
        ------
        IntegrityError
            If its name is none.
        DecodeError
            If it may not stand there.
        UnsupportedError
            If it is one that a reader has to know, and this one does not.
        """
        if not (kind.isalpha() and kind.isascii()):
            raise IntegrityError(
                f"the PNG is damaged: a chunk has the name {kind!r}",
                source=self._source,
                hint="Fetch it again.",
            )
        if not self._last and kind != b"IHDR":
            raise self._wrong("the first chunk of the PNG is not IHDR")
        if kind not in _CRITICAL and kind[0] in _UPPER_CASE:
            raise UnsupportedError(
                f"the PNG needs a reader that knows its chunk {kind.decode('ascii')}",
                source=self._source,
                hint="Write it again as a PNG of the standard.",
            )
        if kind in {b"IHDR", b"PLTE"} and kind in self._lengths:
            raise self._wrong(f"the PNG has the chunk {kind.decode('ascii')} twice")
        is_late = kind in {b"PLTE", b"tRNS"} or (kind == b"IDAT" and self._last != b"IDAT")
        if is_late and b"IDAT" in self._lengths:
            raise self._wrong(f"the PNG has a chunk {kind.decode('ascii')} behind its pixel data")
        self._last = kind
        self._lengths.setdefault(kind, length)

    def check(self, colour: str) -> None:
        """
        Compare palette and transparency, as far as there are any, with what the pixels are.

        Parameters
        ----------
        colour
            ``grey``, ``RGB``, ``palette``, …

        Raises
        ------
        IntegrityError
            If there are no pixels.
        DecodeError
            If there is no palette, or transparency of another palette.
        """
        if b"IDAT" not in self._lengths:
            raise IntegrityError("the PNG has no pixel data (no IDAT chunk)", source=self._source)
        transparent = self._lengths.get(b"tRNS")
        if colour == "palette":
            self._check_palette(transparent or 0)
        elif transparent is not None and transparent != _TRANSPARENT_BYTES.get(colour, transparent):
            raise self._wrong(f"the PNG chunk tRNS has {transparent} bytes, which {colour} does not have")

    def _check_palette(self, transparent: int) -> None:
        colours, rest = divmod(self._lengths.get(b"PLTE", 0), _COLOUR_BYTES)
        if not 0 < colours <= _MOST_COLOURS or rest:
            size = f"of {self._lengths[b'PLTE']:,} bytes" if b"PLTE" in self._lengths else "that is not there"
            raise self._wrong(f"the PNG has a palette {size}")
        kinds = list(self._lengths)
        if transparent > colours or (transparent and kinds.index(b"tRNS") < kinds.index(b"PLTE")):
            raise self._wrong(
                f"the PNG chunk tRNS says how transparent {transparent} colours are, "
                f"and is not of the palette of {colours}"
            )

    def _wrong(self, what: str) -> DecodeError:
        return DecodeError(what, source=self._source, hint="Write it again with another program.")
