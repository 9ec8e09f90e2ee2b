"""Showing progress to a person: a bar of tqdm where it is installed, else plain text."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loadstone.load_object import Progress

__all__ = ["progress_callback"]


@contextmanager
def progress_callback(
    wish: Callable[[Progress], object] | bool,  # noqa: FBT001 - what the caller gave as `progress=`
    title: str,
) -> Iterator[Callable[[Progress], object]]:
    """Give the function to call with each progress: the caller's own, or one that draws on standard error."""
    if callable(wish):
        yield wish
        return
    try:
        from tqdm.auto import tqdm
    except ImportError:
        yield _plain(title)
        sys.stderr.write("\n")
        return
    with tqdm(desc=title[-40:], unit="image") as bar:

        def draw(progress: Progress) -> None:
            bar.total = progress.total
            bar.update(progress.done - bar.n)

        yield draw


def _plain(title: str) -> Callable[[Progress], object]:
    def draw(progress: Progress) -> None:
        sys.stderr.write(f"\r{title[-40:]} {progress.done}/{progress.total}")
        sys.stderr.flush()

    return draw
