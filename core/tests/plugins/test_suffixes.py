from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadstone._plugins import Candidate, PluginIndex, PluginPolicy
from loadstone._plugins.index import SUFFIXES
from loadstone._plugins.suffixes import SuffixTable
from loadstone.errors import InvalidIdError
from loadstone.ids import ImageId, path_of, rest_of

DEFAULT = {
    ".nii": "nifti",
    ".nii.gz": "nifti",
    ".gz": "packed",
    ".dcm": "dicomfile",
    "url.dcm": "wadouri",
    ".png": "web",
    "folder": "dicomfile",
    "no-suffix": "dicomfile",
}


def table(*distributions: dict[str, str], **policy: object) -> SuffixTable:
    """Return the table of distributions named d0, d1, ... with the suffixes given for each."""
    index = PluginIndex(
        Candidate(SUFFIXES, suffix, scheme, f"d{number}", "1.0")
        for number, suffixes in enumerate(distributions)
        for suffix, scheme in suffixes.items()
    )
    return SuffixTable(index, PluginPolicy(**policy))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("/data/t1.nii", "nifti:/data/t1.nii"),
        ("/data/t1.nii.gz", "nifti:/data/t1.nii.gz"),
        ("/data/T1.NII.GZ", "nifti:/data/T1.NII.GZ"),
        ("/data/t1.tar.gz", "packed:/data/t1.tar.gz"),
        ("/da.ta/sub-01.run.nii", "nifti:/da.ta/sub-01.run.nii"),
        ("/data/a b.png", "web:/data/a b.png"),
        ("/data/50%?#.png", "web:/data/50%25%3F%23.png"),
        ("/data/R&D/x.png", "web:/data/R&D/x.png"),
        ("/data/x&frame=2.png", "web:/data/x%26frame=2.png"),
        ("//data/x.png", "web:/data/x.png"),
        (Path("/data/x.png"), "web:/data/x.png"),
        ("file:///data/x.png", "web:/data/x.png"),
        ("FILE:///data/x.png", "web:/data/x.png"),
        ("file://localhost/data/my%20x.png", "web:/data/my x.png"),
        ("file:///data/100%25%3F.png", "web:/data/100%25%3F.png"),
        ("file:///data/x.dcm?frame=2", "dicomfile:/data/x.dcm?frame=2"),
        ("file:/data/x.png", "web:/data/x.png"),
        ("https://host/a.png", "web:https://host/a.png"),
        ("HTTP://host/a.PNG", "web:HTTP://host/a.PNG"),
        ("https://host/a.nii.gz?token=b.png#c.dcm", "nifti:https://host/a.nii.gz?token=b.png#c.dcm"),
        ("https://host/a%2Epng", "web:https://host/a%2Epng"),
        ("https://host/a.dcm", "wadouri:https://host/a.dcm"),
        ("https://user:pw@host/a.png", "web:https://user:pw@host/a.png"),
        ("wadors:https://host/studies/1", "wadors:https://host/studies/1"),
        ("unheard-of:x.png", "unheard-of:x.png"),
        ("myCustomLoader:x", "myCustomLoader:x"),
    ],
)
def test_sources_become_ids(source: str, expected: str) -> None:
    """The longest suffix wins, in any case; of URLs only the path counts; ids stay as they are."""
    assert table(DEFAULT).to_id(source) == expected


