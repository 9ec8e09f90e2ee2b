"""
Runs in a fresh environment: answers each line of its input, an expression, with a line of JSON.

It is no test module and imports nothing of the workspace: here `loadstone` is what was installed.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import loadstone

if TYPE_CHECKING:
    from collections.abc import Callable


def schemes() -> list[str]:
    """Name the schemes of images that installed plugins claim and may be used for."""
    return sorted(
        plugin.name
        for plugin in loadstone.plugins()
        if plugin.group == "loadstone.image_loaders" and plugin.state != "disabled"
    )


def failure(function: str, *arguments: Any) -> list[str] | None:
    """Call a function of Loadstone; return the class and the message of its error, None if it has none."""
    try:
        call(function, *arguments)
    except loadstone.LoadstoneError as error:
        return [type(error).__name__, str(error)]
    except ExceptionGroup as group:
        return [type(group.exceptions[0]).__name__, str(group.exceptions[0])]
    return None


def pixel(image_id: str) -> int:
    """Load an image, not from the cache, and return its first pixel."""
    return int(loadstone.load_image(image_id, cache=False).pixels[0, 0])


def save(function: str, source: str, path: str) -> list[str]:
    """Load something, save its array, and return who made it."""
    import numpy as np

    loaded = call(function, source)
    np.save(path, loaded)
    return [loaded.loader.distribution, loaded.loader.version]


def call(function: str, *arguments: Any) -> Any:
    """Call a function of Loadstone by its name."""
    function_of_loadstone: Callable[..., Any] = getattr(loadstone, function)
    return function_of_loadstone(*arguments)


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(eval(line)), flush=True)  # noqa: T201 - its answer
