"""
Standardized uptake values of PET: activity per volume, relative to what was injected and to the body.

``SUV = activity * size of the body / dose``: with the body's mass in g (bw), its lean mass in g (lbm) or its
surface in cm2 (bsa). The dose is that which was left at the time for which the values of the image hold
(DICOM PS3.3 C.8.9.1.1.3; the vendor-neutral rules of the Quantitative Imaging Biomarkers Alliance).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from loadstone.errors import MetadataError, UnsupportedError
from loadstone_wado import tags
from loadstone_wado.doses import effective_dose, refuse_uncorrected
from loadstone_wado.private import private_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loadstone_wado.elements import Elements

__all__ = ["SUV_UNITS", "suv_factor"]

SUV_UNITS: Final = {"suvbw": "g/ml", "suvlbm": "g/ml", "suvbsa": "cm2/ml"}
"""The kinds of SUV that can be asked for, and their units."""

_TYPES: Final = {"suvbw": "BW", "suvlbm": "LBM", "suvbsa": "BSA"}
_PHILIPS: Final = 0x7053, "Philips PET Private Group"
_TALLEST: Final = 3.0
"""m. What is above was recorded in cm."""


def suv_factor(kind: str, elements: Elements, units: str, all_elements: Callable[[], Elements]) -> float:
    """
    Return what modality values are multiplied by to give SUV.

    Parameters
    ----------
    kind
        One of `SUV_UNITS`.
    elements
        The attributes of a PET image.
    units
        Of the modality values, as DICOM writes them: BQML, CNTS, GML or CM2ML.
    all_elements
        Gives the private attributes too.

    Raises
    ------
    UnsupportedError
        If it is no PET.
    MetadataError
        If what is recorded does not allow it; the message says why.
    """
    if elements.text(tags.MODALITY) != "PT":
        raise UnsupportedError(
            f"values={kind!r} is for PET, this is {elements.text(tags.MODALITY) or 'of no known modality'}",
            hint="Load it without values=.",
        )
    of_units = _FACTORS.get(units)
    try:
        if of_units is None:
            raise MetadataError(f"there is no way from the units {units or '(missing)'}")  # noqa: TRY301
        return of_units(_Pet(elements, all_elements, _TYPES[kind]))
    except MetadataError as error:
        raise MetadataError(
            f"SUV cannot be computed: {error.what}", hint="Load it without values= for its own units."
        ) from error


@dataclass(frozen=True, slots=True)
class _Pet:
    """A PET image whose SUV are wanted."""

    elements: Elements
    """Its attributes."""
    all_elements: Callable[[], Elements]
    """Gives the private ones too."""
    wanted: str
    """BW, LBM or BSA."""

    def size(self, suv_type: str) -> float:
        """Return the size of the body by which a type of SUV is normalized."""
        measure = _SIZES.get(suv_type)
        if measure is None:
            raise MetadataError(f"SUVType is {suv_type}")
        return measure(self.elements)


def _from_activity(pet: _Pet) -> float:
    refuse_uncorrected(pet.elements)
    return pet.size(pet.wanted) / effective_dose(pet.elements, pet.all_elements)


def _from_counts(pet: _Pet) -> float:
    """Use the factors of Philips, which say what its counts stand for."""
    everything = pet.all_elements()
    to_suv = private_number(everything, *_PHILIPS, 0x00)
    if to_suv:
        refuse_uncorrected(pet.elements)
        return to_suv * _from_suv(pet, "BW")
    to_activity = private_number(everything, *_PHILIPS, 0x09)
    if to_activity:
        return to_activity * _from_activity(pet)
    raise MetadataError("its units are counts, and no factors of Philips say what they stand for")


def _from_grams(pet: _Pet) -> float:
    return _from_suv(pet, pet.elements.text(tags.SUV_TYPE) or "BW")


def _from_surface(pet: _Pet) -> float:
    return _from_suv(pet, pet.elements.text(tags.SUV_TYPE) or "BSA")


def _from_suv(pet: _Pet, recorded: str) -> float:
    return 1.0 if recorded == pet.wanted else pet.size(pet.wanted) / pet.size(recorded)


_FACTORS: Final[Mapping[str, Callable[[_Pet], float]]] = {
    "BQML": _from_activity,
    "CNTS": _from_counts,
    "GML": _from_grams,
    "CM2ML": _from_surface,
}


def _weight(elements: Elements) -> float:
    weight = elements.number(tags.PATIENT_WEIGHT)
    if weight is None or weight <= 0:
        raise MetadataError(f"PatientWeight is {'missing' if weight is None else f'{weight:g}'}")
    return weight


def _height(elements: Elements) -> float:
    """Return the height in cm."""
    height = elements.number(tags.PATIENT_SIZE)
    if height is None or not 0 < height <= _TALLEST:
        raise MetadataError(f"PatientSize is {'missing' if height is None else f'{height:g} m'}")
    return 100 * height


def _grams(elements: Elements) -> float:
    return 1000 * _weight(elements)


def _surface(elements: Elements) -> float:
    """Return the surface of the body in cm2 (Du Bois 1916)."""
    return float(71.84 * _weight(elements) ** 0.425 * _height(elements) ** 0.725)


def _lean(elements: Elements) -> float:
    return _lean_by_james(elements, 120)


def _lean_128(elements: Elements) -> float:
    return _lean_by_james(elements, 128)


def _lean_by_james(elements: Elements, of_men: float) -> float:
    """Return the lean mass in g (James 1976), of men with the usual constant 120 or with his own 128."""
    weight, height = _weight(elements), _height(elements)
    factor, square = _by_sex(elements, men=(1.10, of_men), women=(1.07, 148))
    lean = 1000 * (factor * weight - square * (weight / height) ** 2)
    if lean <= 0:
        raise MetadataError("the formula of the lean mass does not hold for such a weight and height")
    return lean


def _lean_by_janmahasatian(elements: Elements) -> float:
    """Return the lean mass in g (Janmahasatian 2005)."""
    weight, height = _weight(elements), _height(elements)
    constant, factor = _by_sex(elements, men=(6680, 216), women=(8780, 244))
    return 1000 * 9270 * weight / (constant + factor * weight / (height / 100) ** 2)


def _by_sex(
    elements: Elements, *, men: tuple[float, float], women: tuple[float, float]
) -> tuple[float, float]:
    sex = elements.text(tags.PATIENT_SEX)
    if sex not in {"M", "F"}:
        raise MetadataError(f"PatientSex is {sex or 'missing'}, the lean mass is known for M and F")
    return men if sex == "M" else women


_SIZES: Final[Mapping[str, Callable[[Elements], float]]] = {
    "BW": _grams,
    "BSA": _surface,
    "LBM": _lean,
    "LBMJAMES128": _lean_128,
    "LBMJANMA": _lean_by_janmahasatian,
}
"""By SUVType, DICOM PS3.3 C.8.9.1."""