def test_relative_paths_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An id means the same file wherever it is used; '..' stays, as a symbolic link may stand before it."""
    monkeypatch.chdir(tmp_path)

    assert table(DEFAULT).to_id("x.png") == f"web:{tmp_path}/x.png"
    assert table(DEFAULT).to_id("./sub/../x.png") == f"web:{tmp_path}/sub/../x.png"


def test_a_drive_letter_is_no_scheme() -> None:
    """A Windows path is a path on every system."""
    assert table(DEFAULT).to_id("C:\\x.nii").startswith("nifti:")


def test_folders_go_to_who_claims_them(tmp_path: Path) -> None:
    """An existing folder, or a path that ends in a slash, is a folder whatever its name looks like."""
    folder = tmp_path / "scan.nii"
    folder.mkdir()

    assert table(DEFAULT).to_id(folder) == f"dicomfile:{folder}"
    assert table(DEFAULT).to_id("/not/there/") == "dicomfile:/not/there"
    assert table(DEFAULT).to_id(f"file://{folder}") == f"dicomfile:{folder}"


@pytest.mark.parametrize("name", ["IM000001", "1.2.840.10008.1", ".hidden"])
def test_existing_files_without_a_suffix(tmp_path: Path, name: str) -> None:
    """DICOM files often have none, or the last number of a UID."""
    file = tmp_path / name
    file.touch()

    assert table(DEFAULT).to_id(file) == f"dicomfile:{file}"


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("/data/x.xyz", "declares the suffix of this file"),
        ("/data/nothing-there", "there is no such file"),
        ("https://host/x.xyz", "declares the suffix of this URL"),
        ("https://host/x", "declares the suffix of this URL"),
        ("https://host", "declares the suffix of this URL"),
        ("https://[::1/x.png", "not a URL"),
        ("file://elsewhere/data/x.png", "a file: URL with a host"),
        ("file:", "no path"),
        ("", "neither an id nor a path"),
        ("a\0b.png", "neither an id nor a path"),
        ("file:///a%00b.png", "no path"),
    ],
)
def test_what_cannot_be_told_is_an_error(source: str, what: str) -> None:
    """The error says what was asked and, where that helps, the known suffixes."""
    with pytest.raises(InvalidIdError, match=what) as caught:
        table(DEFAULT).to_id(source)

    if "declares" in what:
        assert ".nii.gz" in str(caught.value)
        assert source in str(caught.value)


@pytest.mark.parametrize("source", ["/data/x.png", "https://host/x.png"])
def test_without_plugins_nothing_is_known(source: str, tmp_path: Path) -> None:
    """With nothing installed every path is an error that says so."""
    for each in (source, tmp_path, __file__):
        with pytest.raises(InvalidIdError, match="known: none"):
            table().to_id(each)


def test_secrets_of_urls_stay_out_of_messages() -> None:
    """A message has the URL without credentials and query."""
    with pytest.raises(InvalidIdError) as caught:
        table(DEFAULT).to_id("https://user:pw@host/x.xyz?token=secret#part")

    assert "https://host/x.xyz:" in str(caught.value)
    assert not {"user", "pw", "secret"} & set(
        str(caught.value).replace("?", "/").replace("=", "/").split("/")
    )


class TestConflicts:
    def test_two_schemes_for_one_suffix_are_an_error(self) -> None:
        """Both schemes, both distributions and the line that decides stand in the error."""
        with pytest.raises(
            InvalidIdError, match=r"several schemes: acme \(d1 1.0\), nifti \(d0 1.0\)"
        ) as caught:
            table({".nii": "nifti"}, {".nii": "acme"}).to_id("/x.nii")

        assert 'LOADSTONE_PREFER=".nii=d1"' in str(caught.value)

    def test_a_preference_decides(self) -> None:
        """The distribution that is preferred for the suffix counts."""
        both = ({".nii": "nifti"}, {".nii": "acme"})

        assert table(*both, prefer={".NII": "D1"}).to_id("/x.nii") == "acme:/x.nii"
        assert table(*both, prefer={".nii": "d0"}).to_id("/x.nii") == "nifti:/x.nii"

    def test_one_scheme_from_two_distributions_is_none(self) -> None:
        """Who loads the scheme is decided when it is loaded."""
        assert table({".nii": "nifti"}, {".nii": "NIFTI"}).to_id("/x.nii") == "nifti:/x.nii"

    def test_disabled_distributions_do_not_count(self) -> None:
        """A distribution that may not be used claims no suffix."""
        both = ({".nii": "nifti"}, {".nii": "acme"})

        assert table(*both, disabled={"d0"}).to_id("/x.nii") == "acme:/x.nii"

    def test_two_claimants_of_folders(self, tmp_path: Path) -> None:
        """Folders are decided like suffixes."""
        with pytest.raises(InvalidIdError, match="'folder' stands for several schemes"):
            table({"folder": "nifti"}, {"folder": "acme"}).to_id(tmp_path)


paths = st.text(
    st.one_of(
        st.sampled_from("/?#%&=.:frame2 Fé"),
        st.characters(exclude_characters="\0", exclude_categories=["Cs"]),
    ),
    min_size=1,
)


@given(paths)
def test_any_path_survives_the_way_through_an_id(path: str) -> None:
    """path_of undoes to_id for any path, and no part of a path is taken for a frame or another selection."""
    absolute = "/" + f"{path}/x.png".lstrip("/")
    image_id = ImageId(table(DEFAULT).to_id(absolute))

    assert Path(path_of(image_id.locator)) == Path(absolute)
    assert image_id.frame is None
    assert image_id.selections("frame", "series", "stack", "a") == (image_id.rest, {})


@given(paths, st.integers(1, 999))
def test_a_frame_behind_any_path_is_found(path: str, frame: int) -> None:
    """A selection that is put behind a path's id is taken off again, and leaves the path."""
    image_id = ImageId(f"dicomfile:{rest_of('/' + path.lstrip('/'))}?frame={frame}")

    assert (path_of(image_id.locator), image_id.frame) == ("/" + path.lstrip("/"), frame)


@pytest.mark.parametrize(
    ("rest", "path"),
    [
        ("/data/x", "/data/x"),
        ("data/x", "data/x"),
        ("///data/x", "/data/x"),
        ("//localhost/data/x", "/data/x"),
        ("/data/100%/x", "/data/100%/x"),
        ("/data/a%20b%2f", "/data/a%20b%2f"),
        ("/data/%3f%3F%23%25%26", "/data/??#%&"),
        ("/data/%2525", "/data/%25"),
        ("file:///data/a%20b", "/data/a b"),
        ("file:/data/a", "/data/a"),
    ],
)
def test_rests_that_users_write(rest: str, path: str) -> None:
    """Only what rest_of encodes is decoded; a file: URL is decoded as a URL."""
    assert path_of(rest) == path


def test_undecodable_names_survive() -> None:
    """A file name that is no UTF-8 goes through an id as it came from the system."""
    path = os.fsdecode(b"/data/\xff\xfe.png")

    assert path_of(ImageId(table(DEFAULT).to_id(path)).locator) == path
