"""
The ids of the plugin.

``nifti:<path or URL>`` is the volume. ``nifti:<path or URL>?frame=k`` is the slice k, **from 0**, along the
third axis of the file; ``&time=t`` chooses along the fourth axis, ``&vector=v``, ``&u=u`` and ``&w=w`` along
the fifth to the seventh. What is left out is 0, but ``frame`` may only be left out where there is one slice.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from loadstone.errors import InvalidIdError
from loadstone_nifti.pairs import name_of_pair

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from loadstone.ids import LoadId

__all__ = ["SELECTIONS", "canonical", "locator_of", "slice_ids", "slice_index"]

SELECTIONS: Final = ("frame", "time", "vector", "u", "w")
"""Names of the selections along the third axis, the fourth, …"""


def locator_of(load_id: LoadId) -> tuple[str, Mapping[str, str]]:
    """Return the path or URL of an id, literally, and its selections."""
    return load_id.selections(*SELECTIONS)


def canonical(load_id: LoadId) -> str:
    """
    Name a slice in one way: by the header of its pair, its selections in their order and without zeros.

    A frame that is left out stays so: where a file has several, that is an error.

    Raises
    ------
    InvalidIdError
        If a selection is no number.

    Examples
    --------
    >>> from loadstone import ImageId
    >>> canonical(ImageId("nifti:/data/bold.img?time=0&frame=3"))
    '/data/bold.hdr frame=3'
    """
    locator, chosen = locator_of(load_id)
    numbers = [(name, load_id.number(name, chosen[name], least=0)) for name in SELECTIONS if name in chosen]
    named = [f"{name}={number}" for name, number in numbers if number or name == "frame"]
    return " ".join((name_of_pair(locator), *named))


def slice_index(load_id: LoadId, dims: tuple[int, ...]) -> tuple[int, int]:
    """
    Return which slice of a file an id names.

    Parameters
    ----------
    load_id
        With its selections.
    dims
        Sizes of i, j, k, …

    Returns
    -------
    index : int
        Of the slice among all slices of the file, in their order.
    k : int
        Its index along the third axis.

    Raises
    ------
    InvalidIdError
        If a selection is missing, or names what the file does not have.
    """
    _, chosen = locator_of(load_id)
    if "frame" not in chosen and dims[2] > 1:
        raise InvalidIdError(
            f"the file has {dims[2]} slices, and the id does not say which",
            source=str(load_id),
            hint=f"Append ?frame=0 to ?frame={dims[2] - 1}, or load it as a volume.",
        )
    index, stride, k = 0, 1, 0
    for name, size in itertools.zip_longest(SELECTIONS, dims[2:], fillvalue=1):
        number = load_id.number(str(name), chosen.get(str(name), "0"), least=0)
        if number >= size:
            raise InvalidIdError(
                f"{name}={number} is beyond the file, where {name} goes from 0 to {size - 1}",
                source=str(load_id),
                hint="Numbers begin at 0.",
            )
        index += number * stride
        stride *= size
        k = number if name == "frame" else k
    return index, k


def slice_ids(locator: str, dims: tuple[int, ...]) -> Iterator[str]:
    """
    Yield the id of every slice of a file, in their order.

    Examples
    --------
    >>> list(slice_ids("/data/fmri.nii.gz", (64, 64, 1, 2)))
    ['nifti:/data/fmri.nii.gz?frame=0&time=0', 'nifti:/data/fmri.nii.gz?frame=0&time=1']
    """
    first = "&" if "?" in locator else "?"
    names = SELECTIONS[: len(dims) - 2]
    for numbers in itertools.product(*(range(size) for size in reversed(dims[2:]))):
        chosen = "&".join(f"{name}={number}" for name, number in zip(names, reversed(numbers), strict=True))
        yield f"nifti:{locator}{first}{chosen}"
