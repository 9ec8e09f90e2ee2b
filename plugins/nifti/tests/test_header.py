from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadstone import IntegrityError, LimitError, LoadstoneError, Settings, UnsupportedError
from plugins.nifti.tests.builders import VOXELS, edited, header_of, memory_growth_below, nifti


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_header_is_read_in_both_versions_and_byte_orders(version: int, order: str) -> None:
    """NIfTI-1 and NIfTI-2, little and big endian, say the same."""
    header = header_of(nifti(version=version, order=order))

    assert (header.dims, header.shape, header.axes) == ((4, 3, 2), (2, 3, 4), ("k", "j", "i"))
    assert header.datatype.dtype == np.int16
    assert header.swapped == (order == ">")
    assert len(header.head) == (352 if version == 1 else 544)
    assert header.voxel_bytes == VOXELS.nbytes


@pytest.mark.parametrize(
    ("shape", "expected", "axes"),
    [
        ((5, 4), (1, 4, 5), ("k", "j", "i")),
        ((5, 4, 1), (1, 4, 5), ("k", "j", "i")),
        ((5, 4, 3, 2), (2, 3, 4, 5), ("t", "k", "j", "i")),
        ((5, 4, 3, 1, 2), (2, 1, 3, 4, 5), ("v", "t", "k", "j", "i")),
        ((2, 2, 2, 2, 2, 2, 2), (2,) * 7, ("w", "u", "v", "t", "k", "j", "i")),
    ],
)
def test_axes_are_those_of_the_file_reversed(
    shape: tuple[int, ...], expected: tuple[int, ...], axes: tuple[str, ...]
) -> None:
    """2-D is one slice; every further axis has its name."""
    header = header_of(nifti(np.zeros(shape, np.uint8)))

    assert (header.shape, header.axes) == (expected, axes)
    assert header.slices == math.prod(expected[:-2])


@pytest.mark.parametrize(("name", "code"), [("BINARY", 1), ("FLOAT128", 1536), ("COMPLEX256", 2048)])
def test_datatypes_that_are_not_read_are_refused_by_name(name: str, code: int) -> None:
    """Single bits and 128-bit floats are named in the message."""
    with pytest.raises(UnsupportedError, match=name):
        header_of(nifti(datatype=code))


@pytest.mark.parametrize("code", [0, 1, 3, 77, -4, 32767])
def test_codes_of_no_datatype_are_refused(code: int) -> None:
    """A code that NIfTI does not have, or has for nothing that is an image, is refused."""
    with pytest.raises(UnsupportedError, match=f"code {code}"):
        header_of(nifti(datatype=code))


@pytest.mark.parametrize("dim", [{0: 0}, {0: 8}, {0: -1}, {1: 0}, {2: -3}, {3: -32768}])
def test_dimensions_that_make_no_sense_are_refused(dim: dict[int, int]) -> None:
    """A number of dimensions beyond 1 to 7, or a size below 1, is refused by the header alone."""
    with pytest.raises(IntegrityError, match="dim is"):
        header_of(nifti(dim=dim))


@pytest.mark.parametrize("offset", [math.nan, math.inf, -math.inf, -1.0, 0.0, 351.0, 352.5])
def test_an_offset_that_makes_no_sense_is_refused(offset: float) -> None:
    """Voxels begin at a whole byte behind the header."""
    with pytest.raises(IntegrityError, match="vox_offset"):
        header_of(nifti(vox_offset=offset))


@pytest.mark.parametrize("offset", [1e30, 2.0**40])
def test_a_huge_offset_is_refused_without_memory(offset: float) -> None:
    """A header that claims terabytes of extensions gets no memory for them."""
    with memory_growth_below(2**20), pytest.raises(LimitError):
        header_of(nifti(vox_offset=offset))


def test_an_offset_behind_the_file_is_refused() -> None:
    """Voxels that begin behind the end are not there."""
    with memory_growth_below(4 * 2**20), pytest.raises(IntegrityError, match="begin at byte 100,000,000"):
        header_of(nifti(vox_offset=1e8))


@pytest.mark.parametrize("version", [1, 2])
def test_a_truncated_header_is_refused_wherever_it_ends(version: int) -> None:
    """No byte of the header can be missing."""
    data = nifti(version=version)

    for size in range(len(data) - VOXELS.nbytes):
        with pytest.raises(LoadstoneError):
            header_of(data[:size])


