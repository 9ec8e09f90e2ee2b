"""``loadstone new-plugin``: write a package with a loader that works, and its tests."""

from __future__ import annotations

from loadstone.cli.new_plugin.command import new_plugin

__all__ = ["new_plugin"]
