"""The reference and the public names."""

from __future__ import annotations

import importlib
import re
from types import FunctionType
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import DOCS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

PUBLIC = [
    "loadstone",
    "loadstone.errors",
    "loadstone.events",
    "loadstone.geometry",
    "loadstone.hookspecs",
    "loadstone.ids",
    "loadstone.image",
    "loadstone.metadata",
    "loadstone.pixels",
    "loadstone.retrieve",
    "loadstone.settings",
    "loadstone.testing",
    "loadstone.transport",
    "loadstone_wado",
    "loadstone_wado.server",
]
DIRECTIVE = re.compile(
    r"^\.\. (currentmodule|automodule|auto\w+):: (\S+)(?:\n +:members: (\S.*))?", re.MULTILINE
)


def documented() -> set[int]:
    """Return the identities of all objects that the pages of the reference name."""
    return {
        id(each) for page in (DOCS / "reference").glob("*.rst") for each in _named(page.read_text("utf-8"))
    }


def _named(text: str) -> Iterator[object]:
    module: ModuleType = importlib.import_module("loadstone")
    for directive, name, members in DIRECTIVE.findall(text):
        if directive == "currentmodule":
            module = importlib.import_module(name)
        elif directive == "automodule":
            listed = importlib.import_module(name)
            names = members.split(", ") if members else listed.__all__
            yield from (getattr(listed, each) for each in names)
        else:
            home, _, attribute = name.rpartition(".")
            yield getattr(importlib.import_module(home) if home else module, attribute)


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_in_the_reference(module: str) -> None:
    """A name without a place in the reference is one that nobody finds."""
    known = documented()
    public = importlib.import_module(module)

    missing = [name for name in public.__all__ if id(getattr(public, name)) not in known]

    assert missing == []


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_says_what_it_is(module: str) -> None:
    """Classes and functions have docstrings of their own."""
    public = importlib.import_module(module)
    things = {name: getattr(public, name) for name in public.__all__}

    # A class would inherit the docstring of its base, which says what the base is.
    silent = [
        name
        for name, thing in things.items()
        if (isinstance(thing, type) and not vars(thing).get("__doc__"))
        or (isinstance(thing, FunctionType) and not thing.__doc__)
    ]

    assert silent == []
