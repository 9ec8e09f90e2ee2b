from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.pixels.processing import apply_color_lut, convert_color_space
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from loadstone import MetadataError, UnsupportedError
from loadstone_wado.colour import to_rgb
from loadstone_wado.decode import load_frame
from plugins.wado.tests.builders import image, opened

if TYPE_CHECKING:
    import numpy.typing as npt
    from pydicom.dataset import Dataset


@pytest.mark.parametrize("first", range(0, 256, 32))
def test_every_colour_is_converted_as_by_pydicom(first: int) -> None:
    """
    All 2^24 YBR_FULL colours become the RGB that pydicom makes of them.

    Two pairs of chrominances give exact halves: half up is right, pydicom's floats fall on either side.
    """
    y, cb, cr = np.meshgrid(np.arange(first, first + 32), np.arange(256), np.arange(256), indexing="ij")
    colours = np.stack([y, cb, cr], axis=-1).astype(np.uint8).reshape(-1, 256, 3)
    found = np.empty_like(colours)
    to_rgb(colours, "YBR_FULL", found)

    different = (found != convert_color_space(colours, "YBR_FULL", "RGB")).any(axis=-1)

    assert {tuple(pair) for pair in colours[different][:, 1:].tolist()} <= {(78, 178), (178, 78)}


def test_exact_halves_are_rounded_up() -> None:
    """Green of (128, 178, 78) is 128 + 18.5, of (128, 78, 178) 128 - 18.5."""
    colours = np.array([[[128, 178, 78], [128, 78, 178]]], np.uint8)
    found = np.empty_like(colours)
    to_rgb(colours, "YBR_FULL", found)

    assert found[0, :, 1].tolist() == [147, 110]


def test_conversion_in_place_gives_the_same() -> None:
    """The result may take the place of the source."""
    colours = np.random.default_rng(1).integers(0, 256, (70, 9, 3), dtype=np.uint8)
    found = colours.copy()
    to_rgb(found, "YBR_FULL_422", found)

    assert np.array_equal(found, convert_color_space(colours, "YBR_FULL", "RGB"))


def test_partial_range_spreads_over_the_full_one() -> None:
    """Luminance 16 is black and 235 is white; the primaries are where BT.601 puts them."""
    colours = np.array(
        [[[16, 128, 128], [235, 128, 128], [81, 90, 240], [145, 54, 34], [41, 240, 110]]], np.uint8
    )
    found = np.empty_like(colours)
    to_rgb(colours, "YBR_PARTIAL_422", found)
    expected = [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]

    assert np.abs(found[0].astype(int) - expected).max() <= 2


def test_unknown_colour_spaces_load_as_stored_only() -> None:
    """What cannot be converted is named, and its stored values can still be had."""
    dataset = image(np.zeros((2, 2, 3), np.uint8), PhotometricInterpretation="HSV")
    with opened(dataset) as part:
        assert load_frame(part.frames, 1, scaled=False).photometric_interpretation == "HSV"
        with pytest.raises(UnsupportedError, match="HSV"):
            load_frame(part.frames, 1)


@pytest.mark.parametrize("photometric", ["CMYK", "ARGB"])
def test_four_samples_load_as_stored_only(photometric: str) -> None:
    """Nothing says how retired colours of four samples look; what is stored can be had."""
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    with opened(image(pixels, PhotometricInterpretation=photometric)) as part:
        with pytest.raises(UnsupportedError, match=photometric):
            load_frame(part.frames, 1)

        assert np.array_equal(load_frame(part.frames, 1, scaled=False).pixels, pixels)


def test_colours_are_unsigned_whatever_the_representation_says() -> None:
    """PixelRepresentation 1 means nothing to colours."""
    pixels = np.arange(200, 218, dtype=np.uint8).reshape(2, 3, 3)
    with opened(image(pixels, PixelRepresentation=1)) as part:
        found = load_frame(part.frames, 1).pixels

    assert found.dtype == np.uint8
    assert np.array_equal(found, pixels)


def test_a_supplemental_palette_leaves_grey_values_grey() -> None:
    """MONOCHROME2 with a palette for its highest values is no colour image (DICOM PS3.3 C.7.6.19)."""
    colours: dict[str, Any] = {
        f"{name}PaletteColorLookupTable{part}": value
        for name in ("Red", "Green", "Blue")
        for part, value in (("Descriptor", [4, 8, 16]), ("Data", b"\x01\x02" * 4))
    }
    with opened(image(PixelPresentation="COLOR", **colours)) as part:
        found = load_frame(part.frames, 1)

    assert found.photometric_interpretation == "MONOCHROME2"
    assert np.array_equal(found.pixels, np.arange(12).reshape(3, 4))


