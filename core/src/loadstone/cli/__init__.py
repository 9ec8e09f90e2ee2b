"""The command ``loadstone`` (extra ``cli``); plugins add to it through the group ``loadstone.commands``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the command line.

    Parameters
    ----------
    arguments
        What follows the name of the program; default: that of this process.

    Returns
    -------
    int
        0 if it went well, 1 if something could not be loaded, 2 if it was called wrongly or the extra is
        missing.
    """
    try:
        import rich
        import typer
    except ImportError as error:
        message = f'loadstone: the command line needs {error.name}: pip install "loadstone[cli]"'
        sys.stderr.write(f"{message}\n")
        return 2
    del rich, typer
    from loadstone.cli.application import run

    return run(arguments)
