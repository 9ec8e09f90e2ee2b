"""Loading one exhibit after the other, volumes with a bar that fills image by image."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from loadstone import LoadstoneError
from loadstone.cli.output import console
from loadstone.cli.summary import Summary, middle_image
from loadstone_wado.demo.outcome import Outcome
from loadstone_wado.demo.progressive import load_by_stages

if TYPE_CHECKING:
    from collections.abc import Iterable

    import loadstone
    from loadstone import Session
    from loadstone_wado.demo.exhibits import Exhibit

__all__ = ["load_all"]


def load_all(session: Session, exhibits: Iterable[Exhibit]) -> list[Outcome]:
    """Load everything; a failure is an outcome and does not stop the rest."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console(), refresh_per_second=30) as bars:
        return [outcome for exhibit in exhibits for outcome in _tried(session, exhibit, bars)]


def _tried(session: Session, exhibit: Exhibit, bars: Progress) -> list[Outcome]:
    try:
        if exhibit.by_stages:
            return load_by_stages(session, exhibit)
        load = _load_volume if exhibit.is_volume else _load_image
        return [load(session, exhibit, bars)]
    except LoadstoneError as error:
        return [Outcome(exhibit, error=error)]


def _load_image(session: Session, exhibit: Exhibit, bars: Progress) -> Outcome:
    started = time.perf_counter()
    image = session.load_image(exhibit.id)
    seconds = time.perf_counter() - started
    return Outcome(exhibit, Summary.of_image(image, seconds), image)


def _load_volume(session: Session, exhibit: Exhibit, bars: Progress) -> Outcome:
    bar = bars.add_task(f"{exhibit.route}: {exhibit.what}", total=None)

    def fill(progress: loadstone.Progress) -> None:
        bars.update(bar, completed=progress.done, total=progress.total)

    started = time.perf_counter()
    volume = session.load_volume(exhibit.id, progress=fill)
    seconds = time.perf_counter() - started
    return Outcome(exhibit, Summary.of_volume(volume, seconds), middle_image(volume))
