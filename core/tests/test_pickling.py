"""What goes to other processes: ids, settings, errors and reports."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from core.tests.builders import Stack, flat, make_session
from loadstone import (
    CacheFullError,
    DecodeError,
    FetchError,
    GeometryError,
    ImageId,
    InvalidIdError,
    LoadCancelled,
    LoadstoneError,
    PluginLoadError,
    Progress,
    SchemeConflictError,
    UnknownSchemeError,
    VolumeId,
)
from loadstone.errors import __all__ as error_names
from loadstone.geometry import GeometryReport
from loadstone.options import LoadOptions

ERRORS = [
    LoadstoneError("what", source="a:1", hint="Do it."),
    InvalidIdError("what"),
    UnknownSchemeError("a", installed=["b"], source="a:1"),
    SchemeConflictError("a", ["one 1.0", "two 2.0"]),
    PluginLoadError("a", "one 1.0", "one.plugin", "no module"),
    FetchError("what", status=503, attempts=4, retryable=True),
    GeometryError("what", report=GeometryReport()),
    CacheFullError(10, 5, 7, source="a:1"),
    LoadCancelled(source="a:1"),
    *(
        getattr(__import__("loadstone"), name)("what", source="a:1", hint="Do it.")
        for name in error_names
        if name
        in {
            "DecodeError",
            "IntegrityError",
            "LimitError",
            "LoadCycleError",
            "MetadataError",
            "PluginContractError",
            "SecurityError",
            "UnsupportedError",
        }
    ),
]


def again(value: Any) -> Any:
    """Return what arrives in another process."""
    return pickle.loads(pickle.dumps(value))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("how", [again, copy.copy, copy.deepcopy])
def test_errors_arrive_whole(error: LoadstoneError, how: Any) -> None:
    """Type, text and every attribute survive."""
    arrived = how(error)

    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    left, right = vars(error).copy(), vars(arrived).copy()
    assert str(left.pop("report", None)) == str(right.pop("report", None))
    assert left == right


def test_every_error_is_among_them() -> None:
    """A new error must be tried here too."""
    assert {type(error).__name__ for error in ERRORS} == set(error_names)


class AcmeError(DecodeError):
    """A plugin's own."""

    def __init__(self, code: int, *, reason: str) -> None:
        self.code = code
        super().__init__(f"{code}: {reason}")


def test_errors_of_plugins_arrive_whatever_their_constructor_takes() -> None:
    """Pickling goes by state."""
    arrived = again(AcmeError(7, reason="bad"))

    assert (type(arrived), arrived.code, str(arrived)) == (AcmeError, 7, "7: bad")


def test_the_volume_of_an_error_stays_in_its_process() -> None:
    """What is missing is told, the array is not sent."""
    stack = Stack(range(3), failing={1: ValueError("one")})
    with make_session({"slices": stack.loader()}) as session, pytest.raises(DecodeError) as caught:
        session.load_volume("streaming:a", image_ids=stack.ids)
    arrived = again(caught.value)

    assert caught.value.volume is not None
    assert (arrived.volume, arrived.missing) == (None, (1,))
    assert again(caught.value.volume.geometry) == caught.value.volume.geometry


def test_an_image_arrives_read_only_and_without_its_header() -> None:
    """Workers of a data loader send images back; what a header leads to stays where it is open."""
    with make_session({"toy": lambda _, __: flat(3, header=lambda: {"open": True})}) as session:
        image = session.load_image("toy:1")
    arrived = again(image)

    assert np.array_equal(arrived.pixels, image.pixels)
    assert not arrived.pixels.flags.writeable
    assert (arrived.image_id, arrived.plane, arrived.voi_lut) == ("toy:1", image.plane, image.voi_lut)
    assert (image.header(), arrived.header()) == ({"open": True}, None)


@pytest.mark.parametrize(
    "value",
    [
        ImageId("wadors:https://host/x?frame=3"),
        VolumeId("nifti:/a"),
        Progress(1, 2, 3, None),
        LoadOptions.of(dtype="f4", extra={"level": 2}),
    ],
)
def test_values_arrive_equal(value: Any) -> None:
    """With their parts looked at or not."""
    if isinstance(value, ImageId):
        assert value.frame == 3
    arrived = again(value)

    assert arrived == value
    assert type(arrived) is type(value)
    assert hash(arrived) == hash(value)