@given(st.binary(max_size=600))
def test_any_bytes_give_a_header_or_a_typed_error(data: bytes) -> None:
    """Arbitrary bytes never raise anything but ours."""
    try:
        header_of(data)
    except LoadstoneError:
        return


@given(st.integers(0, 347), st.binary(min_size=1, max_size=8))
def test_any_damage_gives_a_header_or_a_typed_error(at: int, junk: bytes) -> None:
    """A header with bytes overwritten anywhere never raises anything but ours."""
    data = bytearray(nifti())
    data[at : at + len(junk)] = junk

    try:
        header_of(bytes(data))
    except LoadstoneError:
        return


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"", "empty"),
        (b"NRRD0004\n" + bytes(400), "NRRD"),
        (bytes(128) + b"DICM" + bytes(400), "DICOM"),
        (b"<html><body>Sign in</body></html>" + b" " * 400, "HTML"),
        (b"\x1f\x8b" + bytes(400), "compressed twice"),
        (b"Not Found", "text"),
        (bytes(400), "unknown"),
        (nifti(version=2).replace(b"\r\n\x1a\n", b"\n\n\x1a\n"), "text mode"),
        (nifti(version=2, intent_code=3001), "CIFTI-2"),
        (nifti(np.zeros(5, np.uint8)), "one dimension"),
    ],
)
def test_what_is_no_readable_nifti_file_is_refused_by_name(data: bytes, named: str) -> None:
    """The message says what it looks like instead."""
    with pytest.raises(LoadstoneError, match=named):
        header_of(data)


def test_the_datatype_wins_over_a_lying_bitpix() -> None:
    """A bitpix that contradicts the datatype is noted, and the datatype believed."""
    header = header_of(nifti(bitpix=64))

    assert header.datatype.dtype == np.int16
    assert "bitpix is 64" in header.findings[0].message


def test_limits_hold_for_what_a_header_claims() -> None:
    """Too many pixels of a slice, or too many slices, are refused by the header alone."""
    wide = edited(nifti(), dim={1: 32767, 2: 32767, 3: 1})
    deep = edited(nifti(), dim={0: 5, 3: 32767, 4: 32767, 5: 1})

    with pytest.raises(LimitError, match="max_pixels"):
        header_of(wide)
    with pytest.raises(LimitError, match="max_frames"):
        header_of(deep)
    assert header_of(nifti(), Settings(max_pixels=12, max_frames=2)).slices == 2


def with_extension(length: int, payload: bytes = b"", after: bytes = b"") -> bytes:
    data = nifti()
    extension = struct.pack("<ii", length, 6) + payload
    extension += bytes(-len(extension) % 16) + after
    head = edited(data, vox_offset=352 + len(extension))[:348]
    return head + b"\1\0\0\0" + extension + data[352:]


def test_extensions_are_kept() -> None:
    """The header that nibabel gets has the extensions of the file."""
    header = header_of(with_extension(32, b"a comment"))

    given_away: Any = header.for_nibabel()
    (extension,) = given_away.extensions
    assert bytes(extension.content) == b"a comment"


@pytest.mark.parametrize(("after", "findings"), [(bytes(64), 0), (struct.pack("<ii", 7, 6) + bytes(8), 1)])
def test_extensions_in_front_of_a_damaged_one_are_kept(after: bytes, findings: int) -> None:
    """What follows one that is whole costs it nothing; zeros up to the voxels are nothing to note."""
    header = header_of(with_extension(32, b"a comment", after))

    given_away: Any = header.for_nibabel()
    assert [bytes(each.content) for each in given_away.extensions] == [b"a comment"]
    assert len(header.findings) == findings


@pytest.mark.parametrize("length", [0, -16, 8, 17, 2**31 - 1])
def test_damaged_extensions_do_not_hide_voxels(length: int) -> None:
    """An extension whose size makes no sense is noted and left out."""
    header = header_of(with_extension(length, b"a comment"))

    assert "extension" in header.findings[0].message
    given_away: Any = header.for_nibabel()
    assert not given_away.extensions


def test_the_header_given_away_is_a_copy() -> None:
    """What a user does to the header changes nothing for others."""
    header = header_of(nifti())
    given_away: Any = header.for_nibabel()
    given_away["descrip"] = b"mine"

    assert bytes(header.for_nibabel()["descrip"]) != b"mine"
