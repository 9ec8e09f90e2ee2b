"""The contract of packages with plugins."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, ClassVar

import pytest

from loadstone._plugins.index import SUFFIXES, Candidate, PluginIndex
from loadstone._plugins.policy import normalised
from loadstone._plugins.trial import try_plugin
from loadstone.testing.contracts.loaders import override

if TYPE_CHECKING:
    from loadstone._plugins.trial import Trial

__all__ = ["PluginPackageContract"]

_TRIALS = pytest.StashKey[dict[str, "Trial"]]()


class PluginPackageContract:
    """
    What every installed package with plugins must do; derive a class ``Test…`` and override `distribution`.

    Examples
    --------
    >>> class TestPackage(PluginPackageContract):
    ...     @pytest.fixture
    ...     def distribution(self):
    ...         return "loadstone-acme"
    """

    heavy: ClassVar[frozenset[str]] = frozenset(
        {
            *("asyncio", "urllib3", "requests", "httpx", "aiohttp"),
            *("PIL", "cv2", "imagecodecs", "imageio", "skimage", "scipy", "SimpleITK", "itk", "vtk"),
            *("pydicom", "nibabel", "dicomweb_client", "h5py", "zarr", "dask", "xarray", "pandas"),
            *("matplotlib", "torch", "tensorflow", "jax", "numba"),
        }
    )
    """Packages that importing the plugin may not import: everybody pays for them, whatever they load."""

    @pytest.fixture
    def distribution(self) -> str:
        """Override: the name of the installed distribution."""
        override("distribution", "the name of the installed distribution")

    @pytest.fixture
    def plugins(self, distribution: str) -> list[Candidate]:
        """Return one claim of each plugin of the distribution, or skip."""
        found = {each.value: each for each in _claims(distribution) if each.group != SUFFIXES}
        if not found:
            pytest.skip(f"{distribution} declares no plugins, see test_it_declares_plugins")
        return list(found.values())

    @pytest.fixture
    def trials(self, plugins: list[Candidate], request: pytest.FixtureRequest) -> dict[str, Trial]:
        """Return what came of trying each plugin in a process of its own, once for all checks."""
        kept = request.node.parent.stash
        if _TRIALS not in kept:
            kept[_TRIALS] = {each.value: try_plugin(each) for each in plugins}
        found: dict[str, Trial] = kept[_TRIALS]
        return found

    def test_it_declares_plugins(self, distribution: str) -> None:
        """The distribution is installed, and its entry points are well-formed ones of Loadstone."""
        try:
            version(distribution)
        except PackageNotFoundError as error:
            raise AssertionError(f"{distribution} is not installed") from error
        claims = _claims(distribution)

        assert claims, f"{distribution} has no entry points in a group of Loadstone; install it again?"
        assert [each.fault for each in claims if each.fault] == []

    def test_entry_points_equal_records(self, trials: dict[str, Trial]) -> None:
        """Each plugin imports, and has a record for each scheme that its entry points name, and no other."""
        assert {value: trial.fault for value, trial in trials.items() if trial.fault} == {}

    def test_it_imports_nothing_heavy(self, trials: dict[str, Trial]) -> None:
        """Importing the plugin imports none of the `heavy` packages: those wait for the first load."""
        assert sorted(_packages(trials) & self.heavy) == []

    def test_it_imports_no_other_plugin(self, trials: dict[str, Trial], distribution: str) -> None:
        """The plugin works without the plugins of other distributions."""
        own = {_package(each) for each in _claims(distribution)}
        others = {
            _package(each)
            for each in PluginIndex.scan().candidates
            if each.distribution != normalised(distribution) and each.group != SUFFIXES
        }

        assert sorted(_packages(trials) & (others - own)) == []


def _claims(distribution: str) -> list[Candidate]:
    name = normalised(distribution)
    return [each for each in PluginIndex.scan().candidates if each.distribution == name]


def _package(candidate: Candidate) -> str:
    return candidate.value.partition(":")[0].partition(".")[0]


def _packages(trials: dict[str, Trial]) -> set[str]:
    return {module.partition(".")[0] for trial in trials.values() for module in trial.modules}
