from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING

import pytest

from loadstone._plugins.index import COMMANDS, IMAGES, PLUGINS, SUFFIXES, VOLUMES, Candidate, PluginIndex

if TYPE_CHECKING:
    from pathlib import Path

    from core.tests.plugins.builders import Site


def faults(index: PluginIndex) -> dict[str, str]:
    return {each.name: each.fault for each in index.candidates if each.fault}


def test_reads_every_group_without_importing(site: Site) -> None:
    """A scan knows schemes, suffixes, plugins and commands, and imports none of them."""
    groups = {
        IMAGES: {"acme": "acme.plugin"},
        VOLUMES: {"acme": "acme.plugin"},
        SUFFIXES: {".acm": "acme"},
        PLUGINS: {"watch": "acme.watch:Observer"},
        COMMANDS: {"scan": "acme.cli:main"},
        "console_scripts": {"acme": "acme.cli:main"},
    }
    site.install("Acme.Loader", version="2.1", entry_points=groups, modules={"acme": "raise SystemExit"})

    index = site.index()

    assert {(each.group, each.name, each.value) for each in index.candidates} == {
        (group, name, value)
        for group, names in groups.items()
        for name, value in names.items()
        if group.startswith("loadstone.")
    }
    assert {each.claimant for each in index.candidates} == {"acme-loader 2.1"}
    assert "acme" not in sys.modules


def test_schemes_and_suffixes_are_lower_case(site: Site) -> None:
    """Schemes and suffixes compare in lower case, whatever the author wrote."""
    site.install("acme", entry_points={IMAGES: {"myCustomLoader": "acme"}, SUFFIXES: {".NII": "acme"}})

    index = site.index()

    assert index.names(IMAGES) == ("mycustomloader",)
    assert index.names(SUFFIXES) == (".nii",)


@pytest.mark.parametrize(
    ("group", "name", "value"),
    [
        (IMAGES, "x", "acme"),
        (IMAGES, "1acme", "acme"),
        (IMAGES, "ac me", "acme"),
        (IMAGES, "acme+gzip", "acme"),
        (IMAGES, "a" * 64, "acme"),
        (IMAGES, "https", "acme"),
        (VOLUMES, "file", "acme"),
        (VOLUMES, "HTTP", "acme"),
        (IMAGES, "acme", "no module!"),
        (PLUGINS, "acme", "a b"),
        (COMMANDS, "acme", ""),
        (SUFFIXES, "nii", "acme"),
        (SUFFIXES, ".", "acme"),
        (SUFFIXES, ".a/b", "acme"),
        (SUFFIXES, ".acm", "https"),
    ],
)
def test_what_is_malformed_is_recorded_and_never_claims(
    site: Site, group: str, name: str, value: str
) -> None:
    """A claim that can never be honoured is kept with the reason, beside the good ones of a package."""
    site.install("acme", entry_points={group: {name: value, "good": "acme", ".good": "acme"}})

    index = site.index()

    assert faults(index)[name.lower() if group not in (PLUGINS, COMMANDS) else name]
    assert not any(index.claims(group, each) for each in (name, name.lower()))
    assert index.claims(group, ".good" if group == SUFFIXES else "good")


def test_copies_of_a_distribution_count_once(site: Site, tmp_path: Path) -> None:
    """A distribution that is there twice claims its scheme once: the first copy on the path counts."""
    site.add("acme-loader", version="2.0")
    other = tmp_path / "other"
    shutil.copytree(site.folder, other)
    (other / "acme_loader-2.0.dist-info").rename(other / "Acme_Loader-1.0.dist-info")
    metadata = other / "Acme_Loader-1.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 2.0", "Version: 1.0"))

    both = PluginIndex.scan([str(site.folder), str(other)])
    turned = PluginIndex.scan([str(other), str(site.folder)])

    assert [each.version for each in both.claims(IMAGES, "acme")] == ["2.0"]
    assert [each.version for each in turned.claims(IMAGES, "acme")] == ["1.0"]


def test_a_copy_without_entry_points_shadows_one_with(site: Site, tmp_path: Path) -> None:
    """A newer copy in front that claims nothing any more takes the claims of the one behind away."""
    site.add("acme-loader")
    front = tmp_path / "front" / "acme_loader-3.0.dist-info"
    front.mkdir(parents=True)
    (front / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-loader\nVersion: 3.0\n")

    index = PluginIndex.scan([str(front.parent), str(site.folder)])

    assert not index.candidates


def test_remains_beside_a_distribution_do_not_hide_it(site: Site) -> None:
    """A folder that an interrupted uninstall left behind does not stand for the version that is there."""
    site.install("acme-loader", version="1.0", entry_points={IMAGES: {"acme": "acme"}})
    for version in ("0.9", "1.1"):
        (site.folder / f"acme_loader-{version}.dist-info").mkdir()
        (site.folder / f"acme_loader-{version}.dist-info" / "entry_points.txt").write_text(
            "[loadstone.plugins]\n"
        )

    assert site.index().names(IMAGES) == ("acme",)


def test_remains_of_distributions_do_not_stop_a_scan(site: Site) -> None:
    """What is unreadable, has no metadata or a broken line is left out or recorded; others are found."""
    site.add("good", images=("good",))
    for name, text in (
        ("no_metadata-1.0", b"[loadstone.image_loaders]\nlost = lost\n"),
        ("binary-1.0", b"\xff\xfe[loadstone.image_loaders]"),
    ):
        folder = site.folder / f"{name}.dist-info"
        folder.mkdir()
        (folder / "entry_points.txt").write_bytes(text)
    site.install("malformed")
    (site.folder / "malformed-1.0.dist-info" / "entry_points.txt").write_text(
        "[loadstone.image_loaders]\nthis is no entry point\n"
    )

    index = site.index()

    assert index.names(IMAGES) == ("good",)
    assert [each.distribution for each in index.candidates if each.fault] == ["malformed"]


def test_equal_candidates_count_once() -> None:
    """The same distribution, name and value twice is one claim."""
    claim = Candidate(IMAGES, "acme", "acme", "acme", "1.0")

    assert PluginIndex([claim, claim]).claims(IMAGES, "acme") == (claim,)


def test_two_hundred_distributions_are_quick(tmp_path: Path) -> None:
    """A scan reads one small file a distribution, so that 200 take far less than a second."""
    for number in range(200):
        folder = tmp_path / f"dist{number}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: dist{number}\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text("[console_scripts]\nrun = dist:main\n")
    before = time.thread_time()

    assert not PluginIndex.scan([str(tmp_path)]).candidates
    assert time.thread_time() - before < 1
