"""A conversion without its library says what to install."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from core.tests.interop.builders import counting, volume_of
from loadstone import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadstone import Volume


@pytest.mark.parametrize(
    ("library", "extra", "convert"),
    [
        ("nibabel", "nibabel", lambda volume: volume.to_nibabel()),
        ("SimpleITK", "simpleitk", lambda volume: volume.to_simpleitk()),
        ("xarray", "xarray", lambda volume: volume.to_xarray()),
        ("PIL", "pillow", lambda volume: volume.image(0).to_pil()),
    ],
)
def test_a_missing_library_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, library: str, extra: str, convert: Callable[[Volume], Any]
) -> None:
    """Not a bare ImportError: what is missing, and the line that installs it."""
    volume = volume_of(counting((2, 3, 4)))
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)

    with pytest.raises(UnsupportedError, match=rf"{library}[^\[]*loadstone\[{extra}\]"):
        convert(volume)
