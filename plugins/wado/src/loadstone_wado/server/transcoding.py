"""Stored pixels in explicit little endian, by pydicom's decoders."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian

from loadstone_wado.server.errors import NotAcceptableError

if TYPE_CHECKING:
    from loadstone_wado.server.index import Instance
    from loadstone_wado.server.pixelelement import PixelElement

__all__ = ["explicit_frame", "explicit_instance"]

KEEP_COLOURS: Any = {"as_rgb": False}
"""What the metadata says about colours stays true."""


def explicit_frame(instance: Instance, frame: bytes) -> bytes:
    """Return a stored frame in explicit little endian.

    The colour space stays what the codestream holds; planes are interleaved when it was compressed.

    Parameters
    ----------
    instance
        What the frame belongs to.
    frame
        Its stored bytes.

    Raises
    ------
    NotAcceptableError
        If it cannot be decoded.
    """
    if instance.transfer_syntax_uid == ExplicitVRBigEndian and instance.pixels is not None:
        return _swapped(instance.header().BitsAllocated, instance.pixels, frame)
    try:
        decoder = get_decoder(instance.transfer_syntax_uid)
        pixels, _ = decoder.as_array(_single_frame(instance, frame), index=0, **KEEP_COLOURS)
    except Exception as error:  # the decoders raise whatever their libraries do
        raise NotAcceptableError(
            f"this frame cannot be decoded to explicit little endian: {error}"
        ) from error
    return pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).tobytes()


def explicit_instance(instance: Instance) -> bytes:
    """Return a stored instance as a Part-10 object in explicit little endian.

    Raises
    ------
    DamagedObjectError
        If the file is gone or was changed.
    NotAcceptableError
        If it cannot be decoded or written.
    """
    buffer = BytesIO()
    with instance.source.open() as file:
        try:
            dataset = dcmread(file)
            if dataset.file_meta.TransferSyntaxUID.is_encapsulated and "PixelData" in dataset:
                dataset.decompress(**KEEP_COLOURS, generate_instance_uid=False)
            dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            dataset.save_as(buffer, implicit_vr=False, little_endian=True)
        except Exception as error:  # pydicom raises whatever its parsing and its decoders do
            raise NotAcceptableError(
                f"this instance cannot be written in explicit little endian: {error}"
            ) from error
    return buffer.getvalue()


def _single_frame(instance: Instance, frame: bytes) -> Dataset:
    dataset = Dataset()
    dataset.update(instance.header().group_dataset(0x0028))
    dataset.NumberOfFrames = 1
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(instance.transfer_syntax_uid)
    return dataset


def _swapped(bits_allocated: int, pixels: PixelElement, frame: bytes) -> bytes:
    # The words of OW are of 16 bits also where samples are of 8.
    size = 2 if bits_allocated <= 8 and pixels.vr == "OW" else max(bits_allocated // 8, 1)
    if len(frame) % size:
        raise NotAcceptableError(
            "a frame of an odd number of bytes in words of two cannot be turned around alone"
        )
    return np.frombuffer(frame, f">u{size}").astype(f"<u{size}").tobytes()
