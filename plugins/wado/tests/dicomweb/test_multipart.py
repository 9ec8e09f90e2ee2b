from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadstone import IntegrityError, LimitError, Settings
from loadstone_wado.dicomweb.bodies import Received
from loadstone_wado.dicomweb.multipart import parts_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadstone_wado.dicomweb.parts import Part

SETTINGS = Settings()
BOUNDARY = "b'+-=dary"
TYPE = f'multipart/related; type="application/octet-stream"; boundary="{BOUNDARY}"'


class Dripping(BytesIO):
    """A body that comes in pieces of any size."""

    def __init__(self, body: bytes, sizes: list[int]) -> None:
        super().__init__(body)
        self._sizes = sizes

    def read1(self, size: int | None = -1, /) -> bytes:
        drop = self._sizes.pop() if self._sizes else 1
        return super().read1(min(size or drop, drop))


def multipart(
    bodies: list[bytes],
    *,
    lengths: bool = True,
    ends: bool = True,
    preamble: bytes = b"",
    padding: bytes = b"",
    headers: bytes = b"Content-Type: a/b\r\n",
) -> bytes:
    text = bytearray(preamble)
    for number, body in enumerate(bodies):
        text += b"\r\n--" if number or preamble else b"--"
        text += BOUNDARY.encode() + padding + b"\r\n" + headers
        text += b"Content-Length: %d\r\n" % len(body) if lengths else b""
        text += b"\r\n" + body
    return bytes(text) + (b"\r\n--" + BOUNDARY.encode() + b"--\r\n" if ends else b"\r\n")


def parsed(body: bytes | BytesIO | Received, content_type: str = TYPE, **settings: Any) -> list[Part]:
    stream = BytesIO(body) if isinstance(body, bytes) else body
    return list(parts_of(stream, content_type, SETTINGS.replace(**settings), source="http://h/x"))


def bodies_of(parts: list[Part]) -> list[bytes]:
    return [bytes(part.body) for part in parts]


BODIES = st.lists(
    st.binary(max_size=40)
    | st.just(b"\r\n--" + BOUNDARY.encode() + b"x")
    | st.just(b"--" + BOUNDARY.encode())
    | st.just(b"\r\n\r\n--")
    | st.just(b"\r\n"),
    min_size=1,
    max_size=4,
)


@given(
    bodies=BODIES,
    form=st.fixed_dictionaries(
        {
            "lengths": st.booleans(),
            "preamble": st.sampled_from([b"", b"ignored\r\n", b"--"]),
            "padding": st.sampled_from([b"", b" ", b"\t  "]),
            "headers": st.sampled_from([b"", b"Content-Type: a/b\r\n", b"X: " + b"y" * 300 + b"\r\nz\r\n"]),
        }
    ),
    sizes=st.lists(st.integers(1, 50)),
)
def test_any_parts_in_any_pieces(bodies: list[bytes], form: dict[str, Any], sizes: list[int]) -> None:
    """However the bytes arrive, the parts are those that were sent, even if they look like boundaries."""
    text = multipart(bodies, **form)

    assert bodies_of(parsed(Dripping(text, sizes))) == bodies
    assert bodies_of(parsed(Received(text))) == bodies


@pytest.mark.parametrize("kind", [BytesIO, Received])
@given(bodies=BODIES, lengths=st.booleans(), data=st.data())
def test_truncation_is_never_silent(
    kind: Callable[[bytes], BytesIO | Received], bodies: list[bytes], lengths: bool, data: st.DataObject
) -> None:
    """Cut anywhere, an answer gives whole parts and then an error, or all of them."""
    text = multipart(bodies, lengths=lengths)
    cut = data.draw(st.integers(0, len(text) - 1))
    found: list[bytes] = []
    try:
        for part in parts_of(kind(text[:cut]), TYPE, SETTINGS, source="x"):
            found.append(bytes(part.body))  # noqa: PERF401 - what came before the error counts
    except IntegrityError:
        complete = False
    else:
        complete = True

    assert found == bodies[: len(found)]
    assert not complete or found == bodies or lengths


def test_every_cut_of_a_part_without_length() -> None:
    """Without a length only a boundary ends a part: all that is cut before it is an error."""
    text = multipart([b"pixels"], lengths=False)

    for cut in range(text.index(b"pixels"), len(text) - 4):
        with pytest.raises(IntegrityError, match="ends within"):
            parsed(text[:cut])


