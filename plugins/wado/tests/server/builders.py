"""Stored objects made for the tests, and a client that hides nothing of what a server answers."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, JPEGBaseline8Bit, generate_uid

MULTIPART_STORED = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
MULTIPART_PLAIN = 'multipart/related; type="application/octet-stream"'
MULTIPART_DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=*'


def make_dataset(**attributes: Any) -> Dataset:
    """Return a CT slice of 4 rows and 6 columns without pixels; `attributes` override."""
    dataset = Dataset()
    dataset.SOPClassUID = CTImageStorage
    defaults = {
        "SOPInstanceUID": generate_uid(),
        "SeriesInstanceUID": "1.2.3.1",
        "StudyInstanceUID": "1.2.3",
        "Modality": "CT",
        "PatientName": "Doe^Jane",
        "PatientID": "P1",
        "StudyDate": "20240215",
        "Rows": 4,
        "Columns": 6,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 0,
    }
    for keyword, value in {**defaults, **attributes}.items():
        setattr(dataset, keyword, value)
    return dataset


def part10(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """Return `dataset` as the bytes of a Part-10 file."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def native(frames: int = 1, syntax: str = ExplicitVRLittleEndian, **attributes: Any) -> bytes:
    """Return a Part-10 file whose frame n holds the 16-bit value n in all its pixels."""
    dataset = make_dataset(NumberOfFrames=frames, **attributes)
    order = ">u2" if syntax == "1.2.840.10008.1.2.2" else "<u2"
    values = np.repeat(np.arange(1, frames + 1), 24).astype(order)
    dataset.PixelData = values.tobytes()
    dataset["PixelData"].VR = "OW"
    return part10(dataset, syntax)


def encapsulated(fragments: list[bytes], *, frames: int, offsets: bool = False, **attributes: Any) -> bytes:
    """Return a Part-10 file of JPEG syntax whose pixel data are `fragments`, one a frame if `offsets`."""
    dataset = make_dataset(NumberOfFrames=frames, **attributes)
    dataset.PixelData = encapsulate(fragments, has_bot=offsets)
    dataset["PixelData"].VR = "OB"
    return part10(dataset, JPEGBaseline8Bit)


@dataclass(frozen=True)
class Part:
    """A part of a multipart body."""

    headers: dict[str, str]
    content: bytes


@dataclass(frozen=True)
class Answer:
    """What a server answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def parts(self) -> list[Part]:
        """The parts; fails unless the body is framed to the byte."""
        boundary = self.headers["content-type"].partition("boundary=")[2].encode()
        rest, parts = self.body, []
        while rest.startswith(b"--" + boundary + b"\r\n"):
            head, _, rest = rest[len(boundary) + 4 :].partition(b"\r\n\r\n")
            pairs = (line.partition(": ") for line in head.decode().split("\r\n"))
            headers = {name.lower(): value for name, _, value in pairs}
            length = int(headers["content-length"])
            assert rest[length : length + 2] == b"\r\n"
            parts.append(Part(headers, rest[:length]))
            rest = rest[length + 2 :]
        assert rest == b"--" + boundary + b"--\r\n"
        return parts


def ask(url: str, accept: str | None = None, *, method: str = "GET", **headers: str) -> Answer:
    """Send one request; underscores in the names of `headers` stand for hyphens."""
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.netloc, timeout=10)
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    if accept is not None:
        fields["Accept"] = accept
    try:
        connection.request(
            method, f"{where.path}?{where.query}" if where.query else where.path, headers=fields
        )
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


def instance_path(dataset_uid: str, *, study: str = "1.2.3", series: str = "1.2.3.1") -> str:
    """Return the path of an instance below the root."""
    return f"/studies/{study}/series/{series}/instances/{dataset_uid}"
