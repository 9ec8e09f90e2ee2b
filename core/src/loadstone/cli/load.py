"""``loadstone load``: load an image or a volume, say what it is, keep it."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path  # noqa: TC003 - typer evaluates the annotations
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from loadstone.cli.output import console, show_facts, show_json
from loadstone.cli.summary import Summary, middle_image
from loadstone.cli.told_apart import is_volume
from loadstone.image import Image
from loadstone.pixels import png_bytes
from loadstone.session import Session

if TYPE_CHECKING:
    from loadstone.volume import Volume

__all__ = ["Kind", "load"]


class Kind(StrEnum):
    """What an id is to be loaded as."""

    IMAGE = "image"
    VOLUME = "volume"


def _checked_target(path: Path | None) -> Path | None:
    """Refuse before anything is loaded what could not be saved after."""
    if path is not None and path.suffix.lower() not in _SAVERS:
        raise typer.BadParameter(f"{path.name} ends neither with .png nor with .npy")
    if path is not None and not path.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.absolute().parent}")
    return path


def load(
    source: Annotated[str, typer.Argument(metavar="ID", help="An id, a path, a URL.")],
    *,
    save: Annotated[
        Path | None,
        typer.Option(
            callback=_checked_target, help="Write what is shown to a .png, or the values to a .npy."
        ),
    ] = None,
    kind: Annotated[
        Kind | None,
        typer.Option("--as", help="What to load it as; default: as a volume if it holds several images."),
    ] = None,
    index: Annotated[
        int | None,
        typer.Option(min=0, help="Image of a volume that a .png shows, from 0; default: the middle one."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """Load an image or a volume and say what it is."""
    with Session() as session:
        started = time.perf_counter()
        as_volume = is_volume(session, source) if kind is None else kind is Kind.VOLUME
        loaded = session.load_volume(source) if as_volume else session.load_image(source)
        summary = _summary(loaded, time.perf_counter() - started)
        if save is not None:
            _SAVERS[save.suffix.lower()](save, loaded, index)
    if json:
        show_json(summary.as_dict())
        return
    show_facts(_facts(summary))
    if save is not None:
        console().print(f"saved {save}", soft_wrap=True)


def _summary(loaded: Image | Volume, seconds: float) -> Summary:
    if isinstance(loaded, Image):
        return Summary.of_image(loaded, seconds)
    return Summary.of_volume(loaded, seconds)


def _facts(summary: Summary) -> list[tuple[str, object]]:
    return [
        (summary.kind, summary.id),
        ("plugin", summary.plugin),
        ("shape", f"{summary.shape_text} ({', '.join(summary.axes)})"),
        ("dtype", summary.dtype),
        ("spacing", f"{summary.spacing_text} mm" if summary.spacing else "unknown"),
        ("units", summary.units or "unknown"),
        ("range", summary.range_text),
        ("time", f"{summary.milliseconds:.1f} ms"),
    ]


def _save_png(path: Path, loaded: Image | Volume, index: int | None) -> None:
    path.write_bytes(png_bytes(_shown(loaded, index).display()))


def _shown(loaded: Image | Volume, index: int | None) -> Image:
    if isinstance(loaded, Image):
        return loaded
    if index is None:
        return middle_image(loaded)
    if index >= len(loaded.quality):
        raise typer.BadParameter(
            f"--index {index}: the images are numbered from 0 to {len(loaded.quality) - 1}"
        )
    return loaded.image(index)


def _save_array(path: Path, loaded: Image | Volume, index: int | None) -> None:
    with path.open("wb") as file:
        np.save(file, np.asarray(loaded), allow_pickle=False)


_SAVERS = {".png": _save_png, ".npy": _save_array}
