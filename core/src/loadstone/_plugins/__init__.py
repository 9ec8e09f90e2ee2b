"""
Which plugins are installed, which of them serves a scheme, and when it is imported.

`index` reads entry points without importing anything, `policy` and `precedence` choose between the claims,
`activation` imports and checks one plugin, `installed` keeps what one look at the environment found,
`run_time` what the program registered itself, and `registry` is the door to all of it.
"""

from __future__ import annotations

from loadstone._plugins.index import Candidate, PluginIndex
from loadstone._plugins.listing import PluginInfo
from loadstone._plugins.policy import PluginPolicy
from loadstone._plugins.records import ImageRegistration, Registration, VolumeRegistration
from loadstone._plugins.registry import Registry, default_registry
from loadstone._plugins.run_time import RegistrationHandle

__all__ = [
    "Candidate",
    "ImageRegistration",
    "PluginIndex",
    "PluginInfo",
    "PluginPolicy",
    "Registration",
    "RegistrationHandle",
    "Registry",
    "VolumeRegistration",
    "default_registry",
]
