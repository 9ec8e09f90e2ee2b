"""What is in a place, volume by volume, told from headers only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from textwrap import shorten
from typing import TYPE_CHECKING, Final, overload

from loadstone.errors import GeometryError, LoadstoneError
from loadstone.geometry import Finding, FindingKind, GeometryPolicy
from loadstone.hookspecs import VoxelSource
from loadstone.ids import ImageId
from loadstone.image_requests import load_modules
from loadstone.metadata import GeneralSeries, ImagePixel
from loadstone.volume.plan import plan_of_source
from loadstone.volume.stack_plan import plan_of_stack

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadstone.context import LoadContext
    from loadstone.hookspecs import ImageStack
    from loadstone.metadata import Modules
    from loadstone.volume.plan import VolumePlan

__all__ = ["SeriesInfo", "SeriesTable", "described_series"]

_LOOK_ONLY: Final = GeometryPolicy(
    gap="ignore", duplicate="ignore", irregular="ignore", incomplete="ignore", mixed="ignore"
)
"""What is wrong is said in the row, and refused when the volume is loaded."""
_AS_EXPECTED: Final = frozenset({FindingKind.REGULAR, FindingKind.SINGLE_SLICE})
"""Findings that nobody needs to be told of."""


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """A volume that is there, as its headers describe it."""

    id: str
    """Loads exactly this one."""
    modality: str
    """CT, MR, PT, …; empty where it is not known."""
    description: str
    """Series Description, or what the loader says in its place."""
    count: int
    """Number of 2-D images in it."""
    shape: tuple[int, ...]
    """Of the array that it becomes, the slowest axis first; empty where only the pixels tell."""
    nbytes: int
    """Bytes of that array; 0 where only the pixels tell."""
    findings: tuple[Finding, ...]
    """What was noticed about its geometry, and what was left out beside it."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """The findings for a person, without those that say that all is well."""
        return tuple(each.message for each in self.findings if each.kind not in _AS_EXPECTED)


class SeriesTable(Sequence[SeriesInfo]):
    """
    The volumes that are there; a sequence, and a table where it is printed or shown in a notebook.

    Parameters
    ----------
    rows
        One for each volume.
    """

    __slots__ = ("_rows",)

    def __init__(self, rows: Iterable[SeriesInfo]) -> None:
        self._rows = tuple(rows)

    @overload
    def __getitem__(self, index: int) -> SeriesInfo: ...
    @overload
    def __getitem__(self, index: slice) -> SeriesTable: ...
    def __getitem__(self, index: int | slice) -> SeriesInfo | SeriesTable:
        return SeriesTable(self._rows[index]) if isinstance(index, slice) else self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        """Write it as text, one line a volume."""
        lines = [_cells(row) for row in self._rows]
        widths = [max(map(len, column)) for column in zip(_HEADINGS, *lines, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in (_HEADINGS, *lines)
        )

    def _repr_html_(self) -> str:
        """Write it as HTML; text from headers is escaped."""
        head = "".join(f"<th>{each}</th>" for each in _HEADINGS)
        body = "".join(_html_row(row) for row in self._rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


_MOST_REMARKS: Final = 2
_WIDEST_REMARK: Final = 80
_HEADINGS: Final = ("modality", "images", "shape", "size", "description", "id", "findings")


def _cells(row: SeriesInfo) -> tuple[str, ...]:
    return (
        row.modality,
        str(row.count),
        " x ".join(map(str, row.shape)),
        f"{row.nbytes / 1e6:,.1f} MB" if row.nbytes else "",
        " ".join(row.description.split()),
        row.id,
        _shortened(row.remarks),
    )


def _shortened(remarks: Sequence[str]) -> str:
    """Name the first remarks; a table is to be looked over, and the rows have all of them."""
    shown = [shorten(each, _WIDEST_REMARK, placeholder="…") for each in remarks[:_MOST_REMARKS]]
    return "; ".join(shown) + (f"; {len(remarks) - len(shown)} more" if len(remarks) > len(shown) else "")


def _html_row(row: SeriesInfo) -> str:
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in _cells(row))}</tr>"


def described_series(found: Iterable[ImageStack | VoxelSource], context: LoadContext) -> SeriesTable:
    """
    Describe volumes without their pixels, also those that could not be loaded as they are.

    Parameters
    ----------
    found
        The volumes as their loader describes them.
    context
        Of the load that looks.
    """
    return SeriesTable(
        _of_source(each, context) if isinstance(each, VoxelSource) else _of_stack(each, context)
        for each in found
    )


def _of_source(source: VoxelSource, context: LoadContext) -> SeriesInfo:
    series, plan = source.header.series, plan_of_source(source, context.options)
    return _info(source, series, plan)


def _of_stack(stack: ImageStack, context: LoadContext) -> SeriesInfo:
    modules: Sequence[Modules] = ()
    # The first image tells the size of all: a loader that has sorted them has put equal ones together.
    sorted_already = stack.geometry is not None and not stack.coordinates
    looked_at = replace(stack, image_ids=stack.image_ids[:1]) if sorted_already else stack
    try:
        modules = load_modules(context.session, [ImageId(each) for each in looked_at.image_ids], context)
        plan = plan_of_stack(looked_at, modules, context.options, _LOOK_ONLY)
    except LoadstoneError as error:
        return _refused(stack, modules, error)
    info = _info(stack, modules[0].get(GeneralSeries), plan)
    if stack.geometry is None or not sorted_already:
        return info
    count = len(stack.image_ids)
    findings = stack.geometry.adding(*stack.findings).findings
    return replace(info, shape=(count, *plan.shape[1:]), nbytes=count * plan.nbytes, findings=findings)


def _info(volume: ImageStack | VoxelSource, series: GeneralSeries | None, plan: VolumePlan) -> SeriesInfo:
    return SeriesInfo(
        id=volume.volume_id,
        modality=series.modality if series else "",
        description=(series.series_description if series else "") or volume.description,
        count=len(volume.image_ids) or plan.count,
        shape=plan.shape,
        nbytes=plan.nbytes,
        findings=plan.report.findings,
    )


def _refused(stack: ImageStack, modules: Sequence[Modules], error: LoadstoneError) -> SeriesInfo:
    """Describe images that form no volume, or of which nothing is known without their pixels."""
    series = modules[0].get(GeneralSeries) if modules else None
    silent = not modules or modules[0].get(ImagePixel) is None
    report = error.report if isinstance(error, GeometryError) else None
    # What its loader refuses is about something else than the volume: the error says what.
    message = error.what if stack.refusal is None else f"{error.source}: {error.what}"
    said = () if silent else (Finding(FindingKind.NOTED, message),)
    return SeriesInfo(
        id=stack.volume_id,
        modality=series.modality if series else "",
        description=(series.series_description if series else "") or stack.description,
        count=len(stack.image_ids),
        shape=(),
        nbytes=0,
        findings=(*stack.findings, *(report.findings if report and report.findings else said)),
    )
