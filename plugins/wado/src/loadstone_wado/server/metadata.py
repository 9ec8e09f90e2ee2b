"""What DICOM JSON says about instances, with large values left out and named."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from loadstone_wado.server.dicomjson import JsonDataset, binary_value, to_json
from loadstone_wado.server.errors import NotFoundError
from loadstone_wado.server.headerjson import HeaderWriter
from loadstone_wado.server.lru import LeastRecentlyUsed
from loadstone_wado.server.plainheader import plain_header
from loadstone_wado.walk import UnusualHeaderError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset

    from loadstone_wado.server.index import Instance
    from loadstone_wado.server.links import Links

__all__ = ["Documents", "bulk_value", "compress"]

PLACEHOLDER = uuid4().hex
"""Stands for the address of an instance's bulk data in texts that several instances share."""

KEPT_BYTES = 64 * 2**20
"""Bound of the documents that are kept."""


@dataclass(frozen=True, slots=True)
class _Key:
    uids: tuple[str, ...]
    compressed: bool


class Documents:
    """Makes metadata documents, and keeps the last ones.

    Parameters
    ----------
    links
        The addresses to name in them.
    """

    def __init__(self, links: Links) -> None:
        self.links = links
        self._kept = LeastRecentlyUsed[_Key, bytes](KEPT_BYTES, len)

    def attributes(self, instance: Instance) -> JsonDataset:
        """Return all attributes of an instance; values beyond 1 kB, and its pixels, as BulkDataURI.

        Raises
        ------
        DamagedObjectError
            If the file is gone or was changed.
        """
        answer = to_json(instance.header(), lambda path: self.links.bulkdata(instance, path))
        pixels = instance.pixels
        if pixels is not None:
            answer[pixels.tag] = {"vr": pixels.vr, "BulkDataURI": self.links.bulkdata(instance, pixels.tag)}
        return answer

    def document(self, uids: tuple[str, ...], instances: Iterable[Instance], *, compressed: bool) -> bytes:
        """Return the metadata of `instances` as one JSON array.

        Parameters
        ----------
        uids
            What the instances are all of: a study, a series, an instance.
        instances
            The instances.
        compressed
            Whether it is wanted in gzip.

        Raises
        ------
        DamagedObjectError
            If a file is gone or was changed.
        """
        if compressed:
            return self._kept.get_or_make(
                _Key(uids, compressed=True),
                lambda: compress(self.document(uids, instances, compressed=False)),
            )
        return self._kept.get_or_make(_Key(uids, compressed=False), lambda: self._write(instances))

    def _write(self, instances: Iterable[Instance]) -> bytes:
        writer = HeaderWriter(PLACEHOLDER)
        return f"[{','.join([self._text(one, writer) for one in instances])}]".encode("ascii")

    def _text(self, instance: Instance, writer: HeaderWriter) -> str:
        try:
            header, implicit = plain_header(instance)
            attributes = writer.attributes(header, implicit=implicit)
        except UnusualHeaderError:
            return json.dumps(self.attributes(instance), separators=(",", ":"))
        if instance.pixels is not None:
            tag, vr = instance.pixels.tag, instance.pixels.vr
            attributes.append(f'"{tag}":{{"vr":"{vr}","BulkDataURI":"{PLACEHOLDER}{tag}"}}')
        address = json.dumps(self.links.bulkdata(instance, ""))[1:-1]
        return f"{{{','.join(attributes)}}}".replace(PLACEHOLDER, address)


def compress(document: bytes) -> bytes:
    """Return `document` in gzip, quickly rather than small."""
    return gzip.compress(document, compresslevel=1, mtime=0)


def bulk_value(instance: Instance, path: tuple[str, ...]) -> bytes:
    """Return the value of a binary element before the pixel data, in little endian.

    Parameters
    ----------
    instance
        Where to look.
    path
        ``tag`` or ``tag, item, tag`` and so on; items count from 1.

    Raises
    ------
    DamagedObjectError
        If the file is gone or was changed.
    NotFoundError
        If there is no such element, or its value is not binary.
    """
    header = instance.header()
    element = _find(header, path)
    if element is None or not isinstance(element.value, bytes):
        raise NotFoundError(f"there is no binary value at {'/'.join(path)}")
    return binary_value(element, little_endian=header.original_encoding[1] is not False)


def _find(dataset: Dataset, path: tuple[str, ...]) -> DataElement | None:
    try:
        element = dataset[int(path[0], 16)]
        if len(path) == 1:
            return element
        number = int(path[1])
        if number < 1 or element.VR != "SQ":
            return None
        return _find(element.value[number - 1], path[2:])
    except (IndexError, KeyError, ValueError):
        return None
