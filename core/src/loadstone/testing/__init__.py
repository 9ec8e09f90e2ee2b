"""
What authors of plugins need to test them (extra ``testing``).

The contracts are classes of tests: derive from one, override its fixtures, and pytest runs its checks on your
loader. `PluginSandbox` makes distributions look installed, `WireTap` watches a server and its clients, and
`loadstone.testing.faults` has a server that misbehaves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadstone.testing.sandbox import PluginSandbox
from loadstone.testing.wire_tap import WireTap

if TYPE_CHECKING:
    from loadstone.testing.contracts import ImageLoaderContract, PluginPackageContract, VolumeLoaderContract

__all__ = [
    "ImageLoaderContract",
    "PluginPackageContract",
    "PluginSandbox",
    "VolumeLoaderContract",
    "WireTap",
]


def __dir__() -> list[str]:
    """Name what there is."""
    return __all__


def __getattr__(name: str) -> object:
    """Import the contracts when they are asked for: only they need pytest."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from loadstone.testing import contracts

    return getattr(contracts, name)
