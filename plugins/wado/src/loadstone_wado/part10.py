"""An opened Part-10 object: its description and a reader of its frames, to be shared by many loads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from loadstone_wado.blobs import FileBlob, MemoryBlob
from loadstone_wado.frames import FrameReader
from loadstone_wado.headers import read_dataset
from loadstone_wado.instance import Instance
from loadstone_wado.transfer_syntaxes import NATIVE

if TYPE_CHECKING:
    import os

    from pydicom.dataset import Dataset

    from loadstone.settings import Settings
    from loadstone_wado.blobs import Blob

__all__ = ["Part10"]


class Part10:
    """
    An opened Part-10 object.

    Parameters
    ----------
    instance
        What it is.
    blob
        Its bytes.
    """

    __slots__ = ("_blob", "frames", "instance")

    def __init__(self, instance: Instance, blob: Blob) -> None:
        self.instance = instance
        self.frames = FrameReader(instance, blob)
        self._blob = blob

    @classmethod
    def open(cls, path: str | os.PathLike[str], settings: Settings) -> Self:
        """
        Open a file.

        Raises
        ------
        LoadstoneError
            As `Instance.from_blob`.
        """
        blob = FileBlob(path)

        def dataset() -> Dataset:
            with FileBlob(path) as again:
                return read_dataset(again)

        try:
            return cls(Instance.from_blob(blob, settings, dataset=dataset), blob)
        except BaseException:
            blob.close()
            raise

    @classmethod
    def from_bytes(
        cls, data: bytes | bytearray | memoryview, settings: Settings, *, source: str = ""
    ) -> Self:
        """
        Take bytes that are in memory.

        Raises
        ------
        LoadstoneError
            As `Instance.from_blob`.
        """
        return cls.of(MemoryBlob(data, source), settings)

    @classmethod
    def of(cls, blob: Blob, settings: Settings) -> Self:
        """Read an object out of its bytes; errors as `from_bytes`."""
        return cls(Instance.from_blob(blob, settings), blob)

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        return self.instance.nbytes + (self._blob.size if isinstance(self._blob, MemoryBlob) else 0)

    @property
    def is_native(self) -> bool:
        """Whether its frames are uncompressed."""
        return self.instance.transfer_syntax_uid in NATIVE

    def close(self) -> None:
        """Close the file, if there is one."""
        if isinstance(self._blob, FileBlob):
            self._blob.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()
