"""How an image came about and how its frames are played, as Loadstone's metadata modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadstone.metadata import Cine, GeneralImage, PetImage, PetIsotope, PetSeries
from loadstone_wado import tags
from loadstone_wado.times import date, date_time, time_of_day

if TYPE_CHECKING:
    from loadstone_wado.elements import Elements

__all__ = ["cine", "general_image", "pet_image", "pet_isotope", "pet_series"]

_COMPRESSED: Final = {"00": False, "01": True}
_YES_OR_NO: Final = {"NO": False, "YES": True}


def general_image(elements: Elements) -> GeneralImage:
    """Return how and when an object's images came about."""
    return GeneralImage(
        image_type=elements.texts(tags.IMAGE_TYPE),
        instance_number=elements.integer(tags.INSTANCE_NUMBER),
        acquisition_number=elements.integer(tags.ACQUISITION_NUMBER),
        acquisition_date=date(elements, tags.ACQUISITION_DATE),
        acquisition_time=time_of_day(elements, tags.ACQUISITION_TIME),
        acquisition_date_time=date_time(elements, tags.ACQUISITION_DATE_TIME),
        content_date=date(elements, tags.CONTENT_DATE),
        content_time=time_of_day(elements, tags.CONTENT_TIME),
        lossy_image_compression=_COMPRESSED.get(elements.text(tags.LOSSY_IMAGE_COMPRESSION)),
        lossy_image_compression_ratio=elements.numbers(tags.LOSSY_IMAGE_COMPRESSION_RATIO),
        lossy_image_compression_method=elements.texts(tags.LOSSY_IMAGE_COMPRESSION_METHOD),
        burned_in_annotation=_YES_OR_NO.get(elements.text(tags.BURNED_IN_ANNOTATION)),
    )


def cine(elements: Elements) -> Cine | None:
    """Return how frames are played; None where nothing is recorded."""
    found = Cine(
        frame_time=elements.number(tags.FRAME_TIME),
        frame_time_vector=elements.numbers(tags.FRAME_TIME_VECTOR),
        frame_delay=elements.number(tags.FRAME_DELAY),
        cine_rate=elements.number(tags.CINE_RATE),
        recommended_display_frame_rate=elements.number(tags.RECOMMENDED_DISPLAY_FRAME_RATE),
        actual_frame_duration=elements.number(tags.ACTUAL_FRAME_DURATION),
        effective_duration=elements.number(tags.EFFECTIVE_DURATION),
        start_trim=elements.integer(tags.START_TRIM),
        stop_trim=elements.integer(tags.STOP_TRIM),
        preferred_playback_sequencing=elements.integer(tags.PREFERRED_PLAYBACK_SEQUENCING),
    )
    # PET images have the duration too, and are not played.
    return None if found == Cine(actual_frame_duration=found.actual_frame_duration) else found


def pet_isotope(elements: Elements) -> PetIsotope | None:
    """Return what was injected; None where nothing is recorded."""
    item = elements.item(tags.RADIOPHARMACEUTICAL_INFORMATION_SEQUENCE)
    if item is None:
        return None
    code = item.item(tags.RADIONUCLIDE_CODE_SEQUENCE)
    found = PetIsotope(
        radiopharmaceutical=item.text(tags.RADIOPHARMACEUTICAL),
        radionuclide=code.text(tags.CODE_MEANING) if code else "",
        radionuclide_total_dose=item.number(tags.RADIONUCLIDE_TOTAL_DOSE),
        radionuclide_half_life=item.number(tags.RADIONUCLIDE_HALF_LIFE),
        radionuclide_positron_fraction=item.number(tags.RADIONUCLIDE_POSITRON_FRACTION),
        radiopharmaceutical_start_time=time_of_day(item, tags.RADIOPHARMACEUTICAL_START_TIME),
        radiopharmaceutical_start_date_time=date_time(item, tags.RADIOPHARMACEUTICAL_START_DATE_TIME),
    )
    return None if found == PetIsotope() else found


def pet_series(elements: Elements) -> PetSeries | None:
    """Return what holds for a whole PET series; None for what is no PET."""
    if elements.text(tags.MODALITY) != "PT":
        return None
    return PetSeries(
        units=elements.text(tags.UNITS),
        suv_type=elements.text(tags.SUV_TYPE),
        counts_source=elements.text(tags.COUNTS_SOURCE),
        series_type=elements.texts(tags.SERIES_TYPE),
        corrected_image=elements.texts(tags.CORRECTED_IMAGE),
        decay_correction=elements.text(tags.DECAY_CORRECTION),
        series_date=date(elements, tags.SERIES_DATE),
        series_time=time_of_day(elements, tags.SERIES_TIME),
    )


def pet_image(elements: Elements) -> PetImage | None:
    """Return what holds for one PET image; None for what is no PET."""
    if elements.text(tags.MODALITY) != "PT":
        return None
    return PetImage(
        frame_reference_time=elements.number(tags.FRAME_REFERENCE_TIME),
        actual_frame_duration=elements.number(tags.ACTUAL_FRAME_DURATION),
        decay_factor=elements.number(tags.DECAY_FACTOR),
        dose_calibration_factor=elements.number(tags.DOSE_CALIBRATION_FACTOR),
        scatter_fraction_factor=elements.number(tags.SCATTER_FRACTION_FACTOR),
        image_index=elements.integer(tags.IMAGE_INDEX),
    )
