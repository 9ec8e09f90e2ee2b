"""What tells the images of a series apart that lie at one position: which attribute, of which vendor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from loadstone import MetadataError
from loadstone_wado import tags
from loadstone_wado.memo import Memo
from loadstone_wado.times import as_date_time, date, time_of_day

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadstone_wado.elements import Elements
    from loadstone_wado.frame import Frame
    from loadstone_wado.tags import Attribute

__all__ = ["TIME_FACTS", "Fact", "Kind", "kind_of"]


@dataclass(frozen=True, slots=True)
class Fact:
    """A number that may differ between the images at one position."""

    source: str
    """The standard name of the attribute."""
    units: str
    """Of the number; empty for counts."""
    read: Callable[[Frame], float | None]
    """Gives it; None where it is not recorded, or is no number."""
    since_first: bool = False
    """Whether only differences mean something: the smallest becomes 0."""
    is_number_of_time: bool = False
    """Whether it counts time points, so that it decides even where some of them lack slices."""


def _tolerant(elements: Elements, tag: Attribute) -> float | None:
    """Read a number; None where it is none."""
    try:
        return elements.number(tag)
    except MetadataError:
        return None


def _number(group: Attribute, tag: Attribute) -> Callable[[Frame], float | None]:
    """Read a number, from a functional group or from the object itself."""
    return lambda frame: _tolerant(frame.holder(group, tag), tag)


def _plain(tag: Attribute) -> Callable[[Frame], float | None]:
    """Read a number of the object itself."""
    return lambda frame: _tolerant(frame.elements, tag)


def _private(manufacturer: str, tag: Attribute) -> Callable[[Frame], float | None]:
    """Read a number in an element that is a vendor's own: the same tag means other things to others."""
    read = _plain(tag)

    def of_vendor(frame: Frame) -> float | None:
        vendor = frame.elements.text(tags.MANUFACTURER).upper()
        return read(frame) if vendor.startswith(manufacturer) else None

    return of_vendor


def _ge_b_value(frame: Frame) -> float | None:
    """Read the b-value of GE, to which 10^9 is added where the gradient is not along an axis."""
    value = _private("GE", tags.GE_B_VALUE)(frame)
    return None if value is None else value % 100_000


def _moment(day: Attribute, time: Attribute) -> Callable[[Frame], float | None]:
    """Read a time of day, with its date where there is one, in seconds."""

    def read(frame: Frame) -> float | None:
        of_day, on = time_of_day(frame.elements, time), date(frame.elements, day)
        if of_day is None:
            return None
        seconds = of_day.hour * 3600 + of_day.minute * 60 + of_day.second + of_day.microsecond / 1e6
        return round(seconds + 86400 * (on.toordinal() if on else 0), 6)

    return read


def _date_time(group: Attribute, tag: Attribute) -> Callable[[Frame], float | None]:
    """Read a date with a time, in seconds."""

    def read(frame: Frame) -> float | None:
        found = as_date_time(frame.holder(group, tag).text(tag))
        if found is None:
            return None
        seconds = found.hour * 3600 + found.minute * 60 + found.second + found.microsecond / 1e6
        return round(seconds + 86400 * found.toordinal(), 6)

    return read


_CONTENT: Final = tags.FRAME_CONTENT_SEQUENCE
_CARDIAC: Final = tags.CARDIAC_SYNCHRONIZATION_SEQUENCE
_OFFSET: Final = tags.TEMPORAL_POSITION_TIME_OFFSET

