"""Members of gzip files give what Python's own reader gives, whole or damaged."""

from __future__ import annotations

import gzip
import zlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from isal import igzip_lib

from loadstone_nifti.gzip_members import GzipMembers

CONTENTS = st.lists(st.binary(max_size=200).map(lambda data: data * 40), min_size=1, max_size=3)


def inflated(data: bytes, piece: int = 3000) -> bytes:
    """Return all that is inflated, read in pieces."""
    members = GzipMembers(BytesIO(data))
    buffer = bytearray(piece)
    content = bytearray()
    while count := members.readinto(memoryview(buffer)):
        content += buffer[:count]
    return bytes(content)


def named(data: bytes) -> bytes:
    """Compress with a name and a comment in the header."""
    file = BytesIO()
    with gzip.GzipFile("a name", mode="wb", fileobj=file) as member:
        member.write(data)
    return file.getvalue()


@given(contents=CONTENTS, zeros=st.integers(0, 5), piece=st.integers(1, 10_000))
def test_members_follow_one_another(contents: list[bytes], zeros: int, piece: int) -> None:
    """With zeros between them or not, in whatever pieces they are read."""
    data = b"".join(named(each) + bytes(zeros) for each in contents)

    assert inflated(data, piece) == b"".join(contents) == gzip.decompress(data)


@given(contents=CONTENTS, share=st.floats(0, 1), bit=st.integers(0, 7))
def test_a_changed_bit_is_seen_or_changes_nothing(contents: list[bytes], share: float, bit: int) -> None:
    """What Python's reader refuses is refused; where it sees no damage, the content is the same."""
    data = bytearray(b"".join(map(gzip.compress, contents)))
    data[int(share * (len(data) - 1))] ^= 1 << bit

    try:
        expected = gzip.decompress(data)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        with pytest.raises((EOFError, gzip.BadGzipFile, igzip_lib.IsalError)):  # type: ignore[arg-type]
            inflated(bytes(data))
    else:
        assert inflated(bytes(data)) == expected


@given(content=st.binary(min_size=1, max_size=500), share=st.floats(0, 1, exclude_max=True))
def test_a_member_that_ends_early_is_an_error(content: bytes, share: float) -> None:
    """Wherever it ends: in its header, its data or its checksum."""
    data = gzip.compress(content)

    with pytest.raises(EOFError):
        inflated(data[: int(share * len(data))])


@pytest.mark.parametrize("junk", [b"x", b"\0\0junk", b"\x1f", b"\x1fx"])
def test_what_follows_a_member_and_is_none_is_an_error(junk: bytes) -> None:
    """Zeros may follow, as on tapes; anything else is damage."""
    with pytest.raises(gzip.BadGzipFile):
        inflated(gzip.compress(b"content") + junk)


def test_the_second_byte_of_a_member_may_come_later() -> None:
    """A read may end between the two bytes that tell a member."""

    class OneByOne(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(1 if size else 0)

    members = GzipMembers(OneByOne(gzip.compress(b"one") + gzip.compress(b"two")))
    buffer = memoryview(bytearray(10))
    counts = [members.readinto(buffer) for _ in range(20)]

    assert sum(counts) == 6
