from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import loadstone
from core.tests.builders import flat, make_session
from loadstone import ImageLoader, ImageStack, LoadstoneError, SeriesTable, VolumeHeader, VoxelSource
from loadstone.geometry import Finding, FindingKind, GeometryReport
from loadstone.metadata import GeneralSeries, ImagePixel, ImagePlane, ModuleSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from loadstone import ImageId, LoadContext, Session, VolumeId
    from loadstone.metadata import Modules

GAP = (0.0, 1.0, 2.0, 5.0)


def described(positions: Sequence[float]) -> ImageLoader:
    """Return a loader of images whose number is an index into `positions`; it refuses to load pixels."""

    def load(image_id: ImageId, context: LoadContext) -> Any:
        raise AssertionError("a scan loads no pixels")

    def metadata(image_ids: Sequence[ImageId], context: LoadContext) -> Mapping[ImageId, Modules]:
        return {each: modules(positions[int(each.rest)]) for each in image_ids}

    return ImageLoader("toy", load, metadata=metadata)


def modules(position: float) -> Modules:
    plane = ImagePlane((1.0, 1.0), (0.0, 0.0, position), (1, 0, 0, 0, 1, 0))
    series = GeneralSeries(modality="CT", series_description="a <b>scan</b>")
    return ModuleSet(plane, series, ImagePixel(4, 5, np.dtype("u2"), 1, "MONOCHROME2"))


def scanned(loader: ImageLoader, *found: ImageStack | VoxelSource, scheme: str = "toy") -> SeriesTable:
    def opened(volume_id: VolumeId, context: LoadContext) -> Iterable[ImageStack | VoxelSource]:
        return found

    with make_session({"toy": loader}) as session:
        session.registry.register_volume_loader(scheme, opened, replace=True)
        return session.scan(f"{scheme}:place")


def stack(count: int = 4, **fields: Any) -> ImageStack:
    return ImageStack("toy:place?stack=1", tuple(f"toy:{number}" for number in range(count)), **fields)


def test_a_row() -> None:
    """A row says what a load would give, findings of geometry and loader included, without pixels."""
    noted = Finding(FindingKind.NOTED, "1 left out")
    (row,) = scanned(described(GAP), stack(findings=(noted,)))

    assert (row.id, row.modality, row.description) == ("toy:place?stack=1", "CT", "a <b>scan</b>")
    assert (row.count, row.shape, row.nbytes) == (4, (4, 4, 5), 160)
    assert FindingKind.GAP in {each.kind for each in row.findings}
    assert noted in row.findings


def test_what_the_loader_knows_already() -> None:
    """A loader that has sorted the images is asked for the metadata of one of them."""
    asked: list[int] = []
    loader = described(GAP)

    def metadata(image_ids: Sequence[ImageId], context: LoadContext) -> Mapping[ImageId, Modules]:
        asked.append(len(image_ids))
        assert loader.metadata is not None
        return loader.metadata(image_ids, context)

    known = GeometryReport((Finding(FindingKind.TILT, "tilted by 5 degrees"),))
    (row,) = scanned(ImageLoader("toy", loader.load, metadata=metadata), stack(geometry=known))

    assert asked == [1]
    assert (row.count, row.shape, row.nbytes) == (4, (4, 4, 5), 160)
    assert row.remarks == ("tilted by 5 degrees",)


def test_a_volume_in_one_block() -> None:
    """A volume that comes as one block is described by its header."""
    header = VolumeHeader((2, 3, 4, 5), np.dtype("i2"), axes=("t", "k", "j", "i"))

    def fill(array: Any, context: LoadContext) -> Any:
        raise AssertionError("a scan loads no pixels")

    (row,) = scanned(described(()), VoxelSource("toy:place", header, fill, description="all of it"))

    assert (row.shape, row.count, row.nbytes, row.description) == ((2, 3, 4, 5), 6, 240, "all of it")


def test_images_that_only_their_pixels_describe() -> None:
    """Where nothing is known without pixels, the row is there, and says no more than that."""
    loader = ImageLoader("toy", lambda *_: flat(1))
    (row,) = scanned(loader, stack(3, description="three pictures"))

    assert (row.count, row.shape, row.nbytes, row.description) == (3, (), 0, "three pictures")
    assert row.remarks == ()


def test_images_that_form_no_volume() -> None:
    """What could not be loaded is listed with the reason."""

    def metadata(image_ids: Sequence[ImageId], context: LoadContext) -> Mapping[ImageId, Modules]:
        sizes = {each: 4 + int(each.rest) for each in image_ids}
        return {
            each: ModuleSet(ImagePixel(size, 5, np.dtype("u2"), 1, "MONOCHROME2"))
            for each, size in sizes.items()
        }

    (row,) = scanned(ImageLoader("toy", lambda *_: flat(1), metadata=metadata), stack(2))

    assert row.shape == ()
    assert [each.kind for each in row.findings] == [FindingKind.MIXED_SIZE]


def test_a_table() -> None:
    """The rows are a sequence; as text and as HTML they are a table, in which headers cannot write HTML."""
    table = scanned(described(GAP), stack(), stack(2))

    assert len(table) == 2
    assert isinstance(table[:1], SeriesTable)
    assert table[1].count == 2
    assert [row.count for row in table] == [4, 2]
    assert "4 x 4 x 5" in repr(table).splitlines()[1]
    assert "a &lt;b&gt;scan&lt;/b&gt;" in table._repr_html_()
    assert table._repr_html_().count("<tr>") == 3


def test_many_remarks() -> None:
    """A table names the first remarks in short and counts the others; a row has all of them."""
    noted = [Finding(FindingKind.NOTED, f"{number} " + "very " * 40 + "long") for number in range(5)]
    table = scanned(described(range(4)), stack(findings=tuple(noted)))

    assert len(table[0].remarks) == 5
    assert "3 more" in repr(table)
    assert max(map(len, repr(table).splitlines())) < 300


def test_an_empty_table() -> None:
    """A table without rows has its headings."""
    assert repr(SeriesTable([])).startswith("modality")


def test_nothing_there() -> None:
    """What cannot be described is an error, not an empty table."""
    with make_session() as session, pytest.raises(LoadstoneError):
        session.scan("number:1")


def test_the_default_session(default_scan: Session) -> None:
    """The function of the package uses the default session."""
    assert len(loadstone.scan("toy:place")) == 1


@pytest.fixture
def default_scan() -> Any:
    """Give the process a loader of volumes."""
    with (
        loadstone.register_image_loader("toy", described(GAP)),
        loadstone.register_volume_loader("toy", lambda *_: [stack()]),
    ):
        yield loadstone.default_session()