TIME_FACTS: Final = (
    Fact("TemporalPositionIdentifier", "", _plain(tags.TEMPORAL_POSITION_IDENTIFIER), is_number_of_time=True),
    Fact(
        "TemporalPositionIndex", "", _number(_CONTENT, tags.TEMPORAL_POSITION_INDEX), is_number_of_time=True
    ),
    Fact("TemporalPositionTimeOffset", "s", _number(tags.TEMPORAL_POSITION_SEQUENCE, _OFFSET)),
    Fact("TriggerTime", "ms", _plain(tags.TRIGGER_TIME)),
    Fact("NominalCardiacTriggerDelayTime", "ms", _number(_CARDIAC, tags.NOMINAL_CARDIAC_TRIGGER_DELAY_TIME)),
    Fact("DiffusionBValue", "s/mm2", _number(tags.MR_DIFFUSION_SEQUENCE, tags.DIFFUSION_B_VALUE)),
    Fact("DiffusionBValue", "s/mm2", _private("SIEMENS", tags.SIEMENS_B_VALUE)),
    Fact("DiffusionBValue", "s/mm2", _ge_b_value),
    Fact("DiffusionBValue", "s/mm2", _private("PHILIPS", tags.PHILIPS_B_VALUE)),
    Fact("DiffusionBValue", "s/mm2", _private("UIH", tags.UIH_B_VALUE)),
    Fact("AcquisitionNumber", "", _plain(tags.ACQUISITION_NUMBER)),
    Fact("FrameAcquisitionNumber", "", _number(_CONTENT, tags.FRAME_ACQUISITION_NUMBER)),
    Fact("FrameReferenceTime", "ms", _plain(tags.FRAME_REFERENCE_TIME)),
    Fact(
        "FrameReferenceDateTime", "s", _date_time(_CONTENT, tags.FRAME_REFERENCE_DATE_TIME), since_first=True
    ),
    Fact(
        "FrameAcquisitionDateTime",
        "s",
        _date_time(_CONTENT, tags.FRAME_ACQUISITION_DATE_TIME),
        since_first=True,
    ),
    Fact("AcquisitionTime", "s", _moment(tags.ACQUISITION_DATE, tags.ACQUISITION_TIME), since_first=True),
    Fact("ContentTime", "s", _moment(tags.CONTENT_DATE, tags.CONTENT_TIME), since_first=True),
)
"""In the order in which they are asked; the first that fits is the time axis."""


_FRAME_TYPES: Final = (
    tags.MR_IMAGE_FRAME_TYPE_SEQUENCE,
    tags.CT_IMAGE_FRAME_TYPE_SEQUENCE,
    tags.PET_FRAME_TYPE_SEQUENCE,
)


Kind = tuple[tuple[Any, ...], float | None]
"""What keeps images apart though they lie together, but for the echo time; and that in ms."""


def kind_of(frame: Frame) -> Kind:
    """
    Return what keeps images out of one volume though they lie together.

    It is what ImageType says from its third value on (magnitude and phase, water and fat), the component of a
    complex image, the echo, and the stack of a multi-frame object.
    """
    if frame.groups:
        return _kind_in_groups(frame)
    return _KINDS.get(frame.elements, _kind)


def _kind(elements: Elements) -> Kind:
    component = elements.text(tags.COMPLEX_IMAGE_COMPONENT)
    told = (elements.texts(tags.IMAGE_TYPE)[2:], component, elements.values(tags.ECHO_NUMBERS))
    return told, _tolerant(elements, tags.ECHO_TIME)


_KINDS: Final = Memo[Kind](
    tags.IMAGE_TYPE,
    tags.COMPLEX_IMAGE_COMPONENT,
    tags.ECHO_NUMBERS,
    tags.ECHO_TIME,
    tags.SPECIFIC_CHARACTER_SET,
)


def _kind_in_groups(frame: Frame) -> Kind:
    (image_type, component, echo), echo_time = _kind(frame.elements)
    for groups in frame.groups:
        for group in _FRAME_TYPES:
            if (item := groups.item(group)) is not None:
                image_type = item.texts(tags.FRAME_TYPE)[2:] or image_type
                component = item.text(tags.COMPLEX_IMAGE_COMPONENT) or component
    stack = frame.holder(tags.FRAME_CONTENT_SEQUENCE, tags.STACK_ID).text(tags.STACK_ID)
    effective = _number(tags.MR_ECHO_SEQUENCE, tags.EFFECTIVE_ECHO_TIME)(frame)
    return (image_type, component, echo, stack), echo_time if effective is None else effective
