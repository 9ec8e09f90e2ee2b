"""``loadstone scan``: the volumes of a place in a table, told from headers only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from loadstone.cli.output import show_facts, show_json, show_table
from loadstone.session import Session

if TYPE_CHECKING:
    from loadstone.scanning import SeriesInfo

__all__ = ["scan"]


def scan(
    source: Annotated[str, typer.Argument(metavar="ID", help="A folder, a DICOMDIR, a file, an id.")],
    *,
    json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """List the volumes of a place: modality, number of images, shape, size, id to load. No pixels."""
    with Session() as session:
        found = session.scan(source)
    if json:
        show_json([_described(each) for each in found])
        return
    show_table(
        ("modality", "images", "shape", "MB", "description", "id"),
        (
            (
                each.modality,
                each.count,
                "x".join(map(str, each.shape)),
                _size(each),
                each.description,
                each.id,
            )
            for each in found
        ),
        right=("images", "MB"),
        fold=("description", "id"),
    )
    show_facts((each.id, remark) for each in found for remark in each.remarks)


def _size(row: SeriesInfo) -> str:
    return f"{row.nbytes / 1e6:,.1f}" if row.nbytes else ""


def _described(row: SeriesInfo) -> dict[str, Any]:
    return {
        "id": row.id,
        "modality": row.modality,
        "description": row.description,
        "images": row.count,
        "shape": list(row.shape),
        "bytes": row.nbytes,
        "findings": [each.message for each in row.findings],
    }
