"""
The contracts between Loadstone and its plugins, as tests.

Derive from one, override its fixtures, and let pytest collect the class:

>>> class TestAcme(ImageLoaderContract):  # doctest: +SKIP
...     @pytest.fixture
...     def image_id(self) -> str:
...         return "acme:/data/1.acme"
"""

from __future__ import annotations

from loadstone.testing.contracts.images import ImageLoaderContract
from loadstone.testing.contracts.packages import PluginPackageContract
from loadstone.testing.contracts.volumes import VolumeLoaderContract

__all__ = ["ImageLoaderContract", "PluginPackageContract", "VolumeLoaderContract"]
