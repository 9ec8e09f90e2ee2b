"""
One DICOM object: all that images need to know of it, wherever it comes from.

`Instance` stands between where bytes come from (a file, a server's answer, DICOM JSON) and how they are
decoded. Its attributes have their standard names in snake case, and are decoded when they are first asked
for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

from loadstone.errors import InvalidIdError, MetadataError, UnsupportedError
from loadstone_wado import tags
from loadstone_wado.blobs import MemoryBlob
from loadstone_wado.elements import DatasetElements, JsonElements, RawElements
from loadstone_wado.frame import Frame, FunctionalGroups
from loadstone_wado.headers import PixelElement, read_dataset, read_header
from loadstone_wado.layout import PixelLayout, pixel_layout
from loadstone_wado.lazy import lazy
from loadstone_wado.mosaics import mosaic_of
from loadstone_wado.naming import naming
from loadstone_wado.output import Output, describe_output
from loadstone_wado.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, is_video, name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydicom.dataset import Dataset

    from loadstone.settings import Settings
    from loadstone_wado.blobs import Blob
    from loadstone_wado.elements import Elements
    from loadstone_wado.likeness import Likeness
    from loadstone_wado.mosaics import Mosaic

__all__ = ["Instance"]

_PADDING: Final = {
    "integer": (tags.PIXEL_PADDING_VALUE, tags.PIXEL_PADDING_RANGE_LIMIT),
    "f4": (tags.FLOAT_PIXEL_PADDING_VALUE, tags.FLOAT_PIXEL_PADDING_RANGE_LIMIT),
    "f8": (tags.DOUBLE_FLOAT_PIXEL_PADDING_VALUE, tags.DOUBLE_FLOAT_PIXEL_PADDING_RANGE_LIMIT),
}
"""The attributes of padding, by the dtype of stored values."""


class Instance:
    """
    One DICOM object.

    Parameters
    ----------
    elements
        Its attributes.
    transfer_syntax_uid
        How its pixels are encoded; empty when that is known only with the pixels (WADO-RS).
    settings
        Limits.
    pixels
        Where its pixel data is; None when that is elsewhere (WADO-RS).
    inflated
        The inflated data set, when it is deflated: `pixels` is in there.
    dataset
        Reads everything but the pixels as a pydicom Dataset.
    source
        What it is, for messages.

    Attributes
    ----------
    suv_factors : dict
        What is known of them, by kind and by units of the modality values.
    """

    def __init__(
        self,
        elements: Elements,
        transfer_syntax_uid: str,
        *,
        settings: Settings,
        dataset: Callable[[], Dataset],
        pixels: PixelElement | None = None,
        inflated: bytes | None = None,
        source: str = "",
    ) -> None:
        self.elements = elements
        self.transfer_syntax_uid = transfer_syntax_uid
        self.settings = settings
        self.pixels = pixels
        self.inflated = inflated
        self.source = source
        self._dataset = dataset
        self._frames: dict[int, Frame] = {}
        self._functional_groups = FunctionalGroups(elements)
        self._outputs: dict[tuple[bool, str | None], Output] = {}
        self.suv_factors: dict[tuple[str, str], float] = {}
        self._remote = False

    @classmethod
    def from_blob(
        cls,
        blob: Blob,
        settings: Settings,
        *,
        dataset: Callable[[], Dataset] | None = None,
        likeness: Likeness | None = None,
    ) -> Self:
        """
        Read a Part-10 object.

        Parameters
        ----------
        blob
            The object.
        settings
            Limits.
        dataset
            Reads it again as a pydicom Dataset; default: from a copy of its header's bytes.
        likeness
            What headers that were read before have in common with it.

        Raises
        ------
        LoadstoneError
            As `read_header`.
        """
        header = read_header(blob, settings, likeness)
        if dataset is None:
            # The image may outlive the bytes: keep the head of them, not the pixels.
            head = MemoryBlob(blob.read(0, _head_length(blob, header.pixels, header.inflated)), blob.source)

            def dataset() -> Dataset:
                return read_dataset(head)

        return cls(
            header.elements,
            header.transfer_syntax_uid,
            settings=settings,
            dataset=dataset,
            pixels=header.pixels,
            inflated=header.inflated,
            source=blob.source,
        )

    @classmethod
    def from_dataset(cls, dataset: Dataset, settings: Settings, *, source: str = "") -> Self:
        """Describe a pydicom Dataset (its pixels are not used)."""
        meta = getattr(dataset, "file_meta", None) or {}
        uid = str(meta.get("TransferSyntaxUID", "") or EXPLICIT_VR_LITTLE_ENDIAN)
        big = uid == "1.2.840.10008.1.2.2"
        elements = DatasetElements(dataset, little_endian=not big)
        self = cls(elements, uid, settings=settings, dataset=lambda: dataset, source=source)
        self._remote = True
        return self

    @classmethod
    def from_json(
        cls,
        attributes: Mapping[str, Any],
        settings: Settings,
        *,
        fetch: Callable[[str], bytes] | None = None,
        source: str = "",
    ) -> Self:
        """
        Describe an object by its DICOM JSON.

        Parameters
        ----------
        attributes
            One object of a WADO-RS metadata answer.
        settings
            Limits.
        fetch
            Gives the bytes behind a BulkDataURI (of look-up tables); None: those count as absent.
        source
            What it is, for messages.
        """

        def dataset() -> Dataset:
            from pydicom.dataset import Dataset

            return Dataset.from_json(dict(attributes), bulk_data_uri_handler=lambda *_: None)

        elements = JsonElements(attributes, fetch=fetch)
        uid = elements.text(tags.AVAILABLE_TRANSFER_SYNTAX_UID)
        self = cls(elements, uid, settings=settings, dataset=dataset, source=source)
        self._remote = True
        return self

    def __repr__(self) -> str:
        """Say what it is, without names of people."""
        return f"<Instance {self.sop_instance_uid or '(no UID)'}>"

    def dataset(self) -> Dataset:
        """Return everything but the pixels as a pydicom Dataset."""
        return self._dataset()

    def all_elements(self) -> Elements:
        """
        Return its attributes with those that `tags` does not name.

        A header of which only the others were kept is read anew, for attributes that few ask for.

        Raises
        ------
        LoadstoneError
            If that cannot be done.
        """
        if isinstance(self.elements, RawElements):
            return DatasetElements(self.dataset())
        return self.elements

    @property
    def nbytes(self) -> int:
        """About how much memory it takes."""
        return 1000 + self.elements.nbytes + len(self.inflated or b"")

    def frame(self, number: int) -> Frame:
        """
        Return what is known about one frame.

        Parameters
        ----------
        number
            From 1.

        Raises
        ------
        InvalidIdError
            If there is no such frame.
        """
        frame = self._frames.get(number)
        if frame is None:
            self.check_frame(number)
            frame = self._frames[number] = Frame(
                self.elements, number, self._functional_groups, source=self.source
            )
        return frame

    def check_frame(self, number: int) -> None:
        """Raise `InvalidIdError` if there is no such frame."""
        if not 1 <= number <= self.number_of_frames:
            raise InvalidIdError(
                f"there is no frame {number}, the object has {self.number_of_frames}",
                source=self.source,
                hint=f"Frames count from 1 to {self.number_of_frames}.",
            )

    @lazy
    def layout(self) -> PixelLayout:
        """
        How the pixels are stored.

        Raises
        ------
        UnsupportedError
            If it is no image (the message names the SOP class), or a video.
        MetadataError, LimitError
            If the attributes are missing, contradictory or beyond the limits.
        """
        self._check_is_image()
        tag = self.pixels.tag if self.pixels else self._announced_pixel_tag
        return pixel_layout(self.elements, self.settings, pixel_tag=tag, source=self.source)

    def output(self, *, scaled: bool, values: str | None = None) -> Output:
        """
        Return which array each frame becomes.

        Parameters
        ----------
        scaled
            Whether palette, colour space and modality LUT are applied.
        values
            The kind of values, in place of modality values.

        Raises
        ------
        LoadstoneError
            As `layout`, and as `describe_output`.
        """
        key = scaled, values
        output = self._outputs.get(key)
        if output is None:
            with naming(self.source):
                output = self._outputs[key] = describe_output(self, scaled=scaled, values=values)
        return output

    def _check_is_image(self) -> None:
        if is_video(self.transfer_syntax_uid):
            raise UnsupportedError(
                f"videos are not supported ({name_of(self.transfer_syntax_uid)})",
                source=self.source,
                hint="Use a video player or a video library.",
            )
        described = self.elements.integer(tags.ROWS) is not None
        if described and (self.pixels or self._remote):
            return
        kind = name_of(self.sop_class_uid) if self.sop_class_uid else "an object of unknown kind"
        if self.pixels and not described:
            raise MetadataError(f"Rows is missing in {kind}", source=self.source)
        raise UnsupportedError(
            f"it is not an image: {kind} without pixel data",
            source=self.source,
            hint="Only objects with pixel data can be loaded.",
        )

    @property
    def _announced_pixel_tag(self) -> int:
        """Which pixel data element there is, when the pixels are elsewhere."""
        if self.elements.integer(tags.BITS_STORED) is not None:
            return tags.PIXEL_DATA
        wide = self.elements.integer(tags.BITS_ALLOCATED) == 64
        return tags.DOUBLE_FLOAT_PIXEL_DATA if wide else tags.FLOAT_PIXEL_DATA

    @lazy
    def number_of_frames(self) -> int:
        """NumberOfFrames; 1 when not recorded."""
        return max(1, self.elements.integer(tags.NUMBER_OF_FRAMES) or 1)

    @lazy
    def sop_class_uid(self) -> str:
        """Kind of object."""
        return self.elements.text(tags.SOP_CLASS_UID)

    @lazy
    def sop_instance_uid(self) -> str:
        """UID of the object."""
        return self.elements.text(tags.SOP_INSTANCE_UID)

    @lazy
    def series_instance_uid(self) -> str:
        """UID of its series."""
        return self.elements.text(tags.SERIES_INSTANCE_UID)

    @lazy
    def study_instance_uid(self) -> str:
        """UID of its study."""
        return self.elements.text(tags.STUDY_INSTANCE_UID)

    @lazy
    def frame_of_reference_uid(self) -> str | None:
        """UID of its coordinate system."""
        return self.elements.text(tags.FRAME_OF_REFERENCE_UID) or None

    @lazy
    def modality(self) -> str:
        """Kind of equipment: CT, MR, PT."""
        return self.elements.text(tags.MODALITY)

    @lazy
    def instance_number(self) -> int | None:
        """Number within its series."""
        return self.elements.integer(tags.INSTANCE_NUMBER)

    @lazy
    def series_number(self) -> int | None:
        """Number of its series; None also where it is no number, for nothing but a name depends on it."""
        try:
            return self.elements.integer(tags.SERIES_NUMBER)
        except MetadataError:
            return None

    @lazy
    def acquisition_number(self) -> int | None:
        """Number of the acquisition."""
        return self.elements.integer(tags.ACQUISITION_NUMBER)

    @lazy
    def image_type(self) -> tuple[str, ...]:
        """ORIGINAL or DERIVED, PRIMARY or SECONDARY, and what the vendor adds."""
        return self.elements.texts(tags.IMAGE_TYPE)

    @lazy
    def mosaic(self) -> Mosaic | None:
        """How slices lie on the image, if it is a sheet of tiles that says so."""
        return mosaic_of(self)

    @lazy
    def inverted(self) -> bool:
        """Whether the presentation LUT shape is INVERSE, and not only repeats MONOCHROME1 (C.8.11.3.1)."""
        shape = self.elements.text(tags.PRESENTATION_LUT_SHAPE)
        return shape == "INVERSE" and self.layout.photometric_interpretation != "MONOCHROME1"

    @lazy
    def imager_pixel_spacing(self) -> tuple[float, float] | None:
        """Spacing at the detector in mm (rows, columns), which is not the patient's."""
        spacing = self.elements.numbers(tags.IMAGER_PIXEL_SPACING)
        return spacing if len(spacing) == 2 else None

    @lazy
    def pixel_padding(self) -> tuple[float, float] | None:
        """Lowest and highest stored value that stand for 'no data' (DICOM PS3.3 C.7.5.1.1.2)."""
        kind = self.layout.dtype.str[1:]
        first, last = _PADDING.get(kind, _PADDING["integer"])
        value = self.elements.number(first)
        if value is None:
            return None
        limit = self.elements.number(last)
        ends = sorted(self._as_stored(each) for each in (value, value if limit is None else limit))
        return ends[0], ends[1]

    def _as_stored(self, value: float) -> float:
        """Read a padding value in the representation of the pixels: writers confuse US and SS."""
        layout = self.layout
        if layout.dtype.kind == "f" or layout.bits_allocated > 16:
            return value
        number = int(value) & 0xFFFF
        return number - 0x10000 if layout.signed and number > 0x7FFF else number


def _head_length(blob: Blob, pixels: PixelElement | None, inflated: bytes | None) -> int:
    return blob.size if pixels is None or inflated is not None else pixels.offset
