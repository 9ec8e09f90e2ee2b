from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import numpy as np
import pytest

import loadstone

if TYPE_CHECKING:
    from pathlib import Path

    from core.tests.cli.builders import Cli
    from loadstone.testing import PluginSandbox


def written(cli: Cli, folder: Path, *arguments: str) -> dict[str, str]:
    """Run the command; return path below the folder to content of what it wrote."""
    said = cli("new-plugin", *arguments, str(folder))

    assert said.code == 0, said.error
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_it_writes_a_package(cli: Cli, tmp_path: Path) -> None:
    """A src layout with types, a README and tests; nothing is left to fill in."""
    files = written(cli, tmp_path / "new", "Loadstone_Acme")
    project = tomllib.loads(files["pyproject.toml"])["project"]

    assert set(files) == {
        "README.md",
        "pyproject.toml",
        "src/loadstone_acme/__init__.py",
        "src/loadstone_acme/py.typed",
        "tests/test_contract.py",
    }
    assert project["name"] == "loadstone-acme"
    assert project["entry-points"] == {"loadstone.image_loaders": {"acme": "loadstone_acme"}}
    assert not any("$" in content for content in files.values())


def test_the_scheme_is_the_authors_choice(cli: Cli, tmp_path: Path) -> None:
    """--scheme stands in the entry point, in the code and in the tests."""
    files = written(cli, tmp_path / "new", "acme-reader", "--scheme", "Acme.1")
    loaders = tomllib.loads(files["pyproject.toml"])["project"]["entry-points"]["loadstone.image_loaders"]

    assert loaders == {"acme.1": "acme_reader"}
    assert 'ImageLoader("acme.1"' in files["src/acme_reader/__init__.py"]
    assert 'f"acme.1:' in files["tests/test_contract.py"]


def test_what_it_writes_loads(cli: Cli, tmp_path: Path, sandbox: PluginSandbox) -> None:
    """The generated loader gives the pixels of a file, and typed errors for what is no such file."""
    code = written(cli, tmp_path / "new", "loadstone-acme")["src/loadstone_acme/__init__.py"]
    entry_points = {"loadstone.image_loaders": {"acme": "loadstone_acme"}}
    sandbox.install("loadstone-acme", entry_points=entry_points, modules={"loadstone_acme": code})
    loadstone.refresh_plugins()
    np.save(tmp_path / "image.npy", np.arange(6, dtype=">u2").reshape(2, 3))
    (tmp_path / "bad.npy").write_bytes(b"PK\3\4 no array")

    assert loadstone.load_image(f"acme:{tmp_path / 'image.npy'}").pixels.tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(loadstone.DecodeError):
        loadstone.load_image(f"acme:{tmp_path / 'bad.npy'}")
    with pytest.raises(loadstone.FetchError):
        loadstone.load_image(f"acme:{tmp_path / 'none.npy'}")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["a b"], "no name of a distribution"),
        (["numpy"], "taken"),
        (["email"], "taken"),
        (["class"], "taken"),
        (["1acme"], "taken"),
        (["acme", "--scheme", "a_b"], "no scheme"),
        (["acme", "--scheme", "https"], "belongs to the core"),
        (["acme", "--scheme", "gone"], "claimed by other"),
    ],
)
def test_names_that_would_not_work_are_refused(
    cli: Cli, tmp_path: Path, sandbox: PluginSandbox, arguments: list[str], reason: str
) -> None:
    """It says what is wrong with a name, and writes nothing."""
    sandbox.install("other", entry_points={"loadstone.image_loaders": {"gone": "other"}})
    loadstone.refresh_plugins()

    said = cli("new-plugin", *arguments, str(tmp_path / "new"))

    assert (said.code, said.out) == (1, "")
    assert reason in said.error
    assert not (tmp_path / "new").exists()


def test_nothing_is_overwritten(cli: Cli, tmp_path: Path) -> None:
    """A folder with something in it, and a file, stay as they are; an empty folder is used."""
    (tmp_path / "file").write_text("mine", encoding="utf-8")

    into_folder = cli("new-plugin", "acme", str(tmp_path))
    onto_file = cli("new-plugin", "acme", str(tmp_path / "file"))
    (tmp_path / "file").unlink()

    assert (into_folder.code, onto_file.code) == (1, 1)
    assert written(cli, tmp_path, "acme")
