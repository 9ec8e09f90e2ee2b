"""Slices of a compressed file in ascending order: each is inflated once, and none before it is asked for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from loadstone_nifti.streams import ContentStream, stream_of

if TYPE_CHECKING:
    from loadstone.context import LoadContext
    from loadstone_nifti.files import NiftiFile

__all__ = ["Forward"]

_STATE_BYTES = 2**18
"""What an inflater holds: half for compressed bytes, the rest for its window and its tables."""


class Forward:
    """
    Reads a compressed file on and on, in whatever many loads; a source of the session.

    Between loads the file is closed: thousands of files that were looked into once keep no descriptors.
    """

    def __init__(self, file: NiftiFile) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._stream: ContentStream | None = None
        self._position = 0
        self._passed = False

    @property
    def nbytes(self) -> int:
        """Bytes that it holds."""
        return _STATE_BYTES

    def close(self) -> None:
        """Free what it holds."""
        self._stream = None

    def read(self, offset: int, buffer: memoryview, context: LoadContext) -> bool:
        """
        Inflate what lies at `offset` of the content.

        Returns
        -------
        bool
            False if that was passed already, now or once before: reading is not in ascending order.

        Raises
        ------
        IntegrityError
            If the file is truncated or damaged, as far as was read.
        """
        with self._lock:
            if self._passed or offset < self._position:
                self._passed, self._stream = True, None
                return False
            # Whatever goes wrong, also a cancellation, leaves the inflater in the middle of a read.
            stream, position = self._stream, self._position
            self._stream, self._position = None, 0
            start = 0 if stream is None else stream.received
            place, header = self._file.place, self._file.header
            with place.resumed(context, start) as opened, place.working(context, computes=True):
                if stream is None:
                    stream, position = stream_of(opened, context), 0
                else:
                    stream.resume(opened, context)
                stream.skip(offset - position)
                stream.fill(buffer, what="the slice")
                if offset + len(buffer) == header.voxels_at + header.voxel_bytes:
                    stream.check_end(context.settings.free_ratio_bytes)
            self._stream, self._position = stream, offset + len(buffer)
            return True
