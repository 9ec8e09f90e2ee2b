"""What a caller may ask for beside the id that changes pixels, and so belongs to the key of a load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from loadstone.errors import LoadstoneError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable

__all__ = ["LoadOptions"]


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """The options of one load that change its pixels; hashable."""

    scaled: bool = True
    """Whether the caller wants modality values and RGB; False: the stored values."""
    dtype: np.dtype[Any] | None = None
    """dtype that the caller wants in place of the one that follows from the headers."""
    values: str | None = None
    """A kind of values that the plugin knows, such as ``suvbw``; None: modality values."""
    extra: tuple[tuple[str, Hashable], ...] = ()
    """Further options for the plugin, sorted by name."""

    @classmethod
    def of(
        cls,
        *,
        scaled: bool = True,
        dtype: npt.DTypeLike | None = None,
        values: str | None = None,
        extra: Mapping[str, Hashable] | None = None,
    ) -> LoadOptions:
        """
        Return the options of a call.

        Raises
        ------
        LoadstoneError
            If `dtype` is no number type, or the options contradict each other.
        """
        if scaled and dtype is None and values is None and not extra:
            return _DEFAULT
        if not scaled and values is not None:
            raise LoadstoneError(f"values={values!r} needs scaled=True")
        if not isinstance(extra, Mapping | None):
            raise LoadstoneError(f"options={extra!r} is no mapping of names to values")
        wanted = None if dtype is None else _number_type(dtype)
        options = cls(scaled, wanted, values, tuple(sorted((extra or {}).items())))
        try:
            hash(options)
        except TypeError as error:
            raise LoadstoneError(f"an option is not hashable: {options.extra}") from error
        return options

    def refuse_unknown(self, values: Collection[str], options: Collection[str], source: str) -> None:
        """
        Refuse what a loader does not understand: ignored, a misspelt option would give other pixels.

        Raises
        ------
        UnsupportedError
            If it is not among `values` and `options`.
        """
        if self.values is not None and self.values not in values:
            known = ", ".join(sorted(values)) or "none beside the modality values"
            raise UnsupportedError(
                f"values={self.values!r} is nothing that its loader gives",
                source=source,
                hint=f"It gives {known}.",
            )
        for name, _ in self.extra:
            if name not in options:
                known = ", ".join(sorted(options)) or "none"
                raise UnsupportedError(
                    f"its loader knows no option {name!r}", source=source, hint=f"It knows {known}."
                )

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - the plugin knows the type of its option
        """Return one of the `extra` options."""
        return dict(self.extra).get(name, default)


_DEFAULT = LoadOptions()


def _number_type(dtype: npt.DTypeLike) -> np.dtype[Any]:
    try:
        wanted = np.dtype(dtype)
    except TypeError as error:
        raise LoadstoneError(f"dtype={dtype!r} is no dtype") from error
    if wanted.kind not in "iuf":
        raise LoadstoneError(f"dtype={wanted} is no integer or float type")
    return wanted.newbyteorder("=")
