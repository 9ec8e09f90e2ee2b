"""Dates and times as DICOM writes them (DICOM PS3.5 6.2), as Python's."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from loadstone_wado.elements import Elements
    from loadstone_wado.tags import Attribute

__all__ = ["as_date", "as_date_time", "as_offset", "as_time", "date", "date_time", "time_of_day"]

# With the separators of ACR-NEMA, which old scanners write to this day.
_DATE: Final = re.compile(r"(\d{4})([.-]?)(\d\d)\2(\d\d)")
_TIME: Final = re.compile(r"(\d\d)(?::?(\d\d)(?::?(\d\d)(?:\.(\d{1,6})\d*)?)?)?")
_OFFSET: Final = re.compile(r"[+-]\d{4}")
_DATE_TIME: Final = re.compile(r"(\d{8})(\d[\d.]*)?([+-]\d{4})?")


def date(elements: Elements, tag: Attribute) -> dt.date | None:
    """Return a date; None when absent, or no date (``00000000``)."""
    return as_date(elements.text(tag))


def time_of_day(elements: Elements, tag: Attribute) -> dt.time | None:
    """Return a time; None when absent, or no time. What is not recorded of it is zero."""
    return as_time(elements.text(tag))


def date_time(elements: Elements, tag: Attribute) -> dt.datetime | None:
    """Return a date with a time, with its offset to UTC if recorded; None when absent, or neither."""
    return as_date_time(elements.text(tag))


def as_date_time(text: str) -> dt.datetime | None:
    """Return the date with a time that a text names; None where it names neither."""
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        return None
    day, time = as_date(found[1]), as_time(found[2] or "000000")
    if day is None or time is None:
        return None
    return dt.datetime.combine(day, time, as_offset(found[3] or ""))


def as_date(text: str) -> dt.date | None:
    """Return the day that a text names; None where it names none."""
    found = _DATE.fullmatch(text)
    try:
        return dt.date(int(found[1]), int(found[3]), int(found[4])) if found else None
    except ValueError:
        return None


def as_time(text: str) -> dt.time | None:
    """Return the time of day that a text names; None where it names none."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    hour, minute, second = (int(each or 0) for each in found.group(1, 2, 3))
    try:
        # Second 60 is a leap second, which Python does not know.
        second = 59 if second == 60 else second
        return dt.time(hour, minute, second, int((found[4] or "").ljust(6, "0")))
    except ValueError:
        return None


def as_offset(text: str) -> dt.timezone | None:
    """Return the offset to UTC that a text names (``+0100``); None where it names none."""
    if not _OFFSET.fullmatch(text):
        return None
    minutes = int(text[1:3]) * 60 + int(text[3:])
    if minutes >= 24 * 60:
        return None
    return dt.timezone(dt.timedelta(minutes=-minutes if text[0] == "-" else minutes))