def test_a_missing_last_boundary() -> None:
    """A part that says its length is complete without the last boundary, which some servers forget."""
    assert bodies_of(parsed(multipart([b"one", b"two"], ends=False))) == [b"one", b"two"]


@pytest.mark.parametrize("length", [0, 2, 4, 5, 13, 100, 10**6])
def test_a_length_that_lies(length: int) -> None:
    """A part that is shorter or longer than it says is an error."""
    text = multipart([b"abc", b"defgh"]).replace(b"Length: 3", b"Length: %d" % length)

    with pytest.raises(IntegrityError):
        parsed(text)


@pytest.mark.parametrize("length", [2**31, 10**17, 10**30])
def test_a_length_is_not_believed(length: int) -> None:
    """Nothing is allocated because the header of a part says so."""
    text = multipart([b"abc"]).replace(b"Length: 3", b"Length: %d" % length)

    with pytest.raises((LimitError, IntegrityError)):
        parsed(text, max_response_bytes=2**40)


def test_a_large_part() -> None:
    """A part larger than any buffer arrives whole."""
    body = bytes(range(256)) * 5000

    assert bodies_of(parsed(multipart([body, b"x", body]))) == [body, b"x", body]
    assert bodies_of(parsed(multipart([body, b"x", body], lengths=False))) == [body, b"x", body]


def test_parts_of_a_body_that_is_there_are_not_copied() -> None:
    """What was received as a whole is not copied once more for its parts."""
    text = multipart([bytes(100_000), b"x"])

    assert [part.body.obj is text for part in parsed(Received(text))] == [True, True]


def test_headers_of_a_part() -> None:
    """Names are in lower case, values without spaces around; lines that are no fields are passed over."""
    (part,) = parsed(multipart([b""], headers=b"Content-Type:  a/b;c=d \r\njunk\r\nX-A: 1:2\r\n"))

    assert part.headers == {"content-type": "a/b;c=d", "x-a": "1:2", "content-length": "0"}


def test_an_answer_of_one_part() -> None:
    """An answer that is not multipart is its own only part."""
    (part,) = parsed(b"pixels", "image/jls; transfer-syntax=1.2")

    assert part.headers == {"content-type": "image/jls; transfer-syntax=1.2"}
    assert bytes(part.body) == b"pixels"


@pytest.mark.parametrize("content_type", ["multipart/related", 'multipart/related; boundary=""'])
def test_no_boundary(content_type: str) -> None:
    """A multipart answer that names no boundary cannot be read."""
    with pytest.raises(IntegrityError, match="boundary"):
        parsed(multipart([b"x"]), content_type)


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        (multipart([b"x"] * 4), {"max_parts": 3}),
        (multipart([b"x" * 1000]), {"max_response_bytes": 999}),
        (multipart([b"x" * 600_000], lengths=False), {"max_response_bytes": 999}),
        (multipart([b"x"], preamble=b"p" * 600_000), {}),
        (multipart([b"x"], headers=b"h" * 600_000), {}),
    ],
    ids=["parts", "length", "no length", "preamble", "header"],
)
def test_limits(text: bytes, settings: dict[str, Any]) -> None:
    """Too many parts, and parts or headers that are too long, are refused."""
    with pytest.raises(LimitError):
        parsed(text, **settings)


def test_exactly_as_many_parts_as_allowed() -> None:
    """The limit itself is allowed."""
    assert len(parsed(multipart([b"x"] * 3), max_parts=3)) == 3


def test_an_answer_of_one_part_is_limited() -> None:
    """What is not multipart is bounded too."""
    with pytest.raises(LimitError):
        parsed(b"x" * 1000, "application/octet-stream", max_response_bytes=999)


def test_the_end_after_no_part() -> None:
    """An answer may hold no part at all."""
    assert parsed(b"--" + BOUNDARY.encode() + b"--") == []


def test_what_follows_the_last_boundary_is_ignored() -> None:
    """An epilogue is no part."""
    assert bodies_of(parsed(multipart([b"x"]) + b"epilogue\r\n--" + BOUNDARY.encode() + b"\r\n")) == [b"x"]
