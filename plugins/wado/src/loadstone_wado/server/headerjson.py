"""
DICOM JSON straight from the bytes of headers: what is plain without pydicom, what repeats only once.

A series has hundreds of headers of which most elements are equal, and pydicom takes milliseconds for each.
Here the text of an element that was written before is taken again, plain values are converted, and every
other element is given to pydicom by itself, with what its meaning depends on. What comes out is, byte for
byte, what `to_json` makes of the whole header, and ten times as fast for a real series.
"""

from __future__ import annotations

import base64
import json
import math
import re
import struct
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from json.encoder import encode_basestring_ascii as quoted
from typing import TYPE_CHECKING, Final

from pydicom.datadict import dictionary_VR
from pydicom.filereader import read_dataset

from loadstone_wado.server.dicomjson import BULK_BYTES, element_json
from loadstone_wado.walk import MAX_DEPTH, Element, UnusualHeaderError, elements_of, item_ranges

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

__all__ = ["HeaderWriter"]

CHARACTER_SET: Final = 0x00080005
PIXEL_REPRESENTATION: Final = 0x00280103
INHERITED: Final = frozenset({CHARACTER_SET, PIXEL_REPRESENTATION})
"""What a data set says about the items within it."""
DECISIVE: Final = INHERITED | {0x00283002, 0x54001004}
"""What the meaning of other elements depends on; LUTDescriptor and WaveformBitsAllocated decide on a VR."""
LUT_DESCRIPTORS: Final = frozenset({0x00281101, 0x00281102, 0x00281103, 0x00283002})
"""Elements whose first value pydicom mends."""

UNICODE: Final = '{"vr":"CS","Value":["ISO_IR 192"]}'
ITEM_END: Final = b"\xfe\xff\x0d\xe0\0\0\0\0"
UNDEFINED: Final = b"\xff\xff\xff\xff"
ASCII_SETS: Final = re.compile(rb"(ISO_IR (6|100|101|109|110|144|127|126|138|148|166|192)|GB18030|GBK|) ?")
"""Character sets in which bytes of ASCII mean what they mean in ASCII."""

BINARY: Final = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW"})
NUMBERS: Final[Mapping[bytes, str]] = {
    b"FD": "d", b"FL": "f", b"SL": "i", b"SS": "h", b"UL": "I", b"US": "H",
}  # fmt: skip
TEXT: Final = rb"[!-\[\]-~]([ -\[\]-~]*[!-\[\]-~])?"
"""ASCII without backslash, and without blanks around."""
DECIMAL: Final = rb"[+-]?([0-9]{1,12}(\.[0-9]{0,12})?|\.[0-9]{1,12})([eE][+-]?[0-9]{1,2})?"


def _several(pattern: bytes, padding: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"%s(\\%s)*%s?" % (pattern, pattern, padding))


TEXTS: Final[Mapping[bytes, tuple[re.Pattern[bytes], Callable[[str], str]]]] = {
    **dict.fromkeys((b"AE", b"AS", b"CS", b"DA", b"DT", b"LO", b"SH", b"TM"), (_several(TEXT, b" "), quoted)),
    **dict.fromkeys((b"LT", b"ST", b"UT"), (re.compile(TEXT + b" ?"), quoted)),
    b"UI": (_several(rb"[0-9.]+", rb"\0"), quoted),
    b"DS": (_several(DECIMAL, b" "), lambda text: repr(float(text))),
    b"IS": (_several(rb"[+-]?[0-9]{1,9}", b" "), lambda text: repr(int(text))),
}
"""VR to what plain values of it look like, and how one becomes JSON."""


@dataclass(frozen=True, slots=True)
class _Scope:
    """A data set or an item: what the meaning of its elements depends on."""

    implicit: bool
    """Whether it is in implicit VR."""
    context: tuple[tuple[int, bytes], ...] = ()
    """Tags and bytes of its decisive elements and private creators, and of those that it inherits."""
    is_ascii: bool = True
    """Whether bytes of ASCII mean what they mean in ASCII."""
    path: str = ""
    """Path of its elements, up to their tags."""
    depth: int = 0
    """How many sequences are around it."""

    def inside(self, data: bytes, elements: list[Element], path: str) -> _Scope:
        """Return the scope of the elements of an item, or of the data set itself."""
        own = {tag: data[start:end] for tag, _, start, _, _, end in elements if _decides(tag)}
        outer = {tag: raw for tag, raw in self.context if tag in INHERITED}
        names = [data[value:stop] for tag, _, _, value, stop, _ in elements if tag == CHARACTER_SET]
        is_ascii = ASCII_SETS.fullmatch(names[-1]) is not None if names else self.is_ascii
        return _Scope(self.implicit, tuple(sorted((outer | own).items())), is_ascii, path, self.depth + 1)


def _decides(tag: int) -> bool:
    return tag in DECISIVE or (_is_private(tag) and 0x10 <= tag & 0xFFFF <= 0xFF)


def _is_told(tag: int) -> bool:
    """Say whether an element is told: those of commands and files are not, nor the lengths of groups."""
    return tag >> 16 > 2 and tag & 0xFFFF != 0


def _is_private(tag: int) -> bool:
    return bool(tag >> 16 & 1)


