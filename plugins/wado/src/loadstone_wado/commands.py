"""Commands for the core's command line: ``loadstone serve`` and ``loadstone demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loadstone import LoadstoneError

if TYPE_CHECKING:
    from loadstone_wado.server import Counts, DicomWebServer

__all__ = ["demo", "serve"]

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


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
