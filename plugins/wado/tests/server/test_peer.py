from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from loadstone_wado.server import DicomWebServer

if TYPE_CHECKING:
    from collections.abc import Iterator

web = pytest.importorskip("dicomweb_client.web")
NAMES = ["CT_small.dcm", "MR_small_RLE.dcm", "SC_rgb_rle_2frame.dcm", "JPEG2000.dcm"]
PLACES = [str(get_testdata_file(name, read=False)) for name in NAMES]


@pytest.fixture(scope="module")
def client() -> Iterator[object]:
    with DicomWebServer(PLACES) as server:
        yield web.DICOMwebClient(server.url)


@pytest.mark.parametrize("place", PLACES, ids=NAMES)
def test_dicomweb_client_reads_everything(client: object, place: str) -> None:
    """An independent client finds an instance, and gets its metadata, frames, series and file."""
    assert isinstance(client, web.DICOMwebClient)
    dataset = dcmread(place)
    series = (dataset.StudyInstanceUID, dataset.SeriesInstanceUID)
    uids = (*series, dataset.SOPInstanceUID)
    numbers = list(range(1, int(dataset.get("NumberOfFrames", 1)) + 1))
    stored = (("application/dicom", "*"),)

    (found,) = client.search_for_instances(*series, search_filters={"SOPInstanceUID": uids[2]})
    assert found["00080018"]["Value"] == [uids[2]]
    assert client.search_for_studies(search_filters={"StudyInstanceUID": uids[0]})
    assert client.retrieve_instance_metadata(*uids)["00280010"]["Value"] == [dataset.Rows]
    assert client.retrieve_instance(*uids, media_types=stored) == dataset
    assert len(client.retrieve_series(*series)) == len(client.retrieve_series_metadata(*series))
    frames = client.retrieve_instance_frames(
        *uids, frame_numbers=numbers, media_types=(("application/octet-stream", "1.2.840.10008.1.2.1"),)
    )
    assert b"".join(frames) == np.ascontiguousarray(dataset.pixel_array).tobytes()
