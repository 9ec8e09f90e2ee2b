"""
The values of attributes, the same wherever they come from: a header's bytes, a pydicom Dataset, DICOM JSON.

Values are decoded when they are asked for, never before.
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, cast, overload

import numpy as np

from loadstone.errors import LimitError, MetadataError
from loadstone_wado import tags
from loadstone_wado.walk import MAX_DEPTH, UnusualHeaderError, item_ranges, walk_item

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    import numpy.typing as npt
    from pydicom.dataset import Dataset

    from loadstone_wado.tags import Attribute
    from loadstone_wado.walk import Found

__all__ = ["DatasetElements", "Elements", "JsonElements", "RawElements", "Value"]

Value = str | int | float
"""One decoded value."""

MOST_QUOTED: Final = 24
"""Characters of a value that an error quotes; a decimal string has at most 16."""

_STRUCTS: Final[Mapping[str, tuple[str, int]]] = {
    vr: (code, struct.calcsize(code))
    for vr, code in {
        "AT": "I", "FD": "d", "FL": "f", "OD": "d", "OF": "f", "OL": "I", "OV": "Q", "OW": "H",
        "SL": "i", "SS": "h", "SV": "q", "UL": "I", "US": "H", "UV": "Q",
    }.items()
}  # fmt: skip
_TEXT_NUMBERS: Final = frozenset({b"DS", b"IS"})
_NATURAL_LANGUAGE: Final = frozenset({"LO", "SH", "PN", "ST", "LT", "UT", "UC"})


class Elements(ABC):
    """The attributes of one data set, or of one item of a sequence."""

    __slots__ = ()

    @abstractmethod
    def values(self, tag: Attribute) -> tuple[Value, ...]:
        """Return the values as they are recorded (decimal strings as text); empty when absent or empty."""

    @abstractmethod
    def data(self, tag: Attribute) -> bytes | None:
        """Return binary data in little-endian order; None when absent or empty."""

    @abstractmethod
    def items(self, tag: Attribute) -> Sequence[Elements]:
        """Return the items of a sequence; empty when absent."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """About how much memory it takes."""

    def fingerprint(self, names: Sequence[Attribute]) -> Hashable:
        """Return what stands for the values of these attributes where that is cheap, else None."""
        return None

    def has(self, tag: Attribute) -> bool:
        """Say whether an attribute may have a value; False only where it is certain that it has none."""
        return True

    def texts(self, tag: Attribute) -> tuple[str, ...]:
        """Return the values as text."""
        return tuple(map(str, self.values(tag)))

    def text(self, tag: Attribute) -> str:
        """Return the first value as text; empty when absent."""
        values = self.values(tag)
        return str(values[0]) if values else ""

    def numbers(self, tag: Attribute) -> tuple[float, ...]:
        """
        Return the values as numbers; empty when absent.

        Raises
        ------
        MetadataError
            If a value is no finite number.
        """
        return tuple([_number(value, tag) for value in self.values(tag) if value != ""])

    def number(self, tag: Attribute) -> float | None:
        """Return the first value as a number, None when absent; raises as `numbers`."""
        values = self.values(tag)
        return _number(values[0], tag) if values and values[0] != "" else None

    def integer(self, tag: Attribute) -> int | None:
        """Return the first value as a whole number, None when absent; raises as `numbers`."""
        number = self.number(tag)
        return None if number is None else int(number)

    def item(self, tag: Attribute) -> Elements | None:
        """Return the first item of a sequence, or None."""
        items = self.items(tag)
        return items[0] if items else None

    def words(self, tag: Attribute) -> npt.NDArray[np.uint16]:
        """Return 16-bit data (recorded as words or as numbers) as a new 1-D array; empty when absent."""
        data = self.data(tag)
        if data is not None:
            return np.frombuffer(data[: len(data) // 2 * 2], "<u2").astype(np.uint16)
        return (np.array(self.numbers(tag), np.int64) & 0xFFFF).astype(np.uint16)


def _number(value: Value, tag: Attribute) -> float:
    if type(value) is str:
        try:
            number = float(value)
        except ValueError as error:
            raise MetadataError(f"{_quoted(value)} in attribute {tag!r} is not a number") from error
    else:
        number = value  # type: ignore[assignment]
    if not math.isfinite(number):
        raise MetadataError(f"{_quoted(value)} in attribute {tag!r} is not a finite number")
    return number


def _quoted(value: Value) -> str:
    """Quote a value in an error; a wrong length may have put all that follows into it, names too."""
    text = repr(value)
    return text if len(text) <= MOST_QUOTED else f"{text[:MOST_QUOTED]}…"


class RawElements(Elements):
    """
    Attributes as the bytes of a header, little endian.

    Parameters
    ----------
    found
        What the walk found.
    implicit
        Whether it is in implicit VR.
    parent
        The data set around this item, for the character set and the pixel representation.
    """

    __slots__ = ("_found", "_implicit", "_items", "_parent", "depth")

    def __init__(self, found: Found, *, implicit: bool, parent: RawElements | None = None) -> None:
        self._found = found
        self._implicit = implicit
        self._parent = parent
        self.depth: int = parent.depth + 1 if parent else 0
        self._items: dict[int, Sequence[RawElements]] = {}

    def _vr(self, recorded: bytes, tag: Attribute) -> str:
        if recorded and recorded != b"UN":
            return recorded.decode("ascii")
        if tag.vr == "US/SS":
            return "SS" if self.signed else "US"
        return tag.vr

    @property
    def signed(self) -> bool:
        """Whether the pixels around it are signed."""
        if tags.PIXEL_REPRESENTATION in self._found or self._parent is None:
            return self.integer(tags.PIXEL_REPRESENTATION) == 1
        return self._parent.signed

    def fingerprint(self, names: Sequence[Attribute]) -> Hashable:
        """Return the bytes of the values; None within sequences, where the data set around has a say."""
        return None if self._parent else (self._implicit, *map(self._found.get, names))

    def has(self, tag: Attribute) -> bool:
        """Say whether an attribute is there."""
        return tag in self._found

    def values(self, tag: Attribute) -> tuple[Value, ...]:
        """Return the values as they are recorded."""
        found = self._found.get(tag)
        if found is None:
            return ()
        vr = self._vr(found[0], tag)
        layout = _STRUCTS.get(vr)
        if layout is None:
            return self._split(found[1], vr)
        code, size = layout
        values = struct.unpack_from(f"<{len(found[1]) // size}{code}", found[1])
        # A tag is written as two 16-bit numbers, group first.
        return tuple([(v & 0xFFFF) << 16 | v >> 16 for v in values]) if vr == "AT" else values

    def numbers(self, tag: Attribute) -> tuple[float, ...]:
        """Return the values as numbers; decimal strings without going through text."""
        found = self._found.get(tag)
        if found is None:
            return ()
        if found[0] == b"DS" and found[1]:
            try:
                numbers = tuple(map(float, found[1].split(b"\\")))
            except ValueError:
                # Padded with nulls, empty, or no number: the slow way knows.
                return super().numbers(tag)
            if math.isfinite(sum(numbers)):
                return numbers
        return super().numbers(tag)

    def number(self, tag: Attribute) -> float | None:
        """Return the first value as a number; see `numbers`."""
        found = self._found.get(tag)
        if found is None:
            return None
        vr, raw = found
        if vr == b"US" and len(raw) == 2:
            return raw[0] | raw[1] << 8
        if vr in _TEXT_NUMBERS:
            try:
                number = float(raw)
            except ValueError:
                # Several values, padded with nulls, empty, or no number: the slow way knows.
                return super().number(tag)
            if math.isfinite(number):
                return number
        return super().number(tag)

    def _split(self, raw: bytes, vr: str) -> tuple[str, ...]:
        text = self._decoded(raw, vr).rstrip("\0 ")
        if "\\" in text:
            return tuple([part.strip("\0 ") for part in text.split("\\")])
        return (text.strip(),) if text else ()

    def _decoded(self, raw: bytes, vr: str) -> str:
        if raw.isascii() and b"\x1b" not in raw:
            return raw.decode("ascii")
        if vr not in _NATURAL_LANGUAGE:
            return raw.decode("latin-1")
        return _in_character_set(raw, self.character_sets)

    @property
    def character_sets(self) -> tuple[str, ...]:
        """How natural language is encoded."""
        if tags.SPECIFIC_CHARACTER_SET in self._found or self._parent is None:
            return self.texts(tags.SPECIFIC_CHARACTER_SET)
        return self._parent.character_sets

    def data(self, tag: Attribute) -> bytes | None:
        """Return the bytes of the value."""
        found = self._found.get(tag)
        return found[1] or None if found else None

    def items(self, tag: Attribute) -> Sequence[RawElements]:
        """Return the items; each one is walked when it is first used."""
        if tag not in self._items:
            self._items[tag] = self._lazy_items(tag)
        return self._items[tag]

    def _lazy_items(self, tag: Attribute) -> Sequence[RawElements]:
        found = self._found.get(tag)
        if not found or not found[1]:
            return ()
        if self.depth >= MAX_DEPTH:
            raise LimitError(f"sequences are nested more than {MAX_DEPTH} deep at {tag!r}")
        vr, data = found
        implicit = self._implicit or vr == b"UN"
        try:
            return _RawItems(
                data, tuple(item_ranges(data, implicit=implicit)), implicit=implicit, parent=self
            )
        except UnusualHeaderError as error:
            raise MetadataError(f"the sequence {tag!r} cannot be read") from error

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        return sum([len(value) + 200 for _, value in self._found.values()])


class _RawItems(Sequence["RawElements"]):
    """The items of a sequence, each walked when it is first asked for."""

    __slots__ = ("_built", "_data", "_implicit", "_parent", "_ranges")

    def __init__(
        self, data: bytes, ranges: tuple[tuple[int, int], ...], *, implicit: bool, parent: RawElements
    ) -> None:
        self._data = data
        self._ranges = ranges
        self._implicit = implicit
        self._parent = parent
        self._built: dict[int, RawElements] = {}

    def __len__(self) -> int:
        return len(self._ranges)

    @overload
    def __getitem__(self, index: int) -> RawElements: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[RawElements]: ...
    def __getitem__(self, index: int | slice) -> RawElements | Sequence[RawElements]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        start, stop = self._ranges[index]
        if start not in self._built:
            try:
                found = walk_item(self._data[start:stop], implicit=self._implicit)
            except UnusualHeaderError as error:
                raise MetadataError(f"item {index + 1} of a sequence cannot be read") from error
            self._built[start] = RawElements(found, implicit=self._implicit, parent=self._parent)
        return self._built[start]


def _in_character_set(raw: bytes, names: Sequence[str]) -> str:
    """Decode text by SpecificCharacterSet (DICOM PS3.5 6.1), as pydicom does."""
    from pydicom.charset import convert_encodings, decode_bytes

    try:
        return decode_bytes(raw, convert_encodings(list(names)), set())
    except (LookupError, UnicodeError):
        return raw.decode("latin-1")


class DatasetElements(Elements):
    """
    Attributes of a pydicom Dataset.

    Parameters
    ----------
    dataset
        The data set, or an item of a sequence.
    little_endian
        Byte order of its binary data.
    """

    __slots__ = ("_dataset", "_little_endian")

    def __init__(self, dataset: Dataset, *, little_endian: bool = True) -> None:
        self._dataset = dataset
        self._little_endian = little_endian

    def values(self, tag: Attribute) -> tuple[Value, ...]:
        """Return the values as they are recorded."""
        value = self._value(tag)
        if value is None or isinstance(value, bytes):
            return ()
        if isinstance(value, str) or not isinstance(value, Sequence):
            return (_plain(value),)
        return tuple([_plain(each) for each in value])

    def _value(self, tag: Attribute) -> Any:  # noqa: ANN401 - whatever pydicom makes of it
        try:
            value = self._dataset[int(tag)].value if int(tag) in self._dataset else None
        except Exception as error:
            # pydicom converts values when they are asked for, and raises whatever its converters raise.
            what = type(error).__name__
            raise MetadataError(f"attribute {tag!r} cannot be read by pydicom ({what})") from error
        return None if value in ("", b"") else value

    def data(self, tag: Attribute) -> bytes | None:
        """Return binary data, swapped when the data set is big endian."""
        value = self._value(tag)
        if not isinstance(value, bytes):
            return None
        if self._little_endian or tag.vr != "OW" or self._dataset[int(tag)].VR == "OB":
            return value
        return np.frombuffer(value[: len(value) // 2 * 2], ">u2").astype("<u2").tobytes()

    def items(self, tag: Attribute) -> Sequence[DatasetElements]:
        """Return the items."""
        items = self._value(tag)
        if items is None or isinstance(items, bytes | str):
            return ()
        return [DatasetElements(item, little_endian=self._little_endian) for item in items]

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        return 2000 + 1000 * len(self._dataset)


def _plain(value: Any) -> Value:  # noqa: ANN401 - whatever pydicom makes of it
    """Return a value of pydicom as text, or as a number where no text was recorded."""
    original = getattr(value, "original_string", None)
    if isinstance(original, str):
        return original.strip("\0 ")
    if isinstance(value, int):
        return int(value)
    return float(value) if isinstance(value, float) else str(value).strip("\0 ")


class JsonElements(Elements):
    """
    Attributes of DICOM JSON (DICOM PS3.18 F.2).

    Parameters
    ----------
    attributes
        The JSON object: eight hexadecimal digits to ``{"vr": …, "Value": […]}``.
    fetch
        Gives the bytes behind a BulkDataURI; None: bulk data counts as absent.
    """

    __slots__ = ("_attributes", "_fetch")

    def __init__(self, attributes: Mapping[str, Any], *, fetch: Callable[[str], bytes] | None = None) -> None:
        self._attributes = attributes
        self._fetch = fetch

    def _element(self, tag: Attribute) -> Mapping[str, Any]:
        element = self._attributes.get(tag.json_name)
        if element is None:
            return {}
        if not isinstance(element, dict):
            raise MetadataError(f"attribute {tag!r} is no JSON object")
        return element

    def fingerprint(self, names: Sequence[Attribute]) -> Hashable:
        """Return the values with their types; None where one is no text or number, or is somewhere else."""
        found: list[Hashable] = ["json"]
        for name in names:
            element = self._attributes.get(name.json_name)
            if element is None:
                found.append(None)
                continue
            values = _plain_values(element)
            if values is None or not _SIMPLE.issuperset(types := tuple(map(type, values))):
                return None
            # 1 and 1.0 are equal, but not as text.
            found.append((*values, *types))
        return tuple(found)

    def _list(self, tag: Attribute) -> list[Any]:
        values = self._element(tag).get("Value")
        if values is None:
            return []
        # Some servers write a single value without the array around it.
        return values if isinstance(values, list) else [values]

    def values(self, tag: Attribute) -> tuple[Value, ...]:
        """Return the values; a JSON null is an empty text."""
        return tuple([_from_json(value, tag) for value in self._list(tag)])

    def data(self, tag: Attribute) -> bytes | None:
        """Return inline binary or fetched bulk data."""
        element = self._element(tag)
        inline, uri = element.get("InlineBinary"), element.get("BulkDataURI")
        if isinstance(inline, str):
            try:
                return base64.b64decode(inline, validate=True) or None
            except binascii.Error as error:
                raise MetadataError(f"the inline binary of attribute {tag!r} is no base64") from error
        if isinstance(uri, str) and self._fetch is not None:
            return self._fetch(uri) or None
        return None

    def items(self, tag: Attribute) -> Sequence[JsonElements]:
        """Return the items."""
        items = self._list(tag)
        if not all(isinstance(item, dict) for item in items):
            raise MetadataError(f"an item of the sequence {tag!r} is no JSON object")
        return [JsonElements(item, fetch=self._fetch) for item in items]

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        return 500 * len(self._attributes)


_SIMPLE: Final = frozenset({str, int, float, type(None)})
"""Types of JSON values that hold nothing else."""


def _plain_values(element: Any) -> list[Any] | None:  # noqa: ANN401 - any JSON value
    """Return the values of an element that may have none; None where they are written in another way."""
    if type(element) is not dict:
        return None
    values = element.get("Value", [] if element.keys() == {"vr"} else None)
    return values if type(values) is list else None


def _from_json(value: Any, tag: Attribute) -> Value:  # noqa: ANN401 - any JSON value
    if value is None:
        return ""
    if isinstance(value, str):
        return _tag_from_json(value, tag) if tag.vr == "AT" else value.strip("\0 ")
    if type(value) in {int, float}:
        return cast("float", value)
    raise MetadataError(f"a value of attribute {tag!r} has the wrong JSON type ({type(value).__name__})")


def _tag_from_json(value: str, tag: Attribute) -> int:
    try:
        return int(value, 16)
    except ValueError as error:
        raise MetadataError(f"{_quoted(value)} in attribute {tag!r} is not a tag") from error
