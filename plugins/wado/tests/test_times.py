from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadstone_wado import tags
from loadstone_wado.elements import JsonElements
from loadstone_wado.times import date, date_time, time_of_day


def recorded(tag: tags.Attribute, text: str) -> JsonElements:
    """Return a data set with one attribute."""
    return JsonElements({f"{int(tag):08X}": {"vr": tag.vr, "Value": [text]}})


def date_of(text: str) -> dt.date | None:
    return date(recorded(tags.CONTENT_DATE, text), tags.CONTENT_DATE)


def time_of(text: str) -> dt.time | None:
    return time_of_day(recorded(tags.CONTENT_TIME, text), tags.CONTENT_TIME)


def date_time_of(text: str) -> dt.datetime | None:
    return date_time(recorded(tags.ACQUISITION_DATE_TIME, text), tags.ACQUISITION_DATE_TIME)


@given(st.datetimes(min_value=dt.datetime.combine(dt.date(1000, 1, 1), dt.time())))
def test_what_was_written_is_read(moment: dt.datetime) -> None:
    """Every date and time comes back to the microsecond."""
    day, clock = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S.%f")

    assert date_of(day) == moment.date()
    assert time_of(clock) == moment.time()
    assert date_time_of(day + clock) == moment


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("07", dt.time(7)),
        ("0730", dt.time(7, 30)),
        ("07:30:15", dt.time(7, 30, 15)),
        ("073015.5", dt.time(7, 30, 15, 500_000)),
        ("235960", dt.time(23, 59, 59)),
        ("2530", None),
        ("7:30", None),
        ("noon", None),
        ("", None),
    ],
)
def test_times_may_be_short_and_damaged(text: str, expected: dt.time | None) -> None:
    """Precision may be left out (DICOM PS3.5 6.2); what is no time is not known."""
    assert time_of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2005.11.30", dt.date(2005, 11, 30)),
        ("00000000", None),
        ("20050230", None),
        ("2005113", None),
        ("", None),
    ],
)
def test_dates_may_be_old_and_damaged(text: str, expected: dt.date | None) -> None:
    """ACR-NEMA had dots; what is no date is not known."""
    assert date_of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20050102", dt.datetime.combine(dt.date(2005, 1, 2), dt.time())),
        ("200501020304-0130", dt.datetime(2005, 1, 2, 3, 4, tzinfo=dt.timezone(dt.timedelta(minutes=-90)))),
        ("20050102030405.25+0000", dt.datetime(2005, 1, 2, 3, 4, 5, 250_000, tzinfo=dt.UTC)),
        ("20050102+9900", dt.datetime.combine(dt.date(2005, 1, 2), dt.time())),
        ("2005", None),
        ("20051302", None),
        ("2005010277", None),
    ],
)
def test_offsets_to_utc_are_kept(text: str, expected: dt.datetime | None) -> None:
    """Only a recorded offset makes a time absolute; half a date is none."""
    found = date_time_of(text)

    assert found == expected
    assert (found and found.utcoffset()) == (expected and expected.utcoffset())
