"""What authors of plugins need to test them."""

from __future__ import annotations

from loadstone.testing.sandbox import PluginSandbox

__all__ = ["PluginSandbox"]
