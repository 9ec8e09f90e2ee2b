"""The records of plugins, checked, with who made them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from loadstone._plugins.index import scheme_fault
from loadstone.errors import PluginContractError
from loadstone.hookspecs import API_VERSION, ImageLoader, VolumeLoader
from loadstone.image import LoaderInfo

if TYPE_CHECKING:
    from collections.abc import Iterator


__all__ = [
    "ImageRegistration",
    "Registration",
    "VolumeRegistration",
    "api_mismatch",
    "faults",
    "registration_of",
]

R = TypeVar("R", bound="ImageLoader | VolumeLoader")


_FUNCTIONS = {ImageLoader: ("load", ("load_many", "metadata", "canonical")), VolumeLoader: ("open", ())}
"""The required and the optional functions of a record."""


@dataclass(frozen=True, slots=True)
class Registration(Generic[R]):
    """A loader that is ready for use."""

    record: R
    """What the plugin gave."""
    info: LoaderInfo
    """Who made it: goes into every image and volume."""


ImageRegistration: TypeAlias = Registration[ImageLoader]
VolumeRegistration: TypeAlias = Registration[VolumeLoader]


def api_mismatch(record: ImageLoader | VolumeLoader) -> str:
    """Say for which other plugin API a record is built; empty if for this one."""
    if record.api == API_VERSION:
        return ""
    return f"built for plugin API {record.api}, this loadstone supports {API_VERSION}"


def faults(record: ImageLoader | VolumeLoader) -> Iterator[str]:
    """Yield what is wrong with a record's fields."""
    if fault := scheme_fault(record.scheme):
        yield fault
    required, optional = _FUNCTIONS[type(record)]
    for name in (required, *optional):
        value = getattr(record, name)
        if not callable(value) and (name == required or value is not None):
            yield f"{name} is {value!r}, which cannot be called"
    if isinstance(record, ImageLoader) and not _is_batch_size(record.batch_size):
        yield f"batch_size is {record.batch_size!r}, which is neither None nor at least 1"


def _is_batch_size(value: object) -> bool:
    return value is None or (isinstance(value, int) and value >= 1)


def registration_of(record: R, function: object) -> Registration[R]:
    """
    Check a record that the program made itself, and say that `function` of the program loads.

    Raises
    ------
    PluginContractError
        If a field is not what it has to be.
    """
    for fault in (api_mismatch(record), *faults(record)):
        if fault:
            raise PluginContractError(fault, source=f"registration for {record.scheme!r}")
    made = function if hasattr(function, "__qualname__") else type(function)
    info = LoaderInfo(f"{made.__module__}:{getattr(made, '__qualname__', '')}")
    return Registration(replace(record, scheme=record.scheme.lower()), info)
