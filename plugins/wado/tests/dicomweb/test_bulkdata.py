from __future__ import annotations

import pytest

from loadstone import SecurityError
from loadstone_wado.dicomweb.bulkdata import bulk_data_url

ROOT = "https://pacs.example.org/dicom-web"
INSTANCE = f"{ROOT}/studies/1/series/2/instances/3"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (f"{INSTANCE}/bulkdata/00281201", f"{INSTANCE}/bulkdata/00281201"),
        ("https://PACS.example.org:443/other/7", "https://PACS.example.org:443/other/7"),
        ("bulkdata/00281201", f"{INSTANCE}/bulkdata/00281201"),
        ("/elsewhere/5", "https://pacs.example.org/elsewhere/5"),
        ("http://10.0.0.7:8042/dw/studies/1/series/2/bulk/5?x=1", f"{ROOT}/studies/1/series/2/bulk/5?x=1"),
        ("http://pacs.example.org/dicom-web/studies/1/bulk/5", f"{ROOT}/studies/1/bulk/5"),
    ],
)
def test_where_it_is_asked_for(uri: str, expected: str) -> None:
    """Relative addresses are of the metadata; foreign ones are grafted onto the root that the user gave."""
    assert bulk_data_url(uri, f"{INSTANCE}/metadata", ROOT) == expected


@pytest.mark.parametrize(
    "uri",
    ["http://elsewhere.example.org/x", "file:///etc/passwd", "ftp://h/studies-of/1", "data:,x", "//h/x"],
)
def test_foreign_addresses_are_refused(uri: str) -> None:
    """What leads to another origin, and to no study, is not fetched."""
    with pytest.raises(SecurityError):
        bulk_data_url(uri, f"{INSTANCE}/metadata", ROOT)


@pytest.mark.parametrize("uri", ["file:///studies/1/2", "gopher://h/studies/1"])
def test_another_scheme_never_leaves_the_root(uri: str) -> None:
    """Whatever names a study is asked for at the root, in the scheme of the root."""
    assert bulk_data_url(uri, f"{INSTANCE}/metadata", ROOT).startswith(f"{ROOT}/studies/1")
