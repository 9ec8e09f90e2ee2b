"""
What is known about an image before its pixels are loaded: modules, one frozen dataclass each.

The names are those of the DICOM attributes in snake case. Lengths are in millimetres, vectors in the patient
coordinate system (LPS) unless a field says otherwise. A field is None when the source does not say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from loadstone.errors import LoadstoneError, MetadataError
from loadstone.metadata.equality import EqualByValue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    import numpy.typing as npt

__all__ = [
    "GeneralSeries",
    "ImagePixel",
    "ImagePlane",
    "ModalityLut",
    "Module",
    "ModuleSet",
    "Modules",
    "MultiFrame",
    "PatientStudy",
    "Scaling",
    "SopCommon",
    "TransferSyntax",
    "VoiLut",
    "Window",
]

Vector3 = tuple[float, float, float]


class Module(EqualByValue):
    """Base of all modules, which are equal when they say the same."""

    __slots__ = ()


M = TypeVar("M", bound=Module)


class Modules(Protocol):
    """The modules of one image; may build each one only when it is asked for."""

    def get(self, kind: type[M]) -> M | None:
        """Return the module of that kind, or None where the source has none."""
        ...


class ModuleSet:
    """
    The modules of one image.

    Parameters
    ----------
    *modules
        Modules that are already built.
    builders
        For the rest: kind to a function that builds it; called once, when first asked for.
    """

    __slots__ = ("_builders", "_built")

    def __init__(
        self, *modules: Module, builders: Mapping[type[Any], Callable[[], Module | None]] | None = None
    ) -> None:
        self._built: dict[type[Any], Module | None] = {type(module): module for module in modules}
        self._builders = builders or {}

    def get(self, kind: type[M]) -> M | None:
        """
        Return the module of that kind, or None.

        Raises
        ------
        MetadataError
            If what it is built from makes no sense.
        """
        if kind not in self._built:
            builder = self._builders.get(kind)
            self._built[kind] = _built(kind, builder) if builder else None
        return cast("M | None", self._built[kind])


def _built(kind: type[Any], builder: Callable[[], Module | None]) -> Module | None:
    try:
        return builder()
    except LoadstoneError:
        raise
    except Exception as error:
        raise MetadataError(f"{kind.__name__} cannot be had: {type(error).__name__}: {error}") from error


@dataclass(frozen=True, slots=True)
class ImagePlane(Module):
    """Where the image lies in space (DICOM PS3.3 C.7.6.2)."""

    pixel_spacing: tuple[float, float] | None = None
    """Distance of the centres of adjacent rows, then of adjacent columns, in mm."""
    image_position_patient: Vector3 | None = None
    """Centre of the first pixel, LPS, mm."""
    image_orientation_patient: tuple[float, float, float, float, float, float] | None = None
    """Unit vectors along a row (increasing column) and along a column (increasing row), LPS."""
    slice_thickness: float | None = None
    """Nominal thickness in mm; says nothing about the distance of slices."""
    spacing_between_slices: float | None = None
    """As recorded, in mm; positions win over it."""
    frame_of_reference_uid: str | None = None
    """Images with the same UID share one coordinate system."""
    position_decimals: int | None = None
    """Decimals of the text of the position, where it was text: the precision of what is known."""


@dataclass(frozen=True, slots=True)
class ImagePixel(Module):
    """How the pixels are stored (DICOM PS3.3 C.7.6.3), and as which array they arrive."""

    rows: int
    """Number of rows."""
    columns: int
    """Number of columns."""
    dtype: np.dtype[Any]
    """dtype of the array that the loader returns, native byte order, before the core scales it."""
    samples_per_pixel: int = 1
    """Samples in each pixel of the array that the loader returns: 1, 3 or 4."""
    photometric_interpretation: str = "MONOCHROME2"
    """Of the array that the loader returns: MONOCHROME1, MONOCHROME2, RGB, …"""
    bits_stored: int | None = None
    """Bits of a sample that carry a value, for integers."""
    pixel_padding: tuple[float, float] | None = None
    """Lowest and highest stored value that stand for 'no data'."""


@dataclass(frozen=True, slots=True)
class Scaling(Module):
    """What the core applies to stored values: ``slope * stored + intercept``."""

    slope: float = 1.0
    """Factor."""
    intercept: float = 0.0
    """Summand, in `units`."""
    units: str = ""
    """Unit of the result: ``HU``, ``Bq/ml``, …; empty when not known."""


@dataclass(frozen=True, slots=True)
class ModalityLut(Module):
    """The modality LUT as recorded (DICOM PS3.3 C.11.1)."""

    rescale_slope: float | None = None
    """Slope, where recorded."""
    rescale_intercept: float | None = None
    """Intercept, where recorded."""
    rescale_type: str | None = None
    """HU, US, OD, …"""


@dataclass(frozen=True, slots=True)
class Window:
    """One window, in modality values (DICOM PS3.3 C.11.2.1.2)."""

    center: float
    """Window Center."""
    width: float
    """Window Width."""
    explanation: str = ""
    """Name of the window."""
    function: str = "LINEAR"
    """LINEAR, LINEAR_EXACT or SIGMOID."""


@dataclass(frozen=True, slots=True, eq=False)
class VoiLut(Module):
    """How modality values are meant to be shown (DICOM PS3.3 C.11.2)."""

    windows: tuple[Window, ...] = ()
    """The windows in the order of the object."""
    lut: npt.NDArray[np.unsignedinteger[Any]] | None = None
    """Entries of the first VOI LUT, 1-D."""
    lut_first: int = 0
    """Modality value that the first entry stands for."""
    lut_bits: int = 8
    """Bits of an entry that carry a value."""


@dataclass(frozen=True, slots=True)
class GeneralSeries(Module):
    """Which series the image belongs to (DICOM PS3.3 C.7.3.1)."""

    modality: str = ""
    """CT, MR, PT, …"""
    study_instance_uid: str = ""
    """UID of the study."""
    series_instance_uid: str = ""
    """UID of the series."""
    series_number: int | None = None
    """Number of the series."""
    series_description: str = ""
    """Description of the series."""


@dataclass(frozen=True, slots=True)
class SopCommon(Module):
    """Which object holds the image (DICOM PS3.3 C.12.1)."""

    sop_class_uid: str = ""
    """UID of the kind of object."""
    sop_instance_uid: str = ""
    """UID of the object."""
    instance_number: int | None = None
    """Number of the object within its series; its order is a matter of taste of the vendor."""


@dataclass(frozen=True, slots=True)
class PatientStudy(Module):
    """The patient at the time of the study (DICOM PS3.3 C.7.2.2)."""

    patient_weight: float | None = None
    """kg."""
    patient_size: float | None = None
    """Height in m."""
    patient_sex: str | None = None
    """M, F or O."""


@dataclass(frozen=True, slots=True)
class MultiFrame(Module):
    """The frame's place within its object (DICOM PS3.3 C.7.6.6)."""

    number_of_frames: int = 1
    """Frames in the object."""
    frame_number: int = 1
    """This frame, from 1."""


@dataclass(frozen=True, slots=True)
class TransferSyntax(Module):
    """How the object is encoded (DICOM PS3.5 section 10)."""

    transfer_syntax_uid: str
    """UID of the transfer syntax."""