class HeaderWriter:
    """
    Writes the DICOM JSON of headers that have much in common.

    Parameters
    ----------
    address
        Stands for the address of bulk data, up to the path of the element: letters and digits only.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._plain: dict[tuple[bytes, bytes, bool], str] = {}
        self._others: dict[Hashable, str] = {}

    def attributes(self, data: bytes, *, implicit: bool) -> list[str]:
        """
        Return the attributes of a data set, each as ``"GGGGEEEE":{…}``, in the order of their tags.

        Parameters
        ----------
        data
            Its bytes, little endian.
        implicit
            Whether it is in implicit VR.

        Raises
        ------
        UnusualHeaderError
            If it is not plain: pydicom must read it as a whole.
        """
        return self._attributes(data, _Scope(implicit), "")

    def _attributes(self, data: bytes, around: _Scope, path: str) -> list[str]:
        if around.depth > MAX_DEPTH:
            raise UnusualHeaderError
        elements = list(elements_of(data, implicit=around.implicit))
        scope = around.inside(data, elements, path)
        written = {each[0]: self._element(data, each, scope) for each in elements if _is_told(each[0])}
        return [f'"{tag:08X}":{written[tag]}' for tag in sorted(written)]

    def _element(self, data: bytes, element: Element, scope: _Scope) -> str:
        tag, vr, _, value, stop, _ = element
        if tag == CHARACTER_SET:
            return UNICODE
        if scope.implicit and not _is_private(tag):
            vr = _known_vr(tag)
        if stop - value > BULK_BYTES and vr in BINARY:
            return f'{{"vr":"{vr.decode()}","BulkDataURI":"{self._address}{scope.path}{tag:08X}"}}'
        plain = vr, data[value:stop], scope.is_ascii
        text = self._plain.get(plain)
        if text is not None:
            return text
        text = None if tag in LUT_DESCRIPTORS else _plain_text(*plain)
        if text is not None:
            self._plain[plain] = text
            return text
        return self._other(data, element, vr, scope)

    def _other(self, data: bytes, element: Element, vr: bytes, scope: _Scope) -> str:
        """Write what depends on more than its bytes: a sequence, or an element that is left to pydicom."""
        tag, _, start, value, stop, end = element
        key = tag, scope, data[start:end]
        text = self._others.get(key)
        if text is None:
            try:
                text = self._sequence(data[value:stop], tag, scope) if vr == b"SQ" else None
            except UnusualHeaderError:
                text = None
            if text is None:
                text = self._by_pydicom(data[start:end], tag, scope)
            self._others[key] = text
        return text

    def _sequence(self, data: bytes, tag: int, scope: _Scope) -> str:
        ranges = list(item_ranges(data, implicit=scope.implicit))
        start, stop = ranges[-1] if ranges else (0, 0)
        if data[stop:] != (ITEM_END if data[start - 4 : start] == UNDEFINED else b""):
            raise UnusualHeaderError
        items = [
            f"{{{','.join(self._attributes(data[first:last], scope, f'{scope.path}{tag:08X}/{number}/'))}}}"
            for number, (first, last) in enumerate(ranges, 1)
        ]
        return f'{{"vr":"SQ","Value":[{",".join(items)}]}}' if items else '{"vr":"SQ"}'

    def _by_pydicom(self, element: bytes, tag: int, scope: _Scope) -> str:
        context = b"".join(raw for other, raw in scope.context if other != tag)
        try:
            dataset = read_dataset(BytesIO(context + element), scope.implicit, is_little_endian=True)
            found = element_json(dataset, f"{tag:08X}", self._address.__add__, scope.path)
        except Exception as error:
            # pydicom raises whatever its parsing ran into; as a whole the header may make sense.
            raise UnusualHeaderError from error
        return json.dumps(found, separators=(",", ":"))


@lru_cache(maxsize=4096)
def _known_vr(tag: int) -> bytes:
    try:
        return dictionary_VR(tag).encode("ascii")
    except KeyError:
        return b""


def _plain_text(vr: bytes, value: bytes, is_ascii: bool) -> str | None:  # noqa: FBT001 - a key of the memo
    """Return the JSON of an element whose value is plain, None where it is not."""
    if vr in TEXTS:
        values = _texts(vr, value) if is_ascii else None
    elif vr in NUMBERS:
        values = _numbers(vr, value)
    elif vr in BINARY:
        if value:
            return f'{{"vr":"{vr.decode()}","InlineBinary":"{base64.b64encode(value).decode("ascii")}"}}'
        values = []
    else:
        return None
    if values is None:
        return None
    return f'{{"vr":"{vr.decode()}","Value":[{",".join(values)}]}}' if values else f'{{"vr":"{vr.decode()}"}}'


def _texts(vr: bytes, value: bytes) -> list[str] | None:
    if not value:
        return []
    pattern, write = TEXTS[vr]
    if pattern.fullmatch(value) is None:
        return None
    return [write(each) for each in value.rstrip(b"\0 ").decode("ascii").split("\\")]


def _numbers(vr: bytes, value: bytes) -> list[str] | None:
    code = NUMBERS[vr]
    count, rest = divmod(len(value), struct.calcsize(f"<{code}"))
    numbers = struct.unpack(f"<{count}{code}", value) if not rest else (math.nan,)
    return list(map(repr, numbers)) if all(map(math.isfinite, numbers)) else None
