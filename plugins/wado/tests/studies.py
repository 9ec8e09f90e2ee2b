"""Series of DICOM objects for the tests of where they come from, and how they are named and asked for."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from plugins.wado.tests.builders import image, item, part10

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt
    from pydicom.dataset import Dataset

    from loadstone_wado.server import DicomWebServer

STUDY, SERIES = "1.2.3", "1.2.3.1"
SHAPE = (4, 6)


def uid(number: int) -> str:
    """Return the SOP Instance UID of the n-th slice."""
    return f"1.2.3.1.{number}"


def stored_values(number: int) -> npt.NDArray[np.uint16]:
    """Return the stored values of the n-th slice or frame: no two are equal."""
    return (1000 + 50 * number + np.arange(24, dtype=np.uint16)).reshape(SHAPE)


def ct_slice(number: int, **attributes: Any) -> Dataset:
    """Return the n-th slice of a CT, 2.5 mm apart, with an intercept of -1024; `attributes` override."""
    defaults: dict[str, Any] = {
        "SOPInstanceUID": uid(number),
        "SeriesInstanceUID": SERIES,
        "StudyInstanceUID": STUDY,
        "FrameOfReferenceUID": "1.2.3.9",
        "InstanceNumber": number,
        "PixelSpacing": [0.5, 0.75],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "ImagePositionPatient": [-10, 20, 2.5 * number],
        "BitsStored": 12,
        "HighBit": 11,
        "RescaleSlope": 1,
        "RescaleIntercept": -1024,
        "RescaleType": "HU",
    }
    return image(stored_values(number), **(defaults | attributes))


def ct_series(count: int = 5, **attributes: Any) -> list[Dataset]:
    """Return the slices of a CT in an order that is not theirs in space."""
    order = [*range(1, count, 2), *range(0, count, 2)]
    return [ct_slice(number, **attributes) for number in order]


def modality_values(count: int = 5) -> npt.NDArray[np.int16]:
    """Return what the volume of `ct_series` or `enhanced` must be, ``(k, j, i)``."""
    return np.stack([stored_values(number) for number in range(count)]).astype(np.int16) - np.int16(1024)


def enhanced(count: int = 5, *, placed: bool = True, **attributes: Any) -> Dataset:
    """Return a multi-frame CT whose frames are those of `ct_series`, the last one first."""
    order = list(reversed(range(count)))
    shared = item(
        PixelMeasuresSequence=[item(PixelSpacing=[0.5, 0.75], SliceThickness=2.5)],
        PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
        PixelValueTransformationSequence=[item(RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")],
    )
    frames = [
        item(PlanePositionSequence=[item(ImagePositionPatient=[-10, 20, 2.5 * number])]) for number in order
    ]
    defaults: dict[str, Any] = {
        "SOPInstanceUID": uid(0),
        "SeriesInstanceUID": SERIES,
        "StudyInstanceUID": STUDY,
        "FrameOfReferenceUID": "1.2.3.9",
        "BitsStored": 12,
        "HighBit": 11,
    }
    if placed:
        defaults |= {
            "SharedFunctionalGroupsSequence": [shared],
            "PerFrameFunctionalGroupsSequence": frames,
        }
    pixels = np.stack([stored_values(number) for number in order])
    return image(pixels, frames=count, **(defaults | attributes))


def contents(datasets: Iterable[Dataset], syntax: str = "") -> list[bytes]:
    """Return Part-10 objects."""
    return [part10(each, syntax) for each in datasets]


def write(datasets: Sequence[Dataset], folder: Path) -> Path:
    """Write Part-10 files into a folder, which is made; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(contents(datasets)):
        (folder / f"{number}.dcm").write_bytes(content)
    return folder


def series_path(series: str = SERIES) -> str:
    """Return the path of a series below the root of a service."""
    return f"/studies/{STUDY}/series/{series}"


def instance_path(number: int, series: str = SERIES) -> str:
    """Return the path of an instance below the root of a service."""
    return f"{series_path(series)}/instances/{uid(number)}"


@contextmanager
def kept_port() -> Iterator[int]:
    """Give a port that nobody else gets while a server on it is gone and comes back."""
    with socket.socket() as place:
        # Bound without listening: only a server that allows the reuse of addresses can have it.
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind(("127.0.0.1", 0))
        yield place.getsockname()[1]


def asked(server: DicomWebServer) -> list[str]:
    """Return the paths that were asked for below the series, in order; a dot for the series itself."""
    start = f"/dicomweb{series_path()}"
    return [request.path.removeprefix(start) or "." for request in server.requests]
