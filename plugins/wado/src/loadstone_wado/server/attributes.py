"""Which attributes belong to which level, and how a client may name one."""

from __future__ import annotations

from enum import IntEnum

from pydicom.datadict import dictionary_VR, tag_for_keyword

from loadstone_wado.server.errors import BadRequestError

__all__ = ["COMPUTED", "INDEXED_TAGS", "LEVEL_TAGS", "Level", "parse_attribute", "value_representation"]


class Level(IntEnum):
    """The levels of the information model that can be searched."""

    STUDY = 1
    SERIES = 2
    INSTANCE = 3


LEVEL_TAGS: dict[Level, tuple[str, ...]] = {
    Level.STUDY: (
        "00080005",  # SpecificCharacterSet
        "00080020",  # StudyDate
        "00080030",  # StudyTime
        "00080050",  # AccessionNumber
        "00080090",  # ReferringPhysicianName
        "00080201",  # TimezoneOffsetFromUTC
        "00081030",  # StudyDescription
        "00100010",  # PatientName
        "00100020",  # PatientID
        "00100030",  # PatientBirthDate
        "00100040",  # PatientSex
        "0020000D",  # StudyInstanceUID
        "00200010",  # StudyID
    ),
    Level.SERIES: (
        "00080021",  # SeriesDate
        "00080031",  # SeriesTime
        "00080060",  # Modality
        "0008103E",  # SeriesDescription
        "00180015",  # BodyPartExamined
        "0020000E",  # SeriesInstanceUID
        "00200011",  # SeriesNumber
        "00400244",  # PerformedProcedureStepStartDate
        "00400245",  # PerformedProcedureStepStartTime
        "00400275",  # RequestAttributesSequence
    ),
    Level.INSTANCE: (
        "00080016",  # SOPClassUID
        "00080018",  # SOPInstanceUID
        "00200013",  # InstanceNumber
        "00280008",  # NumberOfFrames
        "00280010",  # Rows
        "00280011",  # Columns
        "00280100",  # BitsAllocated
    ),
}
"""What a search returns at each level without ``includefield`` (PS3.18 tables 10.6.3-3 to 10.6.3-5)."""

INDEXED_TAGS = frozenset(tag for tags in LEVEL_TAGS.values() for tag in tags)
"""What the index holds of every instance; everything else is read when it is asked for."""

COMPUTED = {
    "00080056": "CS",  # InstanceAvailability
    "00080061": "CS",  # ModalitiesInStudy
    "00081190": "UR",  # RetrieveURL
    "00083002": "UI",  # AvailableTransferSyntaxUID
    "00201206": "IS",  # NumberOfStudyRelatedSeries
    "00201208": "IS",  # NumberOfStudyRelatedInstances
    "00201209": "IS",  # NumberOfSeriesRelatedInstances
}
"""Attributes that follow from what is here rather than from a file."""


def parse_attribute(text: str) -> tuple[str, ...]:
    """Return the tags that `text` names, from the outermost sequence inwards.

    Parameters
    ----------
    text
        A keyword or eight hexadecimal digits, or several of them with dots between (an attribute in the
        items of a sequence).

    Raises
    ------
    BadRequestError
        If it names no attribute.
    """
    return tuple(_parse_tag(part) for part in text.split("."))


def value_representation(tag: str) -> str:
    """Return the value representation of an attribute by the dictionary, ``UN`` where it has none."""
    try:
        return dictionary_VR(int(tag, 16))
    except KeyError:
        return "UN"


def _parse_tag(text: str) -> str:
    if len(text) == 8:
        try:
            return f"{int(text, 16):08X}"
        except ValueError:
            pass  # a keyword of eight letters
    number = tag_for_keyword(text)
    if number is None:
        raise BadRequestError(f"{text!r} is no attribute: neither a keyword nor eight hexadecimal digits")
    return f"{number:08X}"
