"""What was injected and how much of it was left at which time: the denominators of SUV."""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING, Final

from loadstone.errors import MetadataError
from loadstone_wado import tags
from loadstone_wado.private import private_text
from loadstone_wado.times import as_date_time, as_offset, date, date_time, time_of_day

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadstone_wado.elements import Elements
    from loadstone_wado.tags import Attribute

__all__ = ["effective_dose", "refuse_uncorrected"]

_LEAST_DOSE: Final = 10_000.0
"""In Bq. What is below was recorded in MBq, which some writers did."""
_MOST_HALF_LIVES: Final = 10.0
"""From injection to scan. Beyond that nothing is left to measure: one of the times must be wrong."""
_SAME_DAY: Final = 12 * 3600.0
"""Half-life in s up to which tracers are imaged within a day after their injection."""


def refuse_uncorrected(elements: Elements) -> None:
    """
    Refuse images whose values are not proportional to activity.

    Raises
    ------
    MetadataError
        If attenuation was not corrected, or it is not clear whether decay was.
    """
    corrected = _corrections(elements)
    if "ATTN" not in corrected:
        raise MetadataError(f"attenuation was not corrected: CorrectedImage is {_listed(corrected)}")
    decay_correction = _decay_correction(elements)
    if ("DECY" in corrected) == (decay_correction == "NONE"):
        raise MetadataError(
            f"it contradicts itself about decay: DecayCorrection is {decay_correction or '(missing)'}, "
            f"CorrectedImage is {_listed(corrected)}"
        )


def effective_dose(elements: Elements, all_elements: Callable[[], Elements]) -> float:
    """
    Return the activity in Bq of what was injected, at the time that the values of the image hold for.

    Parameters
    ----------
    elements
        The attributes.
    all_elements
        Gives the private ones too.

    Raises
    ------
    MetadataError
        If what is recorded does not allow it; says what is missing.
    """
    injected = elements.items(tags.RADIOPHARMACEUTICAL_INFORMATION_SEQUENCE)
    if len(injected) != 1:
        raise MetadataError(f"RadiopharmaceuticalInformationSequence has {len(injected)} items in place of 1")
    (item,) = injected
    dose = _positive(item, tags.RADIONUCLIDE_TOTAL_DOSE, "RadionuclideTotalDose")
    if dose < _LEAST_DOSE:
        raise MetadataError(f"RadionuclideTotalDose is {dose:g} Bq, probably it was recorded in MBq")
    decay_correction = _decay_correction(elements)
    if decay_correction == "ADMIN":
        return dose
    half_life = _positive(item, tags.RADIONUCLIDE_HALF_LIFE, "RadionuclideHalfLife")
    if decay_correction == "NONE":
        holds_for = _measured(elements, half_life)
    elif decay_correction == "START":
        holds_for = _start_of_scan(elements, half_life, all_elements)
    else:
        raise MetadataError(f"DecayCorrection is {decay_correction or 'missing'}")
    seconds = (holds_for - _injection(item, elements, holds_for, half_life)).total_seconds()
    if seconds < 0:
        raise MetadataError(f"the injection is {-seconds:,.0f} s after the start of the scan")
    if seconds > _MOST_HALF_LIVES * half_life:
        raise MetadataError(f"the injection is {seconds / half_life:,.0f} half-lives before the scan")
    return dose * float(0.5 ** (seconds / half_life))


def _corrections(elements: Elements) -> frozenset[str]:
    """Return the corrections that were applied; enhanced objects have an attribute for each."""
    enhanced = {"ATTN": tags.ATTENUATION_CORRECTED, "DECY": tags.DECAY_CORRECTED}
    found = {name for name, tag in enhanced.items() if elements.text(tag) == "YES"}
    return frozenset(found.union(elements.texts(tags.CORRECTED_IMAGE)))


def _listed(corrections: frozenset[str]) -> str:
    return ", ".join(sorted(corrections)) or "empty"


