"""Mosaics: the header that describes them, and the slices on them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import loadstone
from loadstone import GeometryError, InvalidIdError, MetadataError
from loadstone_wado.csa import csa_values
from loadstone_wado.instance import Instance
from plugins.wado.tests.builders import SETTINGS, image
from plugins.wado.tests.studies import SERIES, STUDY, uid, write

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt
    from pydicom.dataset import Dataset

TILES, SIZE, ACROSS = 5, 4, 3


def csa(tags: dict[str, tuple[str, ...]], *, newer: bool = True) -> bytes:
    """Return a header with these elements, with an empty item behind each, as scanners write it."""
    parts = [b"SV10\4\3\2\1" if newer else b"", struct.pack("<II", len(tags), 77)]
    first = None
    for name, values in tags.items():
        items = [*(value.encode().ljust(20, b"\0") for value in values), b""]
        first = len(items) if first is None else first
        parts.append(struct.pack("<64si4siii", name.encode(), len(values), b"IS", 6, len(items), 77))
        for item in items:
            length = len(item)
            sizes = (length, length, 77, length) if newer else (length + first, length, 77, length)
            parts += [struct.pack("<iiii", *sizes), item + b"\0" * (-length % 4)]
    return b"".join(parts)


def header(normal: tuple[float, ...] = (0, 0, 1), **tags: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Return what a scanner says of a mosaic."""
    return {
        "NumberOfImagesInMosaic": (str(TILES),),
        "SliceNormalVector": tuple(f"{each:.8f}" for each in normal),
        "ProtocolSliceNumber": ("0",),
    } | tags


def tile(time: int, number: int) -> npt.NDArray[np.uint16]:
    """Return the pixels of a slice."""
    return np.tile(np.arange(SIZE) + 100 * time + number, (SIZE, 1)).astype(np.uint16)


def sheet(time: int, tags: dict[str, tuple[str, ...]] | bytes | None, **attributes: Any) -> Dataset:
    """Return a mosaic of five slices of 4 x 4 pixels; what the last places hold is 0."""
    pixels = np.zeros((ACROSS * SIZE, ACROSS * SIZE), np.uint16)
    for number in range(TILES):
        top, left = divmod(number, ACROSS)
        pixels[top * SIZE : (top + 1) * SIZE, left * SIZE : (left + 1) * SIZE] = tile(time, number)
    defaults: dict[str, Any] = {
        "SOPInstanceUID": uid(time),
        "SeriesInstanceUID": SERIES,
        "StudyInstanceUID": STUDY,
        "Modality": "MR",
        "Manufacturer": "SIEMENS",
        "ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"],
        "InstanceNumber": time + 1,
        "AcquisitionNumber": time + 1,
        "PixelSpacing": [2, 3],
        "SpacingBetweenSlices": 5,
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "ImagePositionPatient": [-12, -8, 30],
    }
    dataset = image(pixels, **(defaults | attributes))
    if tags is not None:
        block = dataset.private_block(0x29, "SIEMENS CSA HEADER", create=True)
        block.add_new(0x10, "OB", tags if isinstance(tags, bytes) else csa(tags))
    return dataset


@given(
    values=st.dictionaries(
        st.text("abcXYZ", min_size=1),
        st.lists(st.text("0123456789.", min_size=1, max_size=20)).map(tuple),
        max_size=6,
    ),
    newer=st.booleans(),
)
def test_both_formats_are_read(values: dict[str, tuple[str, ...]], *, newer: bool) -> None:
    """What was written comes back, in the newer and in the older format."""
    assert csa_values(csa(values, newer=newer)) == values


@given(data=st.binary(max_size=300), newer=st.booleans())
def test_no_bytes_are_too_strange(data: bytes, *, newer: bool) -> None:
    """Whatever the bytes are, reading them ends and raises nothing."""
    csa_values((b"SV10\4\3\2\1" if newer else b"") + data)


@given(cut=st.integers(0, len(csa(header()))))
def test_what_stands_before_a_cut_is_read(cut: int) -> None:
    """A header that ends early gives the elements that are complete."""
    found = csa_values(csa(header())[:cut])

    assert found.items() <= header().items()


