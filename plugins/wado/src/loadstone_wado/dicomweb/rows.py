"""What a search finds: a row for each study, series or instance."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from loadstone_wado.dicomweb.json_objects import integer_of, texts_of
from loadstone_wado.times import as_date, as_time

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

__all__ = ["InstanceRow", "SeriesRow", "StudyRow"]


def _first(attributes: Mapping[str, Any], tag: str) -> str:
    return next(iter(texts_of(attributes, tag)), "")


@dataclass(frozen=True, slots=True)
class StudyRow:
    """A study that a search found; what the server does not say is empty or None."""

    id: str
    """Names all its volumes: for `loadstone.scan`, `loadstone.volume_ids`, `loadstone.load_volumes`."""
    study_instance_uid: str
    """Study Instance UID."""
    study_date: dt.date | None
    """Day on which it began."""
    study_time: dt.time | None
    """Time of day at which it began."""
    description: str
    """Study Description."""
    modalities: tuple[str, ...]
    """Modalities of its series: CT, MR."""
    number_of_series: int | None
    """How many series it has."""
    number_of_instances: int | None
    """How many instances it has."""
    accession_number: str = field(repr=False)
    """Accession Number."""
    patient_name: str = field(repr=False)
    """Name of the patient, as DICOM writes it: ``Doe^Jane``."""
    patient_id: str = field(repr=False)
    """Patient ID."""
    json: Mapping[str, Any] = field(repr=False)
    """All that the server said (DICOM JSON, PS3.18 F)."""

    @classmethod
    def of(cls, attributes: Mapping[str, Any], root: str) -> Self:
        """Return the row of a DICOM JSON object."""
        uid = _first(attributes, "0020000D")
        return cls(
            id=f"wadors:{root}/studies/{uid}",
            study_instance_uid=uid,
            study_date=as_date(_first(attributes, "00080020")),
            study_time=as_time(_first(attributes, "00080030")),
            description=_first(attributes, "00081030"),
            modalities=texts_of(attributes, "00080061"),
            number_of_series=integer_of(attributes, "00201206"),
            number_of_instances=integer_of(attributes, "00201208"),
            accession_number=_first(attributes, "00080050"),
            patient_name=_first(attributes, "00100010"),
            patient_id=_first(attributes, "00100020"),
            json=attributes,
        )


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """A series that a search found; what the server does not say is empty or None."""

    id: str
    """Loads it: for `loadstone.load_volume`, `loadstone.image_ids`, `loadstone.scan`."""
    study_instance_uid: str
    """Study Instance UID."""
    series_instance_uid: str
    """Series Instance UID."""
    modality: str
    """Kind of equipment: CT, MR, PT."""
    series_number: int | None
    """Number within the study."""
    description: str
    """Series Description."""
    number_of_instances: int | None
    """How many instances it has."""
    json: Mapping[str, Any] = field(repr=False)
    """All that the server said (DICOM JSON, PS3.18 F)."""

    @classmethod
    def of(cls, attributes: Mapping[str, Any], root: str, study: str = "") -> Self:
        """Return the row of a DICOM JSON object, found in a study that it need not name."""
        study, uid = _first(attributes, "0020000D") or study, _first(attributes, "0020000E")
        return cls(
            id=f"wadors:{root}/studies/{study}/series/{uid}",
            study_instance_uid=study,
            series_instance_uid=uid,
            modality=_first(attributes, "00080060"),
            series_number=integer_of(attributes, "00200011"),
            description=_first(attributes, "0008103E"),
            number_of_instances=integer_of(attributes, "00201209"),
            json=attributes,
        )


@dataclass(frozen=True, slots=True)
class InstanceRow:
    """An instance that a search found; what the server does not say is empty or None."""

    id: str
    """Loads its first frame as an image, all of them as a volume."""
    study_instance_uid: str
    """Study Instance UID."""
    series_instance_uid: str
    """Series Instance UID."""
    sop_instance_uid: str
    """SOP Instance UID."""
    sop_class_uid: str
    """Kind of object."""
    instance_number: int | None
    """Number within the series."""
    rows: int | None
    """Rows of a frame."""
    columns: int | None
    """Columns of a frame."""
    number_of_frames: int | None
    """How many frames it has."""
    json: Mapping[str, Any] = field(repr=False)
    """All that the server said (DICOM JSON, PS3.18 F)."""

    @classmethod
    def of(cls, attributes: Mapping[str, Any], root: str, study: str = "", series: str = "") -> Self:
        """Return the row of a DICOM JSON object, found in a study and series that it need not name."""
        study, series = _first(attributes, "0020000D") or study, _first(attributes, "0020000E") or series
        uid = _first(attributes, "00080018")
        return cls(
            id=f"wadors:{root}/studies/{study}/series/{series}/instances/{uid}",
            study_instance_uid=study,
            series_instance_uid=series,
            sop_instance_uid=uid,
            sop_class_uid=_first(attributes, "00080016"),
            instance_number=integer_of(attributes, "00200013"),
            rows=integer_of(attributes, "00280010"),
            columns=integer_of(attributes, "00280011"),
            number_of_frames=integer_of(attributes, "00280008"),
            json=attributes,
        )
