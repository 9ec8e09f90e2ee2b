from __future__ import annotations

import gzip
import io
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadstone.errors import IntegrityError, LimitError, UnsupportedError
from loadstone.settings import Settings
from loadstone.transport import Headers
from loadstone.transport._body import Body, BrokenBodyError, body_of, gunzipped

CHUNKED = Headers({"Transfer-Encoding": "chunked"})
GZIP = Headers({"Content-Encoding": "gzip"})


class Trickle(io.RawIOBase):
    """A socket that gives a few bytes at a time."""

    def __init__(self, data: bytes, step: int) -> None:
        super().__init__()
        self._data = io.BytesIO(data)
        self._step = step

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        piece = self._data.read(min(self._step, len(buffer)))
        buffer[: len(piece)] = piece
        return len(piece)


def body(data: bytes, headers: Headers, *, step: int = 1 << 20, buffer: int = 16) -> Body:
    file = io.BufferedReader(Trickle(data, step), buffer)
    return body_of(cast("io.BufferedReader", file), 200, headers, method="GET")


def sized(data: bytes, length: int) -> Body:
    return body(data, Headers({"Content-Length": str(length)}))


def chunks(data: bytes, sizes: list[int]) -> bytes:
    pieces, start = [], 0
    for size in sizes:
        pieces.append(data[start : start + size])
        start += size
    pieces.append(data[start:])
    return b"".join(b"%X;x=y\r\n%s\r\n" % (len(each), each) for each in pieces if each) + b"0\r\nA: b\r\n\r\n"


def drained(source: Body, sizes: list[int]) -> bytes:
    """Read with all three methods in turn."""
    parts: list[bytes] = []
    turn = 0
    while not source.done:
        size = sizes[turn % len(sizes)]
        if turn % 3 == 0:
            buffer = bytearray(size)
            parts.append(bytes(buffer[: source.readinto(memoryview(buffer))] if size else b""))
            parts[-1] = bytes(buffer[: len(parts[-1])])
        else:
            parts.append(source.read(size) if turn % 3 == 1 else source.read1(size))
        turn += 1
    return b"".join(parts)


@given(
    data=st.binary(max_size=300),
    splits=st.lists(st.integers(1, 50), max_size=8),
    reads=st.lists(st.integers(1, 70), min_size=1, max_size=5),
    step=st.integers(1, 40),
)
def test_every_framing_gives_the_same_bytes(
    data: bytes, splits: list[int], reads: list[int], step: int
) -> None:
    """However a body is framed, cut into packets and read, it is the same body, and its end is noticed."""
    framed = {
        "length": body(data, Headers({"Content-Length": str(len(data))}), step=step),
        "chunked": body(chunks(data, splits), CHUNKED, step=step),
        "close": body(data, Headers(), step=step),
    }
    packed = gzip.compress(data[:100]) + gzip.compress(data[100:])
    framed["gzip"] = gunzipped(
        body(packed, Headers({"Content-Length": str(len(packed))}), step=step),
        GZIP,
        Settings(),
        accepted=True,
    )

    assert {name: drained(each, reads) for name, each in framed.items()} == dict.fromkeys(framed, data)


@pytest.mark.parametrize("how", ["read", "read1", "readinto"])
def test_every_cut_of_a_framed_body_is_noticed(how: str) -> None:
    """A body that ends early is an error wherever it ends, data or framing, by every way to read."""
    data = bytes(range(64))
    whole = {"length": data, "chunked": b"%04X\r\n%s\r\n0\r\n" % (64, data)}

    def read(source: Body) -> None:
        while not source.done:
            if how == "readinto":
                source.readinto(memoryview(bytearray(40)))
            else:
                getattr(source, how)(40)

    for cut in range(len(data)):
        with pytest.raises(BrokenBodyError, match="ended"):
            read(sized(whole["length"][:cut], 64))
    for cut in range(len(whole["chunked"])):
        with pytest.raises(BrokenBodyError):
            read(body(whole["chunked"][:cut], CHUNKED))


def test_size_without_its_line_break_is_no_last_chunk() -> None:
    """A connection cut within the size "08" is not taken for the last chunk, "0"."""
    with pytest.raises(BrokenBodyError, match="ended"):
        body(b"4\r\nabcd\r\n0", CHUNKED).read(10)


@pytest.mark.parametrize(
    "wire",
    [
        b"-4\r\nabcd\r\n",
        b"+4\r\nabcd\r\n",
        b"xyz\r\n",
        b"\r\n",
        b"4\r\nabcdef\r\n0\r\n\r\n",
        b"0\r\n" + b"a\r\n" * 101,
    ],
)
def test_malformed_chunks_are_refused(wire: bytes) -> None:
    """What is no chunk, or not as long as it says, or has endless trailers, is an error."""
    with pytest.raises(BrokenBodyError):
        body(wire, CHUNKED).read(10)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Length": "x"},
        {"Content-Length": "-1"},
        {"Content-Length": "3, 4"},
        {"Content-Length": "9" * 30},
        {"Transfer-Encoding": "gzip, chunked"},
    ],
)
def test_unclear_framing_is_refused(headers: dict[str, str]) -> None:
    """A body whose end is not clearly announced is an error, never a guess."""
    with pytest.raises(BrokenBodyError):
        body(b"abc", Headers(headers))


def test_repeated_equal_length_is_one_length() -> None:
    """A Content-Length that a proxy repeated is legal when all say the same (RFC 9112, 6.3)."""
    assert body(b"abc", Headers({"Content-Length": "3, 3"})).read(9) == b"abc"


def test_gzip_bomb_is_stopped() -> None:
    """Past the free bytes, a body that expands more than the ratio is refused."""
    packed = gzip.compress(bytes(2_000_000))
    source = gunzipped(sized(packed, len(packed)), GZIP, Settings(free_ratio_bytes=100_000), accepted=True)

    with pytest.raises(LimitError, match="200 times"):
        source.read(2_000_000)


def test_damaged_and_cut_gzip_are_told_apart() -> None:
    """A gzip body that ends early may be retried, a damaged one is an integrity error."""
    packed = gzip.compress(b"abc" * 100)
    damaged = packed[:-5] + b"\0\0\0\0\0"

    with pytest.raises(BrokenBodyError, match="ended"):
        gunzipped(sized(packed[:-5], len(packed) - 5), GZIP, Settings(), accepted=True).read(1000)
    with pytest.raises(IntegrityError, match="damaged"):
        gunzipped(sized(damaged, len(packed)), GZIP, Settings(), accepted=True).read(1000)


@pytest.mark.parametrize("coding", ["br", "gzip, gzip", "gzip,gzip,gzip,gzip,gzip,gzip", "deflate"])
def test_encodings_that_nobody_asked_for_are_refused(coding: str) -> None:
    """Unknown and stacked content encodings are refused before a byte is decoded."""
    with pytest.raises(UnsupportedError):
        gunzipped(sized(b"abc", 3), Headers({"Content-Encoding": coding}), Settings(), accepted=True)


def test_gzip_is_decoded_only_on_request() -> None:
    """Compression that the request excluded is refused; an empty body has nothing to decode."""
    with pytest.raises(UnsupportedError, match="not asked"):
        gunzipped(sized(b"abc", 3), GZIP, Settings(), accepted=False)

    assert gunzipped(sized(b"", 0), GZIP, Settings(), accepted=False).read(3) == b""