class TestVolume:
    """A folder of mosaics."""

    @pytest.mark.parametrize("normal", [(0, 0, 1), (0, 0, -1)], ids=["along", "against"])
    def test_slices_and_times(self, tmp_path: Path, normal: tuple[float, ...]) -> None:
        """
        Each tile is a slice of its time point, at its place around the same centre as the sheet; sorted by
        position, whichever way the scanner went.
        """
        volume = loadstone.load_volume(
            write([sheet(time, header(normal)) for time in (1, 0)], tmp_path / "m")
        )
        order = range(TILES) if normal[2] > 0 else range(TILES - 1, -1, -1)

        assert volume.axes == ("t", "k", "j", "i")
        assert volume.coordinates["t"].source == "AcquisitionNumber"
        for time in range(2):
            for k, number in enumerate(order):
                np.testing.assert_array_equal(volume.array[time, k], tile(time, number))
        # The sheet is 12 x 12: its first pixel is 4 columns of 3 mm and 4 rows of 2 mm before the slice's.
        first = 30 if normal[2] > 0 else 30 - 5 * (TILES - 1)
        np.testing.assert_allclose(volume.affine()[:3, 3], (0, 0, first))
        assert volume.spacing == pytest.approx((3, 2, 5))

    def test_one_sheet_is_a_plain_volume(self, tmp_path: Path) -> None:
        """Without a second time point there is no time axis; ids name the tiles, and each loads its own."""
        folder = write([sheet(0, header())], tmp_path / "m")
        volume = loadstone.load_volume(folder)

        assert volume.shape == (TILES, SIZE, SIZE)
        assert volume.image_ids[2] == f"dicomfile:{folder}/0.dcm?tile=3"
        for index, image_id in enumerate(volume.image_ids):
            single = loadstone.load_image(image_id, cache=False)
            np.testing.assert_array_equal(single.pixels, tile(0, index))
            assert single.plane.image_position_patient == pytest.approx((0, 0, 30 + 5 * index))

    def test_the_sheet_is_an_image_as_stored(self, tmp_path: Path) -> None:
        """Without a tile in its id the image is the whole sheet."""
        folder = write([sheet(0, header())], tmp_path / "m")

        assert loadstone.load_image(f"dicomfile:{folder}/0.dcm").pixels.shape == (12, 12)

    @pytest.mark.parametrize(
        "tags",
        [
            None,
            b"",
            b"SV10 and then nothing",
            {"NumberOfImagesInMosaic": ("5",)},
            header(NumberOfImagesInMosaic=("200",)),
            header(NumberOfImagesInMosaic=("0",)),
            header(NumberOfImagesInMosaic=("many",)),
            header((1.0, 0.0, 0.0)),
            header((np.nan, 0.0, 1.0)),
            header(ProtocolSliceNumber=("4",)),
        ],
    )  # fmt: skip
    def test_without_a_header_it_is_refused(
        self, tmp_path: Path, tags: dict[str, tuple[str, ...]] | bytes | None
    ) -> None:
        """Sheets that do not say how they are laid out are an error, never a stack of sheets."""
        folder = write([sheet(time, tags) for time in range(2)], tmp_path / "m")

        with pytest.raises(GeometryError, match="does not say how they lie on it") as caught:
            loadstone.load_volume(folder)
        assert caught.value.report is not None
        assert "mosaic" in caught.value.report.kinds
        with pytest.raises(MetadataError, match="it has no tiles"):
            loadstone.load_image(f"dicomfile:{folder}/0.dcm?tile=1")

    def test_a_tile_that_is_not_there(self, tmp_path: Path) -> None:
        """Tiles count from 1, and there are as many as the header says."""
        folder = write([sheet(0, header())], tmp_path / "m")

        with pytest.raises(InvalidIdError, match="there is no tile 6, the mosaic has 5"):
            loadstone.load_image(f"dicomfile:{folder}/0.dcm?tile=6")
        with pytest.raises(InvalidIdError, match="tile=0"):
            loadstone.load_image(f"dicomfile:{folder}/0.dcm?tile=0")


def test_sheets_of_united_imaging(tmp_path: Path) -> None:
    """They are told by the vendor's own attribute, and never stacked; of other vendors it means nothing."""
    grid = {"ImageType": ["ORIGINAL", "PRIMARY", "M", "VFRAME"]}
    for vendor in ("UIH", "ACME"):
        sheets = [sheet(time, None, Manufacturer=vendor, **grid) for time in range(2)]
        for each in sheets:
            each.private_block(0x65, "Image Private Header", create=True).add_new(0x50, "DS", "5")
        write(sheets, tmp_path / vendor)

    with pytest.raises(GeometryError, match="CSA header of Siemens, which is missing"):
        loadstone.load_volume(tmp_path / "UIH")
    assert loadstone.load_volume(tmp_path / "ACME").shape[-2:] == (ACROSS * SIZE, ACROSS * SIZE)


def test_json_has_the_header_inline() -> None:
    """DICOM JSON gives the same layout as the file."""
    attributes = sheet(0, header()).to_json_dict()
    instance = Instance.from_json(attributes, SETTINGS)

    assert instance.mosaic is not None
    assert (instance.mosaic.tiles, instance.mosaic.rows, instance.mosaic.ascending) == (TILES, SIZE, True)
