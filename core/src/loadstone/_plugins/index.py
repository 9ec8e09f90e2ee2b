"""What is installed, read from entry points alone: no plugin code is imported."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, MetadataPathFinder, distributions
from typing import TYPE_CHECKING, Final, Self

from loadstone._plugins.policy import normalised
from loadstone.ids import scheme_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = [
    "COMMANDS",
    "CORE_SCHEMES",
    "IMAGES",
    "PLUGINS",
    "SUFFIXES",
    "VOLUMES",
    "Candidate",
    "PluginIndex",
    "forget_folders",
    "scheme_fault",
]

IMAGES: Final = "loadstone.image_loaders"
VOLUMES: Final = "loadstone.volume_loaders"
SUFFIXES: Final = "loadstone.suffixes"
PLUGINS: Final = "loadstone.plugins"
COMMANDS: Final = "loadstone.commands"
_GROUPS: Final = (IMAGES, VOLUMES, SUFFIXES, PLUGINS, COMMANDS)

CORE_SCHEMES: Final = frozenset({"file", "http", "https"})
"""Schemes that the core resolves by suffix; no plugin can claim them."""

PluginKey = tuple[str, str]
"""Distribution and entry-point value: two schemes of one distribution that name one object are one plugin."""


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """One entry point: a claim of an installed distribution."""

    group: str
    """Entry-point group."""
    name: str
    """Scheme, suffix, or name of a plugin or command; schemes and suffixes in lower case."""
    value: str
    """What is imported; for a suffix the scheme."""
    distribution: str
    """Normalised name of the distribution."""
    version: str
    """Version of the distribution."""
    fault: str = ""
    """Why the claim can never be honoured; empty if it is well formed."""

    @property
    def key(self) -> PluginKey:
        """Names the plugin."""
        return self.distribution, self.value

    @property
    def claimant(self) -> str:
        """Distribution and version, for messages."""
        return f"{self.distribution} {self.version}".rstrip()

    def load(self) -> object:
        """Import what the entry point names."""
        return EntryPoint(self.name, self.value, self.group).load()


class PluginIndex:
    """
    The claims of all installed distributions.

    Parameters
    ----------
    candidates
        The claims; those that occur twice count once. Without any, nothing is installed.
    """

    def __init__(self, candidates: Iterable[Candidate] = ()) -> None:
        self.candidates: tuple[Candidate, ...] = tuple(sorted(set(candidates)))
        self._claims: dict[tuple[str, str], list[Candidate]] = {}
        self._declared: dict[PluginKey, dict[str, set[str]]] = {}
        for candidate in self.candidates:
            if not candidate.fault:
                self._claims.setdefault((candidate.group, candidate.name), []).append(candidate)
                groups = self._declared.setdefault(candidate.key, {})
                groups.setdefault(candidate.group, set()).add(candidate.name)

    @classmethod
    def scan(cls, path: Sequence[str] | None = None) -> Self:
        """
        Read the entry points of everything that is installed.

        What cannot be read or understood is left out or recorded as faulty; a scan never fails because of it.

        Parameters
        ----------
        path
            Folders to look in, in place of `sys.path`.
        """
        return cls(
            candidate
            for distribution in _plugin_distributions(path)
            for candidate in _candidates_of(distribution)
        )

    def claims(self, group: str, name: str) -> tuple[Candidate, ...]:
        """Return the well-formed claims of a name."""
        return tuple(self._claims.get((group, name), ()))

    def names(self, group: str) -> tuple[str, ...]:
        """Return the names that are claimed in a group, sorted."""
        return tuple(sorted(name for claimed, name in self._claims if claimed == group))

    def declared(self, key: PluginKey, group: str) -> frozenset[str]:
        """Return the names under which a plugin is declared in a group."""
        return frozenset(self._declared.get(key, {}).get(group, ()))


def forget_folders() -> None:
    """
    Forget what Python remembers of the folders on the path, so that what was just installed is found.

    Before Python 3.12 `importlib.invalidate_caches` leaves distributions out.
    """
    importlib.invalidate_caches()
    MetadataPathFinder().invalidate_caches()


def _plugin_distributions(path: Sequence[str] | None) -> Iterator[Distribution]:
    """
    Yield each distribution that declares something for Loadstone, once.

    Of several copies (an editable install leaves two, a user site shadows a system one) the first on the path
    counts, as it does for `importlib.metadata.version`.
    """
    where = list(sys.path if path is None else path)
    found = {_name(each): each for each in distributions(path=where) if _declares(each)}
    for name, one in found.items():
        if name:
            copies = distributions(name=name, path=where)
            yield next((each for each in copies if _name(each) == name), one)


def _declares(distribution: Distribution) -> bool:
    """Look for our groups in the text: parsing the metadata of every distribution costs ten times as much."""
    try:
        text = distribution.read_text("entry_points.txt")
    except (OSError, ValueError):  # unreadable or not UTF-8: not ours to report
        return False
    return text is not None and "loadstone." in text


def _name(distribution: Distribution) -> str:
    """Return the normalised name; empty for what an uninstalled distribution left behind: no metadata."""
    try:
        name: str | None = distribution.metadata["Name"]
    except Exception:  # noqa: BLE001 - what a missing METADATA raises differs between Python versions
        return ""
    return normalised(name) if name else ""


def _candidates_of(distribution: Distribution) -> Iterator[Candidate]:
    name = _name(distribution)
    version = distribution.metadata["Version"] or ""
    try:
        entry_points = tuple(distribution.entry_points)
    except Exception as error:  # noqa: BLE001 - so does what a malformed line raises
        yield Candidate(PLUGINS, "", "", name, version, f"entry_points.txt cannot be read: {error}")
        return
    for each in entry_points:
        if each.group in _GROUPS:
            claimed = each.name if each.group in (PLUGINS, COMMANDS) else each.name.lower()
            yield Candidate(each.group, claimed, each.value, name, version, _fault(each))


def _fault(entry_point: EntryPoint) -> str:
    if entry_point.group in (IMAGES, VOLUMES):
        return scheme_fault(entry_point.name) or _value_fault(entry_point)
    if entry_point.group == SUFFIXES:
        return _suffix_fault(entry_point.name) or scheme_fault(entry_point.value)
    return _value_fault(entry_point)


def scheme_fault(scheme: object) -> str:
    """Say why something cannot be the scheme of a loader; empty if it can."""
    if not isinstance(scheme, str) or scheme_of(f"{scheme}:") != scheme.lower():
        return f"{scheme!r} is no scheme: a letter, then 1 to 62 letters, digits, '.' or '-'"
    if scheme.lower() in CORE_SCHEMES:
        return f"the scheme {scheme!r} belongs to the core, which resolves it by suffix"
    return ""


def _suffix_fault(suffix: str) -> str:
    bare = suffix.lower().removeprefix("url")
    if suffix in ("folder", "no-suffix") or (
        bare.startswith(".") and bare[1:] and not set(bare) & set("/\\:?#% ")
    ):
        return ""
    return f"{suffix!r} is no suffix: '.nii.gz', 'url.dcm', 'folder' or 'no-suffix'"


def _value_fault(entry_point: EntryPoint) -> str:
    if entry_point.pattern.match(entry_point.value):
        return ""
    return f"{entry_point.value!r} is not of the form package.module or package.module:object"
