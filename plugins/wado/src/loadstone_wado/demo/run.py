"""The demo from beginning to end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from loadstone import Session
from loadstone.cli.output import console, say_error
from loadstone_wado.demo.loading import load_all
from loadstone_wado.demo.sheet import contact_sheet
from loadstone_wado.demo.stage import exhibition, loopback_without_proxy
from loadstone_wado.demo.table import show_outcomes

if TYPE_CHECKING:
    from pathlib import Path

    from loadstone_wado.demo.outcome import Outcome

__all__ = ["run_demo"]


def run_demo(output: Path) -> bool:
    """
    Load everything, print the table, write the contact sheet.

    Parameters
    ----------
    output
        Where to write the contact sheet, a PNG file.

    Returns
    -------
    bool
        Whether everything could be loaded; what could not is said on standard error.

    Raises
    ------
    LoadstoneError
        If a sample is missing.
    OSError
        If the contact sheet cannot be written.
    """
    started = time.perf_counter()
    outcomes = _outcomes()
    show_outcomes(outcomes)
    contact_sheet(outcomes).save(output, format="PNG")
    failures = [each.error for each in outcomes if each.error is not None]
    for error in failures:
        say_error(error)
    seconds = time.perf_counter() - started
    loaded = len(outcomes) - len(failures)
    out = console()
    out.print(f"\n{loaded} of {len(outcomes)} loaded in {seconds:.1f} s")
    out.print(f"contact sheet: {output.absolute()}", soft_wrap=True)
    return not failures


def _outcomes() -> list[Outcome]:
    with loopback_without_proxy(), exhibition() as exhibits, Session(proxy="") as session:
        return load_all(session, exhibits)
