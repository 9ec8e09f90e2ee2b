"""What the demo loads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom import dcmread

from loadstone_wado.demo.samples import dicom_sample, nifti_sample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom import Dataset

    from loadstone_wado.server import DicomWebServer

__all__ = ["SERVED", "Exhibit", "from_disk", "from_niftis", "from_pictures", "over_wado_rs", "over_wado_uri"]


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One thing to load."""

    route: str
    """How it comes, for a label."""
    what: str
    """What it is, for a label."""
    id: str
    """Its id, or the path or URL that stands for one."""
    is_volume: bool = False
    """Whether it is loaded as a volume."""
    by_stages: bool = False
    """Whether it is shown while it loads."""


_FRAMES = "examples_ybr_color.dcm"
_COMPRESSED = "examples_jpeg2k.dcm"
_PLAIN = "examples_overlay.dcm"
_SMALL = "CT_small.dcm"
SERVED = (_FRAMES, _COMPRESSED, _PLAIN, _SMALL)
"""Samples that the DICOMweb server offers, beside a series."""

_ON_DISK = (
    ("CT, explicit little endian", _SMALL),
    ("MR, implicit little endian", "MR_small_implicit.dcm"),
    ("MR, big endian", "MR_small_bigendian.dcm"),
    ("MR, RLE", "MR_small_RLE.dcm"),
    ("MR, JPEG-LS", "MR_small_jpeg_ls_lossless.dcm"),
    ("MR, JPEG 2000 lossless", "MR_small_jp2klossless.dcm"),
    ("NM, JPEG 12 bit", "JPGExtended.dcm"),
    ("OT, deflated", "image_dfl.dcm"),
    ("CR, MONOCHROME1", "dicomdirtests/77654033/CR1/6154"),
    ("US, palette", "examples_palette.dcm"),
    ("US, RGB", "examples_rgb_color.dcm"),
    ("RGB, JPEG lossless", "SC_rgb_jpeg_gdcm.dcm"),
    ("RGB, JPEG-LS near-lossless", "SC_rgb_jls_lossy_line.dcm"),
    ("YBR_FULL_422, no compression", "SC_ybr_full_422_uncompressed.dcm"),
)


def from_disk() -> Iterator[Exhibit]:
    """List DICOM files and folders."""
    for what, name in _ON_DISK:
        yield Exhibit("DICOM file", what, f"dicomfile:{dicom_sample(name)}")
    yield Exhibit(
        "DICOM file, frame 12 of 30", "US, YBR, JPEG", f"dicomfile:{dicom_sample(_FRAMES)}?frame=12"
    )
    yield Exhibit(
        "DICOM file, 15 frames", "RT dose", f"dicomfile:{dicom_sample('rtdose.dcm')}", is_volume=True
    )
    folder = dicom_sample("dicomdirtests/98892001/CT5N/2062").parent
    yield Exhibit("DICOM folder, 5 files", "CT", f"dicomfile:{folder}", is_volume=True)


def over_wado_rs(server: DicomWebServer, series: Dataset) -> Iterator[Exhibit]:
    """List a frame, an instance and a series; `series` is the header of one of its instances."""
    frame = f"wadors:{_instance_url(server, _header(_FRAMES))}/frames/24"
    yield Exhibit("WADO-RS frame 24", "US, YBR, JPEG", frame)
    yield Exhibit("WADO-RS instance", "CT", f"wadors:{_instance_url(server, _header(_SMALL))}")
    volume = f"wadors:{_series_url(server, series)}"
    yield Exhibit("WADO-RS series", "MR, HTJ2K", volume, is_volume=True)
    yield Exhibit("WADO-RS series by stages", "MR, HTJ2K", volume, is_volume=True, by_stages=True)


def over_wado_uri(server: DicomWebServer) -> Iterator[Exhibit]:
    """List an image by query and one by the plain address of its file."""
    header = _header(_COMPRESSED)
    query = (
        f"requestType=WADO&studyUID={header.StudyInstanceUID}&seriesUID={header.SeriesInstanceUID}"
        f"&objectUID={header.SOPInstanceUID}&contentType=application%2Fdicom"
    )
    yield Exhibit("WADO-URI", "US, YBR_RCT, JPEG 2000", f"wadouri:{server.wado_uri_url}?{query}")
    yield Exhibit("WADO-URI, plain URL", "MR", f"wadouri:{server.file_url(_header(_PLAIN).SOPInstanceUID)}")


def from_niftis(served_at: str) -> Iterator[Exhibit]:
    """List NIfTI volumes and an image, from disk and over HTTP."""
    yield Exhibit("NIfTI, 3-D", "anatomical", f"nifti:{nifti_sample('anatomical.nii')}", is_volume=True)
    four = nifti_sample("example4d.nii.gz")
    yield Exhibit("NIfTI, 4-D, gzipped", "diffusion", f"nifti:{four}", is_volume=True)
    yield Exhibit("NIfTI image", "diffusion, image 15", f"nifti:{four}?frame=15")
    yield Exhibit("NIfTI by URL, 4-D", "functional", f"{served_at}/functional.nii", is_volume=True)


def from_pictures(served_at: str) -> Iterator[Exhibit]:
    """List a PNG and a JPEG over HTTP, with and without a scheme of their own."""
    yield Exhibit("PNG by URL", "grey, 16 bit", f"web:{served_at}/grey.png")
    yield Exhibit("JPEG by plain URL", "RGB", f"{served_at}/colour.jpg")


def _header(name: str) -> Dataset:
    return dcmread(dicom_sample(name), stop_before_pixels=True)


def _series_url(server: DicomWebServer, header: Dataset) -> str:
    return f"{server.url}/studies/{header.StudyInstanceUID}/series/{header.SeriesInstanceUID}"


def _instance_url(server: DicomWebServer, header: Dataset) -> str:
    return f"{_series_url(server, header)}/instances/{header.SOPInstanceUID}"
