from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadstone import ImageId, InvalidIdError
from loadstone_nifti.ids import locator_of, slice_ids, slice_index

sizes = st.lists(st.integers(1, 4), min_size=3, max_size=7).map(tuple)


@given(sizes)
def test_every_slice_has_an_id_that_names_it(dims: tuple[int, ...]) -> None:
    """The ids of a file, read back, are its slices in their order."""
    ids = [ImageId(text) for text in slice_ids("/data/a b.nii.gz", dims)]
    found = [slice_index(image_id, dims) for image_id in ids]

    assert [index for index, _ in found] == list(range(len(ids)))
    assert [k for _, k in found] == [index % dims[2] for index in range(len(ids))]
    assert {locator_of(image_id)[0] for image_id in ids} == {"/data/a b.nii.gz"}


def test_the_query_of_a_url_stays() -> None:
    """Only selections at the end are taken off; a URL's own query is kept."""
    (first, *_) = slice_ids("https://host/x.nii?token=1", (2, 2, 3))

    assert first == "nifti:https://host/x.nii?token=1&frame=0"
    assert locator_of(ImageId(first))[0] == "https://host/x.nii?token=1"


def test_a_single_slice_needs_no_frame() -> None:
    """Where there is one slice, the file is the image."""
    assert slice_index(ImageId("nifti:/x.nii"), (4, 3, 1)) == (0, 0)


def test_the_first_time_point_is_meant_when_none_is_named() -> None:
    """What is left out is 0."""
    assert slice_index(ImageId("nifti:/x.nii?frame=2"), (4, 3, 5, 7)) == (2, 2)
    assert slice_index(ImageId("nifti:/x.nii?frame=2&time=3"), (4, 3, 5, 7)) == (17, 2)


@pytest.mark.parametrize(
    "selection", ["", "?frame=5", "?frame=-1", "?frame=a", "?frame=", "?frame=1&time=2", "?frame=1&vector=1"]
)
def test_what_the_file_does_not_have_is_refused(selection: str) -> None:
    """A missing or impossible selection is an error of the id that says the range."""
    with pytest.raises(InvalidIdError):
        slice_index(ImageId(f"nifti:/x.nii{selection}"), (4, 3, 5, 2))
