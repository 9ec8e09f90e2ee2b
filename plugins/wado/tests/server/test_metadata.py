from __future__ import annotations

import gzip
import json
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian

from loadstone_wado.server import DicomWebServer, ServerBehaviour
from plugins.wado.tests.server.builders import (
    MULTIPART_STORED,
    ask,
    instance_path,
    make_dataset,
    native,
    part10,
)

JSON = "application/dicom+json"
OCTETS = "application/octet-stream"


def one(content: bytes, **behaviour: Any) -> DicomWebServer:
    return DicomWebServer([content], behaviour=ServerBehaviour(**behaviour))


def test_metadata_are_the_header_of_the_file() -> None:
    """DICOM JSON read back equals the header that pydicom reads, but for the character set and bulk data."""
    path = str(get_testdata_file("CT_small.dcm", read=False))
    header = dcmread(path, stop_before_pixels=True)
    with DicomWebServer(path) as server:
        where = instance_path(
            header.SOPInstanceUID, study=header.StudyInstanceUID, series=header.SeriesInstanceUID
        )
        (found,) = ask(f"{server.url}{where}/metadata", JSON).json
    pixels = found.pop("7FE00010")
    bulk = [tag for tag, element in found.items() if "BulkDataURI" in element]
    inline = {tag: element for tag, element in found.items() if tag not in bulk}
    answer = Dataset.from_json(inline)

    assert pixels["BulkDataURI"].endswith("/bulkdata/7FE00010")
    for element in header:
        if f"{element.tag:08X}" not in [*bulk, "00080005"]:
            assert answer[element.tag].value == element.value, element


@pytest.mark.parametrize("level", ["study", "series"])
def test_metadata_of_many(level: str) -> None:
    """The metadata of a series or study are those of its instances, in one array."""
    contents = [native(SOPInstanceUID=f"1.2.3.{number}") for number in range(5)]
    path = "/studies/1.2.3" if level == "study" else "/studies/1.2.3/series/1.2.3.1"
    with DicomWebServer(contents) as server:
        found = ask(f"{server.url}{path}/metadata").json
        alone = [
            ask(f"{server.url}{instance_path(f'1.2.3.{number}')}/metadata").json[0] for number in range(5)
        ]

    assert found == alone


def test_gzip_only_when_it_is_accepted() -> None:
    """Metadata come compressed to a client that takes gzip, and are the same."""
    with one(native(SOPInstanceUID="1.2.3.4")) as server:
        url = f"{server.url}{instance_path('1.2.3.4')}/metadata"
        plain, zipped = ask(url), ask(url, Accept_Encoding="gzip")
        refused = ask(url, Accept_Encoding="gzip;q=0")

    assert "content-encoding" not in plain.headers
    assert zipped.headers["content-encoding"] == "gzip"
    assert gzip.decompress(zipped.body) == plain.body == refused.body


def big_values() -> Dataset:
    inner = Dataset()
    inner.EncapsulatedDocument = bytes(range(256)) * 8
    dataset = make_dataset(SOPInstanceUID="1.2.3.4", IconImageSequence=[Dataset(), inner])
    dataset.add_new(0x00281201, "OW", np.arange(1000, dtype="<u2").tobytes())
    dataset.add_new(0x00281202, "OW", b"\x01\x02")
    return dataset


def test_bulk_data_by_their_addresses() -> None:
    """Large binary values, in sequences too, are at the address that is named; small ones are inline."""
    dataset = big_values()
    with one(part10(dataset)) as server:
        (found,) = ask(f"{server.url}{instance_path('1.2.3.4')}/metadata").json
        nested = found["00880200"]["Value"][1]["00420011"]["BulkDataURI"]
        single, several = ask(nested, OCTETS), ask(nested)
        table = ask(found["00281201"]["BulkDataURI"], OCTETS)

    assert nested.endswith("/bulkdata/00880200/2/00420011")
    assert single.body == several.parts[0].content == bytes(range(256)) * 8
    assert table.body == dataset.RedPaletteColorLookupTableData
    assert found["00281202"] == {"vr": "OW", "InlineBinary": "AQI="}


def test_bulk_data_are_little_endian() -> None:
    """Values of a big endian file are sent in little endian, as the standard wants."""
    content = native(2, ExplicitVRBigEndian, SOPInstanceUID="1.2.3.4")
    with one(content) as server:
        pixels = ask(f"{server.url}{instance_path('1.2.3.4')}/bulkdata/7FE00010", OCTETS)

    assert pixels.body == b"\x01\x00" * 24 + b"\x02\x00" * 24


@pytest.mark.parametrize(
    "path", ["00100010", "00880200/3/00420011", "00880200/0/00420011", "FFFFFFFF", "x", "00880200"]
)
def test_bulk_data_that_are_not_there(path: str) -> None:
    """What names no binary value is not found."""
    with one(part10(big_values())) as server:
        answer = ask(f"{server.url}{instance_path('1.2.3.4')}/bulkdata/{path}")

    assert answer.status == 404


def test_the_pixels_as_bulk_data() -> None:
    """The address of native pixels gives all frames in one, that of encapsulated ones each in its part."""
    rle = str(get_testdata_file("SC_rgb_rle_2frame.dcm", read=False))
    with DicomWebServer([native(3, SOPInstanceUID="1.2.3.4"), rle]) as server:
        whole = ask(f"{server.url}{instance_path('1.2.3.4')}/bulkdata/7FE00010", OCTETS)
        header = dcmread(rle, stop_before_pixels=True)
        where = instance_path(
            header.SOPInstanceUID, study=header.StudyInstanceUID, series=header.SeriesInstanceUID
        )
        parts = ask(f"{server.url}{where}/bulkdata/7FE00010", MULTIPART_STORED).parts

    assert len(whole.body) == 3 * 48
    assert len(parts) == 2


def test_a_value_that_breaks_the_rules_hides_nothing() -> None:
    """A value that pydicom cannot convert is given as text, and the others as ever."""
    content = part10(make_dataset(SOPInstanceUID="1.2.3.4", InstanceNumber=77))
    with one(content.replace(b"77", b"7A")) as server:
        (found,) = ask(f"{server.url}{instance_path('1.2.3.4')}/metadata").json

    assert found["00200013"] == {"vr": "IS", "Value": ["7A"]}
    assert found["00100020"]["Value"] == ["P1"]


def test_text_is_unicode() -> None:
    """Text in another character set is sent as Unicode, and the metadata say so."""
    dataset = make_dataset(
        SOPInstanceUID="1.2.3.4", SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Zoë"
    )
    with one(part10(dataset)) as server:
        (found,) = json.loads(ask(f"{server.url}{instance_path('1.2.3.4')}/metadata").body)

    assert found["00100010"]["Value"] == [{"Alphabetic": "Müller^Zoë"}]
    assert found["00080005"]["Value"] == ["ISO_IR 192"]


def test_series_metadata_may_be_refused() -> None:
    """A server that is told to refuses the metadata of a series, and sends those of an instance."""
    with one(native(SOPInstanceUID="1.2.3.4"), refuses_series_metadata=True) as server:
        series = ask(f"{server.url}/studies/1.2.3/series/1.2.3.1/metadata")
        instance = ask(f"{server.url}{instance_path('1.2.3.4')}/metadata")

    assert (series.status, instance.status) == (400, 200)
