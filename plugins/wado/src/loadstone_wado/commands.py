"""Commands for the core's command line: ``loadstone series``, ``loadstone serve`` and ``loadstone demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loadstone import LoadstoneError, Session
from loadstone.cli.output import show_json, show_table

if TYPE_CHECKING:
    from loadstone_wado.dicomweb.rows import SeriesRow
    from loadstone_wado.server import Counts, DicomWebServer

__all__ = ["demo", "series", "serve"]

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def series(
    url: Annotated[str, typer.Argument(help="Root of a DICOMweb service.")],
    *,
    study: Annotated[str | None, typer.Option(help="Study Instance UID to stay in.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where", "-w", metavar="ATTRIBUTE=VALUE", help="For example Modality=CT; again for more."
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=0, help="Most series that are wanted.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """Search a DICOMweb service for series and list them with the ids that load them."""
    from loadstone_wado.dicomweb.client import DicomWeb

    filters = dict(_condition(each) for each in where or ())
    with Session() as session:
        rows = DicomWeb(url, session).series(filters, study=study, limit=limit)
    if json:
        show_json([_series(row) for row in rows])
        return
    show_table(
        ("modality", "number", "images", "description", "id"),
        (
            (row.modality, _text(row.series_number), _text(row.number_of_instances), row.description, row.id)
            for row in rows
        ),
        right=("number", "images"),
        fold=("description", "id"),
    )


def _condition(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text!r} is not ATTRIBUTE=VALUE")
    return name, value


def _text(number: int | None) -> str:
    return "" if number is None else str(number)


def _series(row: SeriesRow) -> dict[str, object]:
    return {
        "id": row.id,
        "modality": row.modality,
        "description": row.description,
        "number": row.series_number,
        "images": row.number_of_instances,
        "study": row.study_instance_uid,
        "series": row.series_instance_uid,
    }


def serve(
    folder: Annotated[Path, typer.Argument(exists=True, help="A folder of DICOM files, or one file.")],
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: a free one.")] = 8080,
) -> None:
    """Serve DICOM files over DICOMweb, until Ctrl-C. Anybody who reaches the address may read them."""
    from loadstone_wado.server import DicomWebServer

    server = DicomWebServer(folder, host=host, port=port)
    if not server.counts.instances:
        raise LoadstoneError("there is no DICOM instance to serve", source=str(folder))
    with server:
        typer.echo(_invitation(server))
        if host not in _LOOPBACK:
            typer.echo("Other machines can read these files: there is no log-in and no encryption.", err=True)
        server.serve_forever()


def _invitation(server: DicomWebServer) -> str:
    return f"""\
serving {_counted(server.counts)}
  QIDO-RS, WADO-RS  {server.url}
  WADO-URI          {server.wado_uri_url}
Ctrl-C ends it"""


def _counted(counts: Counts) -> str:
    skipped = {
        "no DICOM": counts.not_dicom,
        "no instance": counts.not_instances,
        "unreadable": counts.unreadable,
        "there twice": counts.duplicates,
    }
    reasons = ", ".join(f"{number} {reason}" for reason, number in skipped.items() if number)
    return f"{counts.instances} instances" + (f" (skipped: {reasons})" if reasons else "")


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="The contact sheet, a PNG file.")] = Path(
        "loadstone-demo.png"
    ),
) -> None:
    """Load real images through every scheme, print a table, write a contact sheet. Uses no network."""
    try:
        from loadstone_wado.demo import run_demo
    except ModuleNotFoundError as error:
        raise LoadstoneError(
            f"the demo needs {error.name}", hint='pip install "loadstone-wado[demo]"'
        ) from error
    if not run_demo(output):
        raise typer.Exit(1)
