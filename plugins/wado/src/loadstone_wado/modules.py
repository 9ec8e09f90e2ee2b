"""What is known about a frame before its pixels are loaded, as Loadstone's metadata modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from loadstone.metadata import (
    Calibration,
    Cine,
    GeneralImage,
    GeneralSeries,
    ImagePixel,
    ImagePlane,
    ModalityLut,
    Modules,
    ModuleSet,
    MultiFrame,
    Overlays,
    PatientStudy,
    PetImage,
    PetIsotope,
    PetSeries,
    Scaling,
    SopCommon,
    TransferSyntax,
    UltrasoundRegions,
    VoiLut,
)
from loadstone_wado import tags
from loadstone_wado.acquisition import cine, general_image, pet_image, pet_isotope, pet_series
from loadstone_wado.calibration import calibration, ultrasound_regions
from loadstone_wado.meaning import frame_scaling, frame_voi_lut
from loadstone_wado.naming import naming
from loadstone_wado.overlays import overlays
from loadstone_wado.values import modality_lut

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadstone_wado.elements import Elements
    from loadstone_wado.instance import Instance
    from loadstone_wado.output import Output

__all__ = ["frame_modules"]

T = TypeVar("T")


def frame_modules(
    instance: Instance, number: int, *, scaled: bool = True, values: str | None = None
) -> Modules:
    """
    Return the modules of one frame, each built when it is first asked for.

    Parameters
    ----------
    instance
        The object.
    number
        The frame, from 1.
    scaled
        As the frame will be loaded: decides dtype and samples of `ImagePixel`.
    values
        The kind of values that will be loaded, in place of modality values.

    Raises
    ------
    InvalidIdError
        If there is no such frame. Asking for a module raises `MetadataError` where attributes are damaged.
    """
    frame = instance.frame(number)

    def output() -> Output:
        return instance.output(scaled=scaled, values=values)

    return ModuleSet(
        MultiFrame(instance.number_of_frames, number),
        builders={
            ImagePixel: lambda: _image_pixel(instance, output()),
            ImagePlane: lambda: frame.plane,
            Scaling: lambda: frame_scaling(instance, number, output()),
            ModalityLut: lambda: _said(instance, lambda _: modality_lut(frame)),
            VoiLut: lambda: frame_voi_lut(instance, number, output()),
            GeneralSeries: lambda: _said(instance, lambda _: _general_series(instance)),
            SopCommon: lambda: SopCommon(
                instance.sop_class_uid, instance.sop_instance_uid, instance.instance_number
            ),
            TransferSyntax: lambda: _transfer_syntax(instance),
            PatientStudy: lambda: _said(instance, _patient_study),
            GeneralImage: lambda: _said(instance, general_image),
            Calibration: lambda: _said(instance, lambda _: calibration(instance, number)),
            UltrasoundRegions: lambda: _said(instance, ultrasound_regions),
            Overlays: lambda: _said(instance, lambda _: overlays(instance.all_elements(), number)),
            Cine: lambda: _said(instance, cine),
            PetIsotope: lambda: _said(instance, pet_isotope),
            PetSeries: lambda: _said(instance, pet_series),
            PetImage: lambda: _said(instance, pet_image),
        },
    )


def _said(instance: Instance, build: Callable[[Elements], T]) -> T:
    """Build a module of an object's attributes; errors say which object it is."""
    with naming(instance.source):
        return build(instance.elements)


def _image_pixel(instance: Instance, output: Output) -> ImagePixel:
    return ImagePixel(
        rows=output.shape[0],
        columns=output.shape[1],
        dtype=output.dtype,
        samples_per_pixel=output.shape[2] if len(output.shape) == 3 else 1,
        photometric_interpretation=output.photometric_interpretation,
        bits_stored=output.bits_stored,
        pixel_padding=instance.pixel_padding if output.is_stored and len(output.shape) == 2 else None,
    )


def _general_series(instance: Instance) -> GeneralSeries:
    return GeneralSeries(
        instance.modality,
        instance.study_instance_uid,
        instance.series_instance_uid,
        instance.elements.integer(tags.SERIES_NUMBER),
        instance.elements.text(tags.SERIES_DESCRIPTION),
    )


def _transfer_syntax(instance: Instance) -> TransferSyntax | None:
    return TransferSyntax(instance.transfer_syntax_uid) if instance.transfer_syntax_uid else None


def _patient_study(elements: Elements) -> PatientStudy:
    return PatientStudy(
        elements.number(tags.PATIENT_WEIGHT),
        elements.number(tags.PATIENT_SIZE),
        elements.text(tags.PATIENT_SEX) or None,
    )
