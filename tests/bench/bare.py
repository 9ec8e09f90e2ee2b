"""The least that has to be done: reads into one array, a codec alone, a body from a connection."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import imagecodecs
import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.encaps import generate_frames

from tests.bench.phantom import SIZE, SLICES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

__all__ = ["CORES", "SLICE_BYTES", "decode", "frames_of", "places_of", "read", "receive", "spread"]

T = TypeVar("T")
Place = tuple["Path", int]
"""Where the pixels of one slice are: a file, and how many bytes into it."""

CORES = os.cpu_count() or 1
SLICE_BYTES = 2 * SIZE * SIZE
HEADER_BYTES = 100_000
"""More than the header of a slice."""
INSTANCES = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_DECODE: dict[str, Callable[..., object]] = {
    "RLE": imagecodecs.dicomrle_decode,
    "JPEG lossless": imagecodecs.jpeg8_decode,
    "JPEG-LS": imagecodecs.jpegls_decode,
    "HTJ2K": imagecodecs.htj2k_decode,
    "JPEG 2000": imagecodecs.jpeg2k_decode,
}


def spread(work: Callable[[T], object], pieces: Iterable[T], threads: int) -> None:
    """Do the work on each piece; one thread is the calling one."""
    if threads == 1:
        for piece in pieces:
            work(piece)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, pieces))


def places_of(files: Iterable[Path], frames: int = 1) -> list[Place]:
    """Return where all slices are, in files that end with their pixels, in the order of files and frames."""
    sizes = [(file, file.stat().st_size) for file in files]
    return [(file, size - left * SLICE_BYTES) for file, size in sizes for left in range(frames, 0, -1)]


def read(places: list[Place], threads: int) -> npt.NDArray[Any]:
    """Read each slice into its place of one array, and make HU of it."""
    volume = np.zeros((len(places), SIZE, SIZE), np.int16)

    def fill(pair: tuple[Place, npt.NDArray[Any]]) -> None:
        (file, offset), target = pair
        descriptor = os.open(file, os.O_RDONLY)
        os.preadv(descriptor, [target.reshape(-1).view(np.uint8).data], offset)
        os.close(descriptor)
        np.subtract(target, 1024, out=target)

    spread(fill, zip(places, volume, strict=True), threads)
    return volume


def frames_of(files: Iterable[Path], count: int = 1) -> list[bytes]:
    """Return all compressed frames of files with `count` each."""
    pixels = (pydicom.dcmread(file).PixelData for file in files)
    return [frame for each in pixels for frame in generate_frames(each, number_of_frames=count)]


def decode(frames: list[bytes], syntax: str) -> npt.NDArray[Any]:
    """Decode frames that are in memory, on all cores."""
    volume = np.zeros((len(frames), SIZE, SIZE), np.uint16)

    def fill(pair: tuple[bytes, npt.NDArray[Any]]) -> None:
        frame, target = pair
        if syntax == "RLE":
            _DECODE[syntax](frame, "<u2", out=target.reshape(-1).view(np.uint8))
        else:
            _DECODE[syntax](frame, out=target)

    spread(fill, zip(frames, volume, strict=True), CORES)
    return volume


def receive(url: str) -> int:
    """Read all instances of a series from one connection into one array, and return their bytes."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port)
    connection.request("GET", parts.path, headers={"Accept": INSTANCES, "Accept-Encoding": "identity"})
    answer, count = connection.getresponse(), 0
    room = np.zeros(SLICES * (SLICE_BYTES + HEADER_BYTES), np.uint8).data
    while received := answer.readinto(room[count:]):
        count += received
    connection.close()
    assert SLICES * SLICE_BYTES < count < len(room), f"{count} bytes"
    return count
