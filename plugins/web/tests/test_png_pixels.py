"""Every colour type, depth, transparency, interlace and filter, made here and undone as PNG defines them."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadstone.errors import DecodeError
from loadstone_web import png_bands
from plugins.web.tests.builders import SIGNATURE, chunk, header_of, ihdr, pixels_of

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
ALL_KINDS = [(colour, depth) for colour, depths in KINDS.items() for depth in depths]
ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


@pytest.fixture(autouse=True, scope="module", params=["whole", "bands of 40 bytes"])
def _ways(request: pytest.FixtureRequest) -> Iterator[None]:
    """Decode in one piece, as small images are, and in bands, as large ones are."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param != "whole":
            patch.setattr(png_bands, "_BAND", 40)
        yield


def packed_rows(samples: npt.NDArray[Any], depth: int) -> npt.NDArray[np.uint8]:
    """Return the bytes of each row: samples of a pixel together, the first in the highest bits."""
    flat = samples.reshape(len(samples), -1)
    bits = (flat[..., None] >> np.arange(depth)[::-1]) & 1
    return np.packbits(bits.reshape(len(samples), -1).astype(np.uint8), axis=1)


def filtered(rows: npt.NDArray[np.uint8], step: int, filters: Iterator[int]) -> bytes:
    """Filter each row by one of the five methods (section 9 of the specification)."""
    written = bytearray()
    above = np.zeros(rows.shape[1], int)
    for row in rows.astype(int):
        left, corner = (np.pad(each, (step, 0))[: len(each)] for each in (row, above))
        estimate = left + above - corner
        nearest = np.argmin([abs(estimate - each) for each in (left, above, corner)], axis=0)
        paeth = np.choose(nearest, [left, above, corner])
        method = next(filters)
        guess = (0 * row, left, above, (left + above) // 2, paeth)[method]
        written += bytes([method]) + ((row - guess) % 256).astype(np.uint8).tobytes()
        above = row
    return bytes(written)


def encoded(
    samples: npt.NDArray[Any], colour: int, depth: int, *, interlaced: bool, seed: int, extra: bytes = b""
) -> bytes:
    """Write samples of shape ``(rows, columns, n)`` as a PNG whose rows are filtered at random."""
    filters = iter(np.random.default_rng(seed).integers(0, 5, 1000).tolist())
    passes = [samples[y::dy, x::dx] for y, x, dy, dx in ADAM7] if interlaced else [samples]
    step = max(1, depth * SAMPLES[colour] // 8)
    stream = b"".join(filtered(packed_rows(each, depth), step, filters) for each in passes if each.size)
    rows, columns = samples.shape[:2]
    packed = zlib.compress(stream)
    middle = len(packed) // 2
    return b"".join(
        (
            SIGNATURE,
            ihdr(columns, rows, depth, colour, bytes([0, 0, interlaced])),
            extra,
            chunk(b"IDAT", packed[:middle]),
            chunk(b"IDAT", packed[middle:]),
            chunk(b"IEND", b""),
        )
    )


def random_samples(rows: int, columns: int, colour: int, depth: int, seed: int) -> npt.NDArray[np.uint16]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2**depth, (rows, columns, SAMPLES[colour]), dtype=np.uint16, endpoint=False)


def palette(depth: int) -> npt.NDArray[np.uint8]:
    """Return RGBA entries, of which the first three are transparent to a degree."""
    entries = np.random.default_rng(depth).integers(0, 256, (2**depth, 4), dtype=np.uint8)
    entries[3:, 3] = 255
    return entries


def palette_chunks(entries: npt.NDArray[np.uint8], *, transparent: bool) -> bytes:
    alpha = chunk(b"tRNS", entries[:3, 3].tobytes()) if transparent else b""
    return chunk(b"PLTE", entries[:, :3].tobytes()) + alpha


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("colour", "depth"), ALL_KINDS)
@given(size=st.tuples(st.integers(1, 17), st.integers(1, 17)), seed=st.integers(0, 2**32 - 1))
def test_every_kind_gives_its_samples(
    colour: int, depth: int, interlaced: bool, size: tuple[int, int], seed: int
) -> None:
    """All fifteen kinds, plain and interlaced, of any size, with any filters, come back exactly."""
    samples = random_samples(*size, colour, depth, seed)
    entries = palette(depth) if colour == 3 else None
    extra = b"" if entries is None else palette_chunks(entries, transparent=False)

    read = pixels_of(encoded(samples, colour, depth, interlaced=interlaced, seed=seed, extra=extra))

    if entries is not None:
        expected = entries[samples[..., 0], :3]
    else:
        most = 65535 if depth == 16 else 255
        spread = samples.astype(int) * most // (2**depth - 1)
        expected = spread[..., [0, 0, 0, 1]] if colour == 4 else spread
        expected = expected[..., 0] if colour == 0 else expected
    np.testing.assert_array_equal(read, expected)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_palette_with_transparency_gives_alpha(depth: int, interlaced: bool) -> None:
    """Entries beyond the end of ``tRNS`` are opaque."""
    samples = random_samples(13, 11, 3, depth, depth)
    entries = palette(depth)
    extra = palette_chunks(entries, transparent=True)

    read = pixels_of(encoded(samples, 3, depth, interlaced=interlaced, seed=1, extra=extra))

    np.testing.assert_array_equal(read, entries[samples[..., 0]])


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("colour", "depth"), [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16)])
def test_one_transparent_value_gives_alpha(colour: int, depth: int, interlaced: bool) -> None:
    """A pixel is transparent where all its samples, with all their bits, are those of ``tRNS``."""
    samples = random_samples(9, 14, colour, depth, depth)
    value = samples[4, 5]
    extra = chunk(b"tRNS", struct.pack(f">{len(value)}H", *value.tolist()))

    read = pixels_of(encoded(samples, colour, depth, interlaced=interlaced, seed=2, extra=extra))

    most = 65535 if depth == 16 else 255
    spread = np.broadcast_to(samples.astype(int) * most // (2**depth - 1), (9, 14, 3))
    np.testing.assert_array_equal(read[..., :3], spread)
    np.testing.assert_array_equal(read[..., 3], np.where((samples == value).all(axis=-1), 0, most))


@pytest.mark.parametrize(("colour", "depth"), [kind for kind in ALL_KINDS if kind[0] != 4])
def test_the_fast_way_equals_that_of_the_decoder_alone(colour: int, depth: int) -> None:
    """Unpacking the pixels here gives what libpng gives when it unpacks them."""
    samples = random_samples(40, 33, colour, depth, 3)
    extra = palette_chunks(palette(depth), transparent=True) if colour == 3 else b""
    data = encoded(samples, colour, depth, interlaced=False, seed=3, extra=extra)

    np.testing.assert_array_equal(pixels_of(data), imagecodecs.png_decode(data))


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("damage", ["short", "wrong checksum", "wrong filter"])
def test_pixel_data_that_is_damaged_is_refused(damage: str, interlaced: bool) -> None:
    """Whole chunks with right checksums around pixels that are not: no picture."""
    rows = b"".join(bytes([7 if damage == "wrong filter" else 0]) + bytes(8) for _ in range(8))
    packed = zlib.compress(rows[:20] if damage == "short" else rows)
    packed = packed[:-1] + b"x" if damage == "wrong checksum" else packed
    head = SIGNATURE + ihdr(8, 8, 8, 0, bytes([0, 0, interlaced]))

    with pytest.raises(DecodeError):
        pixels_of(head + chunk(b"IDAT", packed) + chunk(b"IEND", b""))


def test_bytes_behind_the_last_row_change_no_pixel() -> None:
    """Encoders that pack more than the rows exist; what is too much is left out."""
    rows = b"".join(b"\0" + bytes([y] * 8) for y in range(8)) + b"more"
    data = SIGNATURE + ihdr(8, 8, 8, 0) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")

    assert header_of(data).rows == 8
    assert pixels_of(data)[:, 0].tolist() == list(range(8))
