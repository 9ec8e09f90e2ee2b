from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from loadstone.errors import LoadstoneError
from loadstone.metadata import ImagePlane
from loadstone.options import LoadOptions
from loadstone_web.asked import Asked
from plugins.web.tests.builders import by_pillow, header_of, photo

if TYPE_CHECKING:
    from collections.abc import Hashable


def asked(**extra: Hashable) -> Asked:
    return Asked.of(LoadOptions.of(extra=extra))


def test_nothing_asked_is_the_default() -> None:
    """Upright, PNG and JPEG only, no spacing."""
    assert asked() == Asked(upright=True, formats=frozenset(), spacing=None, print_spacing=False)


@pytest.mark.parametrize("formats", ["GIF", "gif", ("GIF",), frozenset({"Gif"})])
def test_formats_are_named_one_or_several(formats: Hashable) -> None:
    """A name, or several, in any spelling."""
    assert asked(formats=formats).formats == {"GIF"}


@pytest.mark.parametrize(
    "extra",
    [
        {"formats": "EPS"},
        {"formats": 7},
        {"formats": (7,)},
        {"orientation": "upright"},
        {"spacing": "dpi"},
        {"spacing": 1.0},
        {"spacing": (1.0,)},
        {"spacing": (1.0, 1.0, 1.0, 1.0)},
        {"spacing": (1.0, 0.0)},
        {"spacing": (1.0, float("nan"))},
        {"spacing": (1.0, float("inf"))},
        {"spacing": ("a", 1.0)},
    ],
)
def test_what_makes_no_sense_is_refused(extra: dict[str, Any]) -> None:
    """A value that an option does not have is an error that names the option."""
    with pytest.raises(LoadstoneError, match=next(iter(extra))):
        asked(**extra)


def test_spacing_is_known_only_when_it_is_asked_for() -> None:
    """The caller's spacing, the density in the file, or nothing."""
    header = header_of(by_pillow(photo(), "JPEG", dpi=(508, 127)))

    assert asked().plane(header) == ImagePlane()
    assert asked(spacing="print").plane(header) == ImagePlane((25.4 / 127, 25.4 / 508))
    assert asked(spacing=(3, 2)).plane(header) == ImagePlane((3.0, 2.0))
    assert asked(spacing=(4, 3, 2)).plane(header) == ImagePlane((3.0, 2.0), spacing_between_slices=4.0)
