"""What holds for the repository as a whole."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PLUGINS = ["nifti", "wado", "web"]
FOLDERS = {"loadstone": ROOT / "core"} | {f"loadstone_{name}": ROOT / "plugins" / name for name in PLUGINS}
# In pieces, so that this file names none of them either.
REGISTRY_HOSTS = [
    ".".join(labels).encode()
    for labels in (
        ("pypi", "org"),
        ("pypi", "python", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("crates", "io"),
        ("anaconda", "org"),
    )
]
LOCK_FILES = {"uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "package-lock.json", "yarn.lock"}


def repository_files() -> list[Path]:
    """List what git tracks or would track: a new file is looked at before its commit."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [path for name in listing.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def pyproject(folder: Path) -> dict[str, Any]:
    """Read a pyproject.toml."""
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


def requirements(folder: Path) -> list[Requirement]:
    """List everything a package or the workspace asks for, extras and groups included."""
    content = pyproject(folder)
    lists = [
        content["project"]["dependencies"],
        *content["project"].get("optional-dependencies", {}).values(),
        *content.get("dependency-groups", {}).values(),
    ]
    return [Requirement(text) for texts in lists for text in texts]


def own_distributions() -> set[str]:
    """Name what this repository itself distributes."""
    return {pyproject(folder)["project"]["name"] for folder in FOLDERS.values()}


def constraints() -> list[str]:
    """Read the lines of constraints.txt."""
    return (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()


def test_no_file_names_a_registry_host() -> None:
    """Where packages come from is the user's configuration, never the repository's."""
    naming = [
        f"{path.relative_to(ROOT)}: {host.decode()}"
        for path in repository_files()
        for content in [path.read_bytes()]
        for host in REGISTRY_HOSTS
        if host in content
    ]

    assert naming == []


def test_no_lock_file_is_tracked() -> None:
    """Lock files record download addresses; constraints.txt pins without any."""
    tracked = [path for path in repository_files() if path.name in LOCK_FILES or path.match("pylock*.toml")]

    assert tracked == []


def test_constraints_are_exact_versions() -> None:
    """constraints.txt holds `name==version` and nothing else: no address, no path, no option."""
    lines = constraints()

    assert lines
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line)] == []


@pytest.mark.parametrize("folder", [ROOT, *FOLDERS.values()], ids=["workspace", *FOLDERS])
def test_constraints_pin_what_is_asked_for(folder: Path) -> None:
    """A dependency without a pin would be tested with whatever is newest that day: `make constraints`."""
    pins = dict(line.split("==") for line in constraints())
    own = own_distributions()

    unmet = [
        str(requirement)
        for requirement in requirements(folder)
        if requirement.name not in own
        and not requirement.specifier.contains(pins.get(canonicalize_name(requirement.name), "0"))
    ]

    assert unmet == []


@pytest.mark.parametrize("folder", [ROOT, *FOLDERS.values()], ids=["workspace", *FOLDERS])
def test_dependencies_have_a_lower_bound(folder: Path) -> None:
    """Without one, a resolver may choose a release that nobody ever tried."""
    own = own_distributions() if folder == ROOT else set()

    unbound = [
        str(requirement)
        for requirement in requirements(folder)
        if requirement.name not in own and ">=" not in str(requirement.specifier)
    ]

    assert unbound == []


@pytest.mark.parametrize(("package", "folder"), FOLDERS.items(), ids=FOLDERS)
def test_package_is_complete(package: str, folder: Path) -> None:
    """Every package ships its types, its licence, a README, and a CHANGELOG that knows its version."""
    version = pyproject(folder)["project"]["version"]
    changelog = (folder / "CHANGELOG.md").read_text(encoding="utf-8")

    assert (folder / "src" / package / "py.typed").is_file()
    assert (folder / "README.md").is_file()
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert f"## [{version}]" in changelog


@pytest.mark.parametrize("plugin", PLUGINS)
def test_plugin_admits_the_core_beside_it(plugin: str) -> None:
    """Nothing but this test moves a plugin's bound when the core's version moves."""
    core = pyproject(ROOT / "core")["project"]["version"]
    (bound,) = [
        requirement
        for requirement in requirements(ROOT / "plugins" / plugin)
        if requirement.name == "loadstone" and not requirement.extras
    ]

    assert bound.specifier.contains(core)


@pytest.mark.parametrize("target", ["demo", "test", "check", "bench", "docs", "constraints"])
def test_makefile_has_the_target(target: str) -> None:
    """The README, CONTRIBUTING and CI name these targets."""
    subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)
