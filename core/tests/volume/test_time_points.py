"""Volumes of several time points, of gaps that are filled, and of places that nobody has an image for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from core.tests.builders import Stack, make_session, plane
from loadstone import Axis, DecodeError, GeometryError, GeometryPolicy, ImageStack, PluginContractError
from loadstone.events import TimePointLoaded
from loadstone.metadata import ImagePixel, ModuleSet, Scaling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadstone import Session, Volume

TIME = Axis("t", (0.0, 1.5), "s", "TriggerTime")
ALL = ((0,), (0,), (0,), (1,), (1,), (1,))


class Times(Stack):
    """A loader of slices of which three follow each other in space, and then come the next three."""

    def modules(self, number: int) -> ModuleSet:
        """Return what is known about a slice."""
        pixel = ImagePixel(self.shape[0], self.shape[1], self.dtype)
        return ModuleSet(plane(3.0 * (number % 3)), pixel, self.scaling(number))


def session_of(slices: Stack, numbers: Sequence[int], **fields: Any) -> Session:
    """Return a session in which ``times:`` is a volume of these slices."""
    session = make_session({"slices": slices.loader()})
    ids = tuple(f"slices:{number}" for number in numbers)
    session.registry.register_volume_loader("times", lambda name, _: [ImageStack(str(name), ids, **fields)])
    return session


def load(slices: Stack, numbers: Sequence[int], **fields: Any) -> Volume:
    """Load it; a ``geometry`` is the policy."""
    policy = GeometryPolicy(**fields.pop("geometry", {}))
    with session_of(slices, numbers, **fields) as session:
        return session.load_volume("times:1", geometry=policy)


def first_voxels(volume: Volume) -> list[Any]:
    """Return the first voxel of each slice, nested as the leading axes are."""
    found: list[Any] = volume.array[..., 0, 0].tolist()
    return found


class TestTimePoints:
    """A fourth axis in front of the slices."""

    def test_each_slice_lands_at_its_time(self) -> None:
        """Images given in any order come to (t, k), with the names and values of the axis."""
        numbers = [5, 0, 2, 4, 1, 3]
        places = tuple((number // 3,) for number in numbers)

        volume = load(Times([10, 11, 12, 20, 21, 22]), numbers, coordinates=(TIME,), places=places)

        assert volume.axes == ("t", "k", "j", "i")
        assert volume.shape[:2] == (2, 3)
        assert first_voxels(volume) == [[10, 11, 12], [20, 21, 22]]
        assert volume.coordinates["t"] is TIME
        assert volume.image_ids == tuple(f"slices:{number}" for number in range(6))
        assert volume.spacing[2] == pytest.approx(3.0)
        assert volume.affine()[2, 3] == 0.0

    def test_each_time_point_is_announced_once(self) -> None:
        """The event comes when its last slice is final, with its index on each leading axis."""
        announced: list[tuple[int, ...]] = []
        slices = Times([1] * 6)
        with session_of(slices, range(6), coordinates=(TIME,), places=ALL) as session:

            def note(event: TimePointLoaded) -> None:
                assert event.volume.array[event.place].all()
                announced.append(event.place)

            with session.subscribe(TimePointLoaded, note):
                session.load_volume("times:1")

        assert sorted(announced) == [(0,), (1,)]

    def test_one_that_fails_is_not_announced_until_it_is_completed(self) -> None:
        """A slice that fails keeps its time point back; loading again brings it."""
        announced: list[tuple[int, ...]] = []
        slices = Times([1] * 6, failing={4: DecodeError("broken")})
        with (
            session_of(slices, range(6), coordinates=(TIME,), places=ALL) as session,
            session.subscribe(TimePointLoaded, lambda event: announced.append(event.place)),
        ):
            volume = session.load_volume("times:1", errors="collect")
            assert announced == [(0,)]
            slices.failing.clear()
            volume.load()

        assert announced == [(0,), (1,)]

    def test_scaling_is_that_of_each_image(self) -> None:
        """Slopes may differ between times: each image has its own."""
        slices = Times([1] * 6, scaling=lambda number: Scaling(slope=float(1 + number // 3)))

        volume = load(slices, range(6), coordinates=(TIME,), places=ALL)

        assert first_voxels(volume) == [[1, 1, 1], [2, 2, 2]]

    def test_what_is_missing_is_refused_or_zero(self) -> None:
        """A time point without one of its slices is incomplete; accepted, its place is 0 and has no id."""
        fields = {"coordinates": (TIME,), "places": ALL[:-1]}
        with pytest.raises(GeometryError, match="1 of 6 images are missing"):
            load(Times([1] * 6), range(5), **fields)

        volume = load(Times([1] * 6), range(5), geometry={"incomplete": "ignore"}, **fields)

        assert first_voxels(volume) == [[1, 1, 1], [1, 1, 0]]
        assert volume.image_ids[5] == ""
        assert volume.missing == ()
        assert not volume.image(5).pixels.any()
        assert volume.image(5).plane.image_position_patient == (0.0, 0.0, 6.0)

    def test_places_that_do_not_fit_are_the_loaders_fault(self) -> None:
        """It is told so."""
        with pytest.raises(PluginContractError, match="places"):
            load(Times([1] * 6), range(6), coordinates=(TIME,))


class TestSparse:
    """Segments, whose empty slices are not stored."""

    def test_what_is_not_stored_is_zero(self) -> None:
        """Nothing is missing and nothing is a gap, also where no segment has the slice."""
        labels = Axis("segment", ("Liver", "Spleen"))
        places = ((0,), (0,), (1,))

        volume = load(Stack([1] * 5), [0, 1, 4], coordinates=(labels,), places=places, sparse=True)

        assert volume.axes[0] == "segment"
        assert first_voxels(volume) == [[1, 1, 0, 0, 0], [0, 0, 0, 0, 1]]
        assert volume.geometry.kinds == {"regular"}
        assert volume.missing == ()


class TestGaps:
    """Slices that are missing in space."""

    def test_they_are_empty_on_request(self) -> None:
        """Zeros lie in their place, and the affine is that of the whole grid."""
        volume = load(Stack([7] * 6), [0, 1, 2, 5], geometry={"gap": "empty"})

        assert first_voxels(volume) == [7, 7, 7, 0, 0, 7]
        assert volume.image_ids[3:5] == ("", "")
        assert volume.spacing[2] == pytest.approx(3.0)
        np.testing.assert_allclose(volume.affine() @ (0, 0, 5, 1), (0, 0, 15, 1))
        assert "gap" in volume.geometry.kinds

    @pytest.mark.parametrize("dtype", ["u2", "f4"])
    def test_they_are_interpolated_on_request(self, dtype: str) -> None:
        """They are the means of their neighbours, weighted by distance, rounded for integers."""
        slices = Stack([0, 10, 20, 0, 0, 31], dtype=dtype)

        volume = load(slices, [0, 1, 2, 5], geometry={"gap": "interpolate"})

        between = [24, 27] if dtype == "u2" else pytest.approx([20 + 11 / 3, 20 + 22 / 3])
        assert first_voxels(volume)[3:5] == between
        assert volume.missing == ()

    def test_nothing_is_interpolated_from_what_failed(self) -> None:
        """While a neighbour is missing they are missing too; they come with it."""
        slices = Stack([0, 10, 20, 0, 40], failing={4: DecodeError("broken")})
        with session_of(slices, [0, 1, 2, 4]) as session:
            volume = session.load_volume(
                "times:1", geometry=GeometryPolicy(gap="interpolate"), errors="collect"
            )
            assert volume.missing == (3, 4)
            slices.failing.clear()
            volume.load()

            assert first_voxels(volume) == [0, 10, 20, 30, 40]
