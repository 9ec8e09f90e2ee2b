from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadstone import ImageId, InvalidIdError
from loadstone_nifti.ids import canonical, locator_of, slice_ids, slice_index

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


@pytest.mark.parametrize(
    "same",
    [
        ("/x.hdr?frame=1", "/x.img?frame=1", "/x.img?frame=01&time=0"),
        ("https://host/x.HDR.gz?v=1&frame=2", "https://host/x.IMG.gz?v=1&frame=2"),
        ("/x.nii?frame=2&time=3", "/x.nii?time=3&frame=2", "/x.nii?frame=2&time=3&u=0&vector=00"),
    ],
)
def test_two_ids_of_the_same_pixels_have_one_canonical_name(same: tuple[str, ...]) -> None:
    """Either file of a pair, selections in any order, zeros said or not: loaded and kept once."""
    assert len({canonical(ImageId(f"nifti:{rest}")) for rest in same}) == 1


def test_ids_of_other_pixels_have_other_canonical_names() -> None:
    """Another slice, file or compression; a frame that is left out is an error where there are several."""
    rests = [
        "/x.hdr",
        "/x.hdr?frame=0",
        "/x.hdr?frame=1",
        "/x.hdr.gz",
        "/y.img",
        "/x.nii",
        "/x.nii?frame=0&time=1",
    ]

    assert len({canonical(ImageId(f"nifti:{rest}")) for rest in rests}) == len(rests)


@given(sizes)
def test_the_slices_of_a_file_have_different_canonical_names(dims: tuple[int, ...]) -> None:
    """No two of them are taken for one."""
    ids = list(slice_ids("/data/a b.nii.gz", dims))

    assert len({canonical(ImageId(text)) for text in ids}) == len(ids)


@pytest.mark.parametrize("selection", ["?frame=a", "?frame=1&time=-1", "?frame=1&time="])
def test_a_selection_that_is_no_number_has_no_canonical_name(selection: str) -> None:
    """The id is at fault, before anything is opened."""
    with pytest.raises(InvalidIdError):
        canonical(ImageId(f"nifti:/x.nii{selection}"))
