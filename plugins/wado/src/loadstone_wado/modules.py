"""What is known about a frame before its pixels are loaded, as Loadstone's metadata modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from loadstone.errors import LoadstoneError, MetadataError
from loadstone.metadata import (
    Calibration,
    Cine,
    GeneralImage,
    GeneralSeries,
    ImagePixel,
    ImagePlane,
    ModalityLut,
    Module,
    Modules,
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
from loadstone_wado.naming import named
from loadstone_wado.overlays import overlays
from loadstone_wado.values import modality_lut

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loadstone_wado.elements import Elements
    from loadstone_wado.frame import Frame
    from loadstone_wado.instance import Instance
    from loadstone_wado.output import Output

__all__ = ["frame_modules"]

M = TypeVar("M", bound=Module)


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
    instance.check_frame(number)
    return _FrameModules(instance, number, scaled, values)


class _FrameModules:
    """The modules of one frame: one small object each, for there may be tens of thousands."""

    __slots__ = ("_built", "instance", "number", "scaled", "values")

    def __init__(self, instance: Instance, number: int, scaled: bool, values: str | None) -> None:  # noqa: FBT001 - in the order of the function
        self.instance = instance
        self.number = number
        self.scaled = scaled
        self.values = values
        self._built: dict[type[Any], Module | None] = {}

    @property
    def frame(self) -> Frame:
        """What the object says about the frame."""
        return self.instance.frame(self.number)

    @property
    def output(self) -> Output:
        """Which array the frame becomes."""
        return self.instance.output(scaled=self.scaled, values=self.values)

    def get(self, kind: type[M]) -> M | None:
        """Return the module of that kind, or None."""
        if kind not in self._built:
            build = _BUILDERS.get(kind)
            self._built[kind] = self._made(build, kind) if build else None
        return cast("M | None", self._built[kind])

    def _made(self, build: Callable[[_FrameModules], Module | None], kind: type[Any]) -> Module | None:
        """Build a module; errors say which object it is of."""
        source = self.instance.source
        try:
            return build(self)
        except LoadstoneError as error:
            raise named(error, source) from error.__cause__
        except Exception as error:
            what = f"{kind.__name__} cannot be had: {type(error).__name__}: {error}"
            raise MetadataError(what, source=source) from error


def _of_object(build: Callable[[Elements], Module | None]) -> Callable[[_FrameModules], Module | None]:
    """Build a module of what the object says about all its frames."""
    return lambda of: build(of.instance.elements)


def _image_pixel(of: _FrameModules) -> ImagePixel:
    instance, output = of.instance, of.output
    return ImagePixel(
        rows=output.shape[0],
        columns=output.shape[1],
        dtype=output.dtype,
        samples_per_pixel=output.shape[2] if len(output.shape) == 3 else 1,
        photometric_interpretation=output.photometric_interpretation,
        bits_stored=output.bits_stored,
        pixel_padding=instance.pixel_padding if output.is_stored and len(output.shape) == 2 else None,
    )


def _general_series(of: _FrameModules) -> GeneralSeries:
    instance = of.instance
    return GeneralSeries(
        instance.modality,
        instance.study_instance_uid,
        instance.series_instance_uid,
        instance.series_number,
        instance.elements.text(tags.SERIES_DESCRIPTION),
    )


def _sop_common(of: _FrameModules) -> SopCommon:
    instance = of.instance
    return SopCommon(instance.sop_class_uid, instance.sop_instance_uid, instance.instance_number)


def _transfer_syntax(of: _FrameModules) -> TransferSyntax | None:
    uid = of.instance.transfer_syntax_uid
    return TransferSyntax(uid) if uid else None


def _patient_study(elements: Elements) -> PatientStudy:
    return PatientStudy(
        elements.number(tags.PATIENT_WEIGHT),
        elements.number(tags.PATIENT_SIZE),
        elements.text(tags.PATIENT_SEX) or None,
    )


_BUILDERS: Final[Mapping[type[Any], Callable[[_FrameModules], Module | None]]] = {
    MultiFrame: lambda of: MultiFrame(of.instance.number_of_frames, of.number),
    ImagePixel: _image_pixel,
    ImagePlane: lambda of: of.frame.plane,
    Scaling: lambda of: frame_scaling(of.instance, of.number, of.output),
    ModalityLut: lambda of: modality_lut(of.frame),
    VoiLut: lambda of: frame_voi_lut(of.instance, of.number, of.output),
    GeneralSeries: _general_series,
    SopCommon: _sop_common,
    TransferSyntax: _transfer_syntax,
    PatientStudy: _of_object(_patient_study),
    GeneralImage: _of_object(general_image),
    Calibration: lambda of: calibration(of.instance, of.number),
    UltrasoundRegions: _of_object(ultrasound_regions),
    Overlays: lambda of: overlays(of.instance.all_elements(), of.number),
    Cine: _of_object(cine),
    PetIsotope: _of_object(pet_isotope),
    PetSeries: _of_object(pet_series),
    PetImage: _of_object(pet_image),
}
