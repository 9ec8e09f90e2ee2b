from __future__ import annotations

import pytest

from loadstone import SecurityError
from loadstone_wado.dicomweb.bulkdata import bulk_data_urls

ROOT = "https://pacs.example.org/dicom-web"
INSTANCE = f"{ROOT}/studies/1/series/2/instances/3"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (f"{INSTANCE}/bulkdata/00281201", f"{INSTANCE}/bulkdata/00281201"),
        ("https://PACS.example.org:443/other/7", "https://PACS.example.org:443/other/7"),
        ("/elsewhere/5", "https://pacs.example.org/elsewhere/5"),
        ("http://10.0.0.7:8042/dw/studies/1/series/2/bulk/5?x=1", f"{ROOT}/studies/1/series/2/bulk/5?x=1"),
        ("http://pacs.example.org/dicom-web/studies/1/bulk/5", f"{ROOT}/studies/1/bulk/5"),
    ],
)
def test_where_it_is_asked_for(uri: str, expected: str) -> None:
    """Foreign addresses are grafted onto the root that the user gave."""
    assert bulk_data_urls(uri, f"{INSTANCE}/metadata", ROOT) == (expected,)


def test_an_address_below_the_same_path_is_grafted() -> None:
    """Not all servers keep bulk data below a study: the path of the root will do."""
    root = "https://pacs.example.org/dicom-web"
    found = bulk_data_urls("http://10.0.0.7:8042/dicom-web/bulk/7?x=1", f"{root}/studies/1/metadata", root)

    assert found == (f"{root}/bulk/7?x=1",)
    with pytest.raises(SecurityError):
        bulk_data_urls("http://10.0.0.7:8042/dicom-website/bulk/7", f"{root}/studies/1/metadata", root)


def test_relative_addresses() -> None:
    """Relative addresses are of the metadata, or else of the root."""
    found = bulk_data_urls("bulkdata/00281201", f"{INSTANCE}/metadata", ROOT)

    assert found == (f"{INSTANCE}/bulkdata/00281201", f"{ROOT}/bulkdata/00281201")


def test_nothing_is_grafted_where_that_is_refused() -> None:
    """With the policy ``refuse``, only addresses at the origin of the service are followed."""
    own = f"{INSTANCE}/bulkdata/1"

    assert bulk_data_urls(own, f"{INSTANCE}/metadata", ROOT, policy="refuse") == (own,)
    with pytest.raises(SecurityError):
        bulk_data_urls("http://10.0.0.7/dw/studies/1/b", f"{INSTANCE}/metadata", ROOT, policy="refuse")


@pytest.mark.parametrize(
    "uri",
    ["http://elsewhere.example.org/x", "file:///etc/passwd", "ftp://h/studies-of/1", "data:,x", "//h/x"],
)
def test_foreign_addresses_are_refused(uri: str) -> None:
    """What leads to another origin, and to no study, is not fetched."""
    with pytest.raises(SecurityError):
        bulk_data_urls(uri, f"{INSTANCE}/metadata", ROOT)


@pytest.mark.parametrize("uri", ["file:///studies/1/2", "gopher://h/studies/1"])
def test_another_scheme_never_leaves_the_root(uri: str) -> None:
    """Whatever names a study is asked for at the root, in the scheme of the root."""
    (found,) = bulk_data_urls(uri, f"{INSTANCE}/metadata", ROOT)

    assert found.startswith(f"{ROOT}/studies/1")
