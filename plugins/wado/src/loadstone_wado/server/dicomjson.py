"""pydicom datasets as the DICOM JSON model (PS3.18 annex F)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydicom.dataelem import DataElement, RawDataElement
    from pydicom.dataset import Dataset

__all__ = ["BULK_BYTES", "JsonDataset", "JsonElement", "binary_value", "element_json", "to_json"]


class JsonElement(TypedDict, total=False):
    """An attribute in the DICOM JSON model; at most one of the last three is there."""

    vr: str
    Value: list[Any]
    InlineBinary: str
    BulkDataURI: str


JsonDataset: TypeAlias = dict[str, JsonElement]
"""Attributes by tag: eight hexadecimal digits in upper case."""

BULK_BYTES = 1024
"""Binary values beyond this are named by a BulkDataURI."""

WORD_BYTES = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
"""Size of the words of the binary value representations that have an order of bytes."""

BINARY_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN", "OB or OW", "US or OW", "US or SS or OW"})


def to_json(dataset: Dataset, bulkdata_uri: Callable[[str], str], *, path: str = "") -> JsonDataset:
    """Convert a dataset to the DICOM JSON model.

    Parameters
    ----------
    dataset
        What to convert. Groups 0000 and 0002 and group lengths are left out.
    bulkdata_uri
        Address of a large binary value, from its path (``tag`` or ``tag/item/tag``).
    path
        Path of the dataset itself, with a slash at the end, when it is an item of a sequence.

    Returns
    -------
    JsonDataset
        Text is Unicode, and SpecificCharacterSet says so. A value that breaks the rules of its value
        representation is given as text.
    """
    answer: JsonDataset = {}
    for tag in sorted(dataset.keys()):
        if tag.group <= 2 or tag.element == 0:
            continue
        key = f"{tag:08X}"
        answer[key] = element_json(dataset, key, bulkdata_uri, path)
    if "00080005" in answer:
        answer["00080005"] = {"vr": "CS", "Value": ["ISO_IR 192"]}
    return answer


def binary_value(element: DataElement, *, little_endian: bool) -> bytes:
    """Return the value of a binary element in little endian order."""
    value: bytes = element.value or b""
    size = WORD_BYTES.get(element.VR, 1)
    if little_endian or size == 1 or len(value) % size:
        return value
    return np.frombuffer(value, f">u{size}").astype(f"<u{size}").tobytes()


def element_json(dataset: Dataset, key: str, bulkdata_uri: Callable[[str], str], path: str) -> JsonElement:
    """Convert the element `key` (eight hexadecimal digits) of a dataset; the rest as `to_json`.

    Raises
    ------
    KeyError
        If there is none.
    """
    tag = int(key, 16)
    if tag not in dataset:
        raise KeyError(key)
    raw: DataElement | RawDataElement | None = None
    try:
        raw = cast("DataElement | RawDataElement", dataset.get_item(tag))  # pydicom names only the first
        element = dataset[tag]
        if element.VR == "SQ":
            items = enumerate(element.value, start=1)
            value = [to_json(item, bulkdata_uri, path=f"{path}{key}/{number}/") for number, item in items]
            return {"vr": "SQ", "Value": value} if value else {"vr": "SQ"}
        if element.VR in BINARY_VRS and isinstance(element.value, bytes | None):
            return _binary(element, dataset, bulkdata_uri, f"{path}{key}")
        return _plain(element)
    except Exception:  # noqa: BLE001  (stored values break every rule; one must not hide the others)
        return _as_text(raw)


def _plain(element: DataElement) -> JsonElement:
    converted = element.to_json_dict(None, 0)
    values = converted.get("Value")
    if values is None:
        return {"vr": element.VR}
    # An empty one among several values is null (PS3.18 F.2.5); JSON has no NaN and no infinity.
    return {
        "vr": element.VR,
        "Value": [None if value in ("", {"Alphabetic": ""}) else _finite(value) for value in values],
    }


def _finite(value: object) -> object:
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value


def _binary(
    element: DataElement, dataset: Dataset, bulkdata_uri: Callable[[str], str], path: str
) -> JsonElement:
    vr = "OW" if " or " in element.VR else element.VR
    if not element.value:
        return {"vr": vr}
    if len(element.value) > BULK_BYTES:
        return {"vr": vr, "BulkDataURI": bulkdata_uri(path)}
    little_endian = dataset.original_encoding[1] is not False
    value = binary_value(element, little_endian=little_endian)
    return {"vr": vr, "InlineBinary": base64.b64encode(value).decode("ascii")}


def _as_text(raw: DataElement | RawDataElement | None) -> JsonElement:
    if raw is None:  # empty, and pydicom found no value representation for it
        return {"vr": "UN"}
    vr = raw.VR or "UN"
    text = raw.value.decode("latin-1") if isinstance(raw.value, bytes) else str(raw.value or "")
    values = text.rstrip("\0 ").split("\\")
    return {"vr": vr, "Value": values} if values != [""] else {"vr": vr}
