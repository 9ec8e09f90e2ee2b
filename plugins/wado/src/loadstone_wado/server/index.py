"""What is served: studies, series and instances found among files, known by their headers alone."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from loadstone_wado.server.attributes import INDEXED_TAGS
from loadstone_wado.server.dicomjson import JsonDataset, to_json
from loadstone_wado.server.pixelelement import HEADER_TAGS, PixelElement, find_pixels
from loadstone_wado.server.sources import FileSource, MemorySource, Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydicom.dataset import FileDataset

__all__ = ["Archive", "Content", "Counts", "Instance", "Series", "Study", "build_archive"]

Content: TypeAlias = "str | os.PathLike[str] | bytes | Iterable[str | os.PathLike[str] | bytes]"
"""A folder, a file, the bytes of a file, or several of them."""

WANTED_TAGS = sorted({int(tag, 16) for tag in INDEXED_TAGS} | HEADER_TAGS)


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """A stored object."""

    uid: str
    """SOPInstanceUID."""
    series_uid: str
    """SeriesInstanceUID."""
    study_uid: str
    """StudyInstanceUID."""
    source: Source = field(repr=False)
    """Its bytes."""
    transfer_syntax_uid: str
    """How it is stored."""
    attributes: JsonDataset = field(repr=False)
    """The indexed attributes."""
    pixels: PixelElement | None
    """Where its pixels are; None when it has none."""
    kept_header: FileDataset | None = field(default=None, repr=False)
    """The header, when reading it warns: read once, it warns no more."""

    def header(self) -> FileDataset:
        """Read all elements before the pixel data.

        Raises
        ------
        DamagedObjectError
            If the file is gone or was changed.
        """
        if self.kept_header is not None:
            return self.kept_header
        with self.source.open() as file:
            return dcmread(file, stop_before_pixels=True)


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """The instances of a series."""

    uid: str
    """SeriesInstanceUID."""
    study_uid: str
    """StudyInstanceUID."""
    instances: dict[str, Instance] = field(default_factory=dict)
    """By SOPInstanceUID, in the order in which they were found."""


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """The series of a study."""

    uid: str
    """StudyInstanceUID."""
    series: dict[str, Series] = field(default_factory=dict)
    """By SeriesInstanceUID, in the order in which they were found."""

    def instances(self) -> Iterator[Instance]:
        """Yield the instances of all series."""
        for series in self.series.values():
            yield from series.instances.values()


@dataclass(slots=True)
class Counts:
    """What became of what was given."""

    instances: int = 0
    """Served."""
    not_dicom: int = 0
    """Skipped: not a DICOM file by its first bytes."""
    not_instances: int = 0
    """Skipped: DICOM without usable UIDs of study, series and instance (a DICOMDIR, for one)."""
    unreadable: int = 0
    """Skipped: the header cannot be read."""
    duplicates: int = 0
    """Skipped: an instance that was there already."""


@dataclass(frozen=True, slots=True, eq=False)
class Archive:
    """Everything that is served; does not change once it is built."""

    studies: dict[str, Study] = field(default_factory=dict)
    """By StudyInstanceUID, in the order in which they were found."""
    instances: dict[str, Instance] = field(default_factory=dict)
    """All of them by SOPInstanceUID."""
    counts: Counts = field(default_factory=Counts)
    """What became of what was given."""


def build_archive(content: Content) -> Archive:
    """Read the headers of all files in `content`.

    Parameters
    ----------
    content
        A folder (walked in the order of names; hidden files and folders are left out), a file, the bytes
        of a file, or several of them. A file is DICOM by its bytes, not by its name.

    Raises
    ------
    FileNotFoundError
        If a given path does not exist.
    """
    archive = Archive()
    with warnings.catch_warnings():  # building happens on the thread of the caller, before any request
        for source in _sources(content):
            _add(archive, source)
    return archive


def _sources(content: Content) -> Iterator[Source]:
    if isinstance(content, bytes):
        yield MemorySource(content)
    elif isinstance(content, str | os.PathLike):
        yield from map(FileSource.of, _files(Path(content)))
    else:
        for item in content:
            yield from _sources(item)


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (
            Path(folder, name)
            for name in sorted(files)
            if not name.startswith(".") and Path(folder, name).is_file()
        )


def _add(archive: Archive, source: Source) -> None:
    counts = archive.counts
    if not _is_part10(source):
        counts.not_dicom += 1
        return
    try:
        instance = _read_instance(source)
    except Exception:  # noqa: BLE001  (pydicom raises whatever its parsing ran into; one bad file is one file)
        counts.unreadable += 1
        return
    if instance is None:
        counts.not_instances += 1
    elif instance.uid in archive.instances:
        counts.duplicates += 1
    else:
        counts.instances += 1
        study = archive.studies.setdefault(instance.study_uid, Study(instance.study_uid))
        series = study.series.setdefault(instance.series_uid, Series(instance.series_uid, study.uid))
        series.instances[instance.uid] = archive.instances[instance.uid] = instance


def _is_part10(source: Source) -> bool:
    return source.size > 132 and source.read(128, 4) == b"DICM"


def _read_instance(source: Source) -> Instance | None:
    warnings.simplefilter("error")
    try:
        return _index(source, kept_header=None)
    except Warning:
        warnings.simplefilter("ignore")
        with source.open() as file:
            header = dcmread(file, stop_before_pixels=True)
        return _index(source, kept_header=header)


def _index(source: Source, *, kept_header: FileDataset | None) -> Instance | None:
    with source.open() as file:
        dataset = dcmread(
            file,
            stop_before_pixels=True,
            specific_tags=WANTED_TAGS,
        )
        syntax = _transfer_syntax(dataset)
        pixels = find_pixels(dataset, file, deflated=syntax == DeflatedExplicitVRLittleEndian)
    attributes = to_json(dataset, lambda _path: "")
    uid, series_uid, study_uid = (_uid(attributes, tag) for tag in ("00080018", "0020000E", "0020000D"))
    if not (_is_uid(uid) and _is_uid(series_uid) and _is_uid(study_uid) and _is_uid(syntax)):
        return None
    kept = {tag: element for tag, element in attributes.items() if tag in INDEXED_TAGS}
    return Instance(uid, series_uid, study_uid, source, syntax, kept, pixels, kept_header)


def _uid(attributes: JsonDataset, tag: str) -> str:
    values = attributes.get(tag, {}).get("Value") or [""]
    return str(values[0])


def _is_uid(text: str) -> bool:
    # Laxer than the standard, as files are; but what stands here goes into addresses and header fields.
    return text.isascii() and text.replace(".", "").replace("-", "").isalnum()


def _transfer_syntax(dataset: FileDataset) -> str:
    named = dataset.file_meta.get("TransferSyntaxUID")
    if named:
        return str(named)
    implicit, _ = dataset.original_encoding
    return str(ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian)