def test_planes_become_the_last_axis() -> None:
    """PlanarConfiguration 1 is undone."""
    pixels = np.random.default_rng(1).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    dataset = image(pixels, PlanarConfiguration=1)
    dataset.PixelData = np.moveaxis(pixels, -1, 0).tobytes()
    with opened(dataset) as part:
        assert np.array_equal(load_frame(part.frames, 1).pixels, pixels)


@pytest.mark.parametrize("shape", [(2, 4), (3, 6), (2, 3), (3, 5), (1, 1)])
def test_native_subsampled_colours_are_expanded_as_by_pydicom(shape: tuple[int, int]) -> None:
    """Both pixels of a pair get its chrominances."""
    stored = np.random.default_rng(1).integers(0, 256, -(-shape[0] * shape[1] // 2) * 4, dtype=np.uint8)
    dataset = image(np.zeros((*shape, 3), np.uint8), PhotometricInterpretation="YBR_FULL_422")
    dataset.PixelData = stored.tobytes()
    with opened(dataset) as part:
        raw, shown = load_frame(part.frames, 1, scaled=False), load_frame(part.frames, 1)
    expected = [
        [stored[p * 4 + i], stored[p * 4 + 2], stored[p * 4 + 3]]
        for p in range(stored.size // 4)
        for i in (0, 1)
    ]

    assert raw.pixels.reshape(-1, 3).tolist() == expected[: shape[0] * shape[1]]
    assert np.array_equal(shown.pixels, convert_color_space(raw.pixels, "YBR_FULL", "RGB"))
    assert (raw.photometric_interpretation, shown.photometric_interpretation) == ("YBR_FULL", "RGB")


def with_palette(pixels: npt.NDArray[Any], entries: int, first: int, bits: int) -> Dataset:
    dataset = image(pixels, PhotometricInterpretation="PALETTE COLOR")
    tables = np.random.default_rng(2).integers(0, 2**bits, (3, entries)).astype(f"<u{bits // 8}")
    for name, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        descriptor = [entries % 65536, first, bits]
        setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", descriptor)
        setattr(dataset, f"{name}PaletteColorLookupTableData", table.tobytes())
        dataset[f"{name}PaletteColorLookupTableDescriptor"].VR = "SS" if first < 0 else "US"
    return dataset


@given(
    entries=st.sampled_from([2, 16, 200, 256]),
    first=st.integers(-5, 20),
    bits=st.sampled_from([8, 16]),
    uid=st.sampled_from([ExplicitVRLittleEndian, ImplicitVRLittleEndian]),
)
def test_palettes_are_applied_as_by_pydicom(entries: int, first: int, bits: int, uid: str) -> None:
    """Indices below the first entry and beyond the last get the end's colour."""
    signed = first < 0
    pixels = np.arange(-60 if signed else 0, 60, dtype=np.int8 if signed else np.uint8).reshape(2, -1)
    dataset = with_palette(pixels, entries, first, bits)
    with opened(dataset, uid) as part:
        shown, raw = load_frame(part.frames, 1), load_frame(part.frames, 1, scaled=False)
    expected = apply_color_lut(pixels.astype(np.int16), dataset)

    assert shown.photometric_interpretation == "RGB"
    assert shown.pixels.dtype == expected.dtype
    assert np.array_equal(shown.pixels, expected)
    assert np.array_equal(raw.pixels, pixels)
    assert raw.photometric_interpretation == "PALETTE COLOR"


def test_a_palette_of_65536_entries_is_whole() -> None:
    """A descriptor of 0 entries means 65536; large indices do not wrap in 8-bit tables."""
    pixels = np.array([[0, 255, 256, 65535]], np.uint16)
    dataset = with_palette(pixels, 65536, 0, 8)
    table = np.frombuffer(dataset.RedPaletteColorLookupTableData, np.uint8)
    with opened(dataset) as part:
        found = load_frame(part.frames, 1).pixels

    assert found[0, :, 0].tolist() == table[pixels[0]].tolist()


def test_entries_of_eight_bits_in_words_are_of_eight_bits() -> None:
    """A palette that says 8 bits and takes 16 for each is bright all the same."""
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    dataset = with_palette(pixels, 16, 0, 8)
    for name in ("Red", "Green", "Blue"):
        table = np.frombuffer(dataset[f"{name}PaletteColorLookupTableData"].value, np.uint8)
        setattr(dataset, f"{name}PaletteColorLookupTableData", table.astype("<u2").tobytes())
    with opened(dataset) as part:
        found = load_frame(part.frames, 1)
    expected = apply_color_lut(pixels, dataset)

    assert found.pixels.dtype == np.uint8
    assert np.array_equal(found.pixels, expected)


def test_a_signed_first_entry_may_be_written_as_unsigned() -> None:
    """Where indices are signed, 65416 is -120: no index is as large."""
    pixels = np.arange(-120, -108, dtype=np.int8).reshape(3, 4)
    dataset = with_palette(pixels, 16, -120, 16)
    expected = apply_color_lut(pixels.astype(np.int16), dataset)
    for name in ("Red", "Green", "Blue"):
        dataset[f"{name}PaletteColorLookupTableDescriptor"].VR = "US"
        setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", [16, 65416, 16])
    with opened(dataset) as part:
        found = load_frame(part.frames, 1)

    assert np.array_equal(found.pixels, expected)


def test_big_endian_palettes_are_swapped() -> None:
    """Table data in big-endian words gives the same colours."""
    pixels = np.arange(8, dtype=np.uint8).reshape(2, 4)
    dataset = with_palette(pixels, 8, 0, 16)
    with opened(dataset) as part:
        expected = load_frame(part.frames, 1).pixels
    for name in ("Red", "Green", "Blue"):
        key = f"{name}PaletteColorLookupTableData"
        setattr(dataset, key, np.frombuffer(getattr(dataset, key), "<u2").astype(">u2").tobytes())
    with opened(dataset, ExplicitVRBigEndian) as part:
        assert np.array_equal(load_frame(part.frames, 1).pixels, expected)


SEGMENTS = {
    "discrete": [0, 4, 10, 20, 30, 40],
    "linear": [0, 1, 0, 1, 3, 90],
    "falling": [0, 1, 200, 1, 3, 20],
    "flat": [0, 1, 7, 1, 3, 7],
}


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("segments", SEGMENTS.values(), ids=SEGMENTS)
def test_segmented_palettes_expand_as_by_pydicom(segments: list[int], bits: int) -> None:
    """Discrete and linear segments (DICOM PS3.3 C.7.9.2)."""
    dataset = segmented(segments, 4, bits)
    with opened(dataset) as part:
        found = load_frame(part.frames, 1).pixels
    expected = apply_color_lut(np.array([[0, 1, 2, 3]], np.uint8), dataset)

    assert np.array_equal(found, expected)


@pytest.mark.parametrize(("bits", "offset"), [(8, [0, 0, 0, 0]), (16, [0, 0])])
def test_indirect_segments_repeat_others(bits: int, offset: list[int]) -> None:
    """An indirect segment copies segments from a byte offset on."""
    dataset = segmented([0, 2, 10, 20, 2, 1, *offset], 4, bits)
    with opened(dataset) as part:
        found = load_frame(part.frames, 1).pixels

    assert found[0, :, 0].tolist() == [10, 20, 10, 20]


def segmented(segments: list[int], entries: int, bits: int) -> Dataset:
    dataset = image(np.array([[0, 1, 2, 3]], np.uint8), PhotometricInterpretation="PALETTE COLOR")
    data = np.array(segments, f"<u{bits // 8}").tobytes()
    for name in ("Red", "Green", "Blue"):
        setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", [entries, 0, bits])
        setattr(dataset, f"Segmented{name}PaletteColorLookupTableData", data + b"\0" * (len(data) % 2))
        dataset[f"{name}PaletteColorLookupTableDescriptor"].VR = "US"
    return dataset


@pytest.mark.parametrize(
    "segments",
    [[0, 3, 1], [1, 3, 90], [2, 1, 0, 0, 0, 0], [9, 1, 1, 1], [0, 1, 5, 1, 0, 9], [0, 200, *range(200)]],
)
def test_damaged_segmented_palettes_are_refused(segments: list[int]) -> None:
    """Segments that lead nowhere, or to more entries than announced, are metadata errors; nothing hangs."""
    with opened(segmented(segments, 4, 8)) as part, pytest.raises(MetadataError, match="palette"):
        load_frame(part.frames, 1)


def test_a_missing_palette_is_named_and_indices_load() -> None:
    """Without a palette there are no colours, but the indices are there."""
    dataset = image(np.zeros((2, 2), np.uint8), PhotometricInterpretation="PALETTE COLOR")
    with opened(dataset) as part:
        assert load_frame(part.frames, 1, scaled=False).pixels.shape == (2, 2)
        with pytest.raises(MetadataError, match="scaled=False"):
            load_frame(part.frames, 1)
