"""Private attributes of vendors: found by their creator, who may reserve any block of a group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadstone.errors import MetadataError
from loadstone_wado.tags import Attribute

if TYPE_CHECKING:
    from loadstone_wado.elements import Elements

__all__ = ["private_number", "private_text"]

_BLOCKS: Final = range(0x10, 0x100)


def private_text(elements: Elements, group: int, creator: str, element: int) -> str:
    """
    Return the first value of a private attribute; empty when absent.

    Parameters
    ----------
    elements
        All attributes of the object: `tags` names no private ones.
    group
        Of the tag; odd.
    creator
        Who defines the attribute (DICOM PS3.5 7.8.1).
    element
        Last two digits of the tag.
    """
    for block in _BLOCKS:
        if elements.text(Attribute(group << 16 | block, "LO")) == creator:
            tag = Attribute(group << 16 | block << 8 | element, "LO")
            # Who does not know the attribute hands it on as bytes (VR UN).
            return elements.text(tag) or (elements.data(tag) or b"").decode("latin-1").strip("\0 ")
    return ""


def private_number(elements: Elements, group: int, creator: str, element: int) -> float | None:
    """
    Return the first value of a private decimal string; None when absent. Parameters as for `private_text`.

    Raises
    ------
    MetadataError
        If it is no number.
    """
    text = private_text(elements, group, creator, element)
    try:
        return float(text.split("\\")[0]) if text else None
    except ValueError as error:
        raise MetadataError(f"the private attribute of {creator!r} is no number") from error