def _decay_correction(elements: Elements) -> str:
    recorded = elements.text(tags.DECAY_CORRECTION)
    if recorded or not elements.text(tags.DECAY_CORRECTED):
        return recorded
    # Enhanced objects say whether, and to which time.
    return "START" if elements.text(tags.DECAY_CORRECTED) == "YES" else "NONE"


def _positive(elements: Elements, tag: Attribute, name: str) -> float:
    value = elements.number(tag)
    if value is None or value <= 0:
        raise MetadataError(f"{name} is {'missing' if value is None else f'{value:g}'}")
    return value


def _start_of_scan(elements: Elements, half_life: float, all_elements: Callable[[], Elements]) -> dt.datetime:
    """Return the time to which decay was corrected."""
    recorded = date_time(elements, tags.DECAY_CORRECTION_DATE_TIME)
    if recorded is not None:
        return _local(recorded, elements)
    acquired = _acquired(elements)
    series = _combined(elements, tags.SERIES_DATE, tags.SERIES_TIME)
    if series is not None and series <= acquired:
        return series
    # The series was written anew after the scan, and its time with it.
    private = as_date_time(private_text(all_elements(), 0x0009, "GEMS_PETD_01", 0x0D))
    if private is not None:
        return _local(private, elements)
    since_start = elements.number(tags.FRAME_REFERENCE_TIME)
    if not since_start:
        raise MetadataError(
            "the start of the scan is not known: SeriesTime is later than AcquisitionTime, "
            "and FrameReferenceTime is missing or 0"
        )
    return _measured(elements, half_life) - dt.timedelta(milliseconds=since_start)


def _measured(elements: Elements, half_life: float) -> dt.datetime:
    """
    Return the time at which the activity was what the acquisition measured on the average.

    That is before its middle, for activity decays: with ``x = ln(2) / half_life * duration`` it is
    ``ln(x / (1 - exp(-x))) / x`` of its duration after its start (by integrating the law of decay).
    """
    duration = _positive(elements, tags.ACTUAL_FRAME_DURATION, "ActualFrameDuration") / 1000
    x = math.log(2) / half_life * duration
    return _acquired(elements) + dt.timedelta(seconds=duration * math.log(x / -math.expm1(-x)) / x)


def _acquired(elements: Elements) -> dt.datetime:
    recorded = date_time(elements, tags.ACQUISITION_DATE_TIME)
    if recorded is not None:
        return _local(recorded, elements)
    found = _combined(elements, tags.ACQUISITION_DATE, tags.ACQUISITION_TIME)
    if found is None:
        raise MetadataError("AcquisitionDate or AcquisitionTime is missing")
    return found


def _injection(item: Elements, elements: Elements, holds_for: dt.datetime, half_life: float) -> dt.datetime:
    recorded = date_time(item, tags.RADIOPHARMACEUTICAL_START_DATE_TIME)
    if recorded is not None:
        return _local(recorded, elements)
    time = time_of_day(item, tags.RADIOPHARMACEUTICAL_START_TIME)
    if time is None:
        raise MetadataError("RadiopharmaceuticalStartDateTime and RadiopharmaceuticalStartTime are missing")
    if half_life > _SAME_DAY:
        raise MetadataError(
            f"the day of the injection is not recorded, and the half-life is {half_life / 3600:.0f} h"
        )
    same_day = dt.datetime.combine(holds_for.date(), time)
    return same_day if same_day <= holds_for else same_day - dt.timedelta(days=1)


def _combined(elements: Elements, day: Attribute, time: Attribute) -> dt.datetime | None:
    found = date(elements, day), time_of_day(elements, time)
    return None if found[0] is None or found[1] is None else dt.datetime.combine(found[0], found[1])


def _local(time: dt.datetime, elements: Elements) -> dt.datetime:
    """Return a time as dates and times without an offset are meant: in the zone of the object."""
    if time.tzinfo is None:
        return time
    return time.astimezone(as_offset(elements.text(tags.TIMEZONE_OFFSET_FROM_UTC)) or time.tzinfo).replace(
        tzinfo=None
    )
