"""
What the headers of files in one place have in common, so that it is walked once and not in each of them.

Most elements of the files of a series are the same, byte for byte. Where the walk comes to an element with
which such a run of them begins, one comparison of bytes tells whether all of them are there again: equal
bytes from the start of an element on are equal elements, whatever they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from loadstone_wado.walk import Run, walk, whole_elements

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadstone_wado.walk import Found, Runs

__all__ = ["Likeness"]

_LEAST: Final = 3
"""Elements that a run has: fewer are walked as quickly as they are compared."""
_POOR: Final = 0.75
"""Share of the known runs below which a header is so unlike the last ones that it is learnt from."""
_PATIENCE: Final = 8
"""Headers between two that are learnt from, so that files that have nothing in common cost little more."""


class Likeness:
    """
    The runs of elements that the last headers had in common.

    It may be used by several threads: what they learn replaces what was known, and all of it is true.
    """

    __slots__ = ("_bytes", "_last", "_patience", "_runs")

    def __init__(self) -> None:
        self._runs: dict[bool, Runs] = {}
        self._bytes = 0
        self._last: dict[int, bytes] = {}
        self._patience = 0

    def runs(self, *, implicit: bool) -> Runs:
        """Return the runs, by the key of their first element."""
        return self._runs.get(implicit, {})

    def note(self, data: bytes, position: int, covered: int, *, implicit: bool) -> None:
        """
        Look at how well a header was known, and learn from it if it was not.

        Parameters
        ----------
        data
            The header, or the beginning of it.
        position
            Where its first element starts.
        covered
            How many bytes of it were known runs.
        implicit
            Whether elements are in implicit VR.
        """
        self._patience -= 1
        if self._patience > 0 or (self._bytes and covered >= _POOR * self._bytes):
            return
        elements = {
            key: data[start:stop] for key, start, stop in whole_elements(data, position, implicit=implicit)
        }
        runs = dict(_common_runs(elements, self._last, implicit=implicit))
        # After the first header there is nothing to compare with: the next one shows what stays.
        self._patience = _PATIENCE if self._last else 0
        self._last = elements
        self._bytes = sum(len(each.data) for each in runs.values())
        self._runs = {implicit: runs}


def _common_runs(
    elements: dict[int, bytes], last: dict[int, bytes], *, implicit: bool
) -> Iterator[tuple[int, Run]]:
    """Yield the runs of elements that are the same in both headers, by the key of the first."""
    run: list[int] = []
    for key, data in [*elements.items(), (0, b"")]:
        if data and last.get(key) == data:
            run.append(key)
            continue
        if len(run) >= _LEAST:
            together = b"".join([elements[each] for each in run])
            found: Found = {}
            walk(together, 0, found, implicit=implicit)
            yield run[0], Run(together, found)
        run = []
