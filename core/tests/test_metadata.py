from __future__ import annotations

import os
import pickle
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from core.tests.builders import Stack, make_session, plane
from loadstone import (
    DecodeError,
    ImageId,
    ImageLoader,
    LoadstoneError,
    MetadataError,
    MetadataProvider,
    PluginContractError,
)
from loadstone.metadata import (
    CalibratedPixelSpacing,
    ImagePlane,
    ModuleSet,
    OverlayPlane,
    Overlays,
    Scaling,
    SopCommon,
    VoiLut,
    Window,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from loadstone import LoadContext
    from loadstone.metadata.modules import M, Module


def provider(name: str, module: Module, priority: int = 0) -> MetadataProvider:
    """Return a provider of one module for every image."""

    def get(image_id: ImageId, kind: type[M]) -> M | None:
        return module if isinstance(module, kind) else None

    return MetadataProvider(name, get, priority)


class TestModules:
    def test_a_module_is_built_when_first_asked_for(self) -> None:
        """What nobody asks for costs nothing; what was built stays."""
        built = list[int]()

        def build() -> Scaling:
            built.append(1)
            return Scaling(2.0)

        modules = ModuleSet(plane(1.0), builders={Scaling: build})

        assert (modules.get(ImagePlane), built) == (plane(1.0), [])
        assert modules.get(Scaling) is modules.get(Scaling)
        assert modules.get(SopCommon) is None
        assert built == [1]

    def test_a_module_that_cannot_be_built_is_a_typed_error(self) -> None:
        """Whoever asks for it first gets the cause chained."""

        def build() -> Scaling:
            raise KeyError("RescaleSlope")

        with pytest.raises(MetadataError, match="Scaling") as caught:
            ModuleSet(builders={Scaling: build}).get(Scaling)

        assert isinstance(caught.value.__cause__, KeyError)

    def test_modules_pickle(self) -> None:
        """They are plain values."""
        assert pickle.loads(pickle.dumps(plane(1.0))) == plane(1.0)
        assert pickle.loads(pickle.dumps(Window(40, 400))) == Window(40, 400)
        drawn = Overlays((OverlayPlane(0x6000, 1, 2, pixels=np.array([[True, False]])),))
        assert pickle.loads(pickle.dumps(drawn)) == drawn

    def test_modules_that_hold_arrays_are_equal_when_these_are(self) -> None:
        """Entries count, not which array has them; hashes agree."""

        def table(*entries: int, dtype: str = "u2") -> VoiLut:
            return VoiLut((Window(40, 400),), np.array(entries, dtype))

        assert table(1, 2) == table(1, 2)
        assert hash(table(1, 2)) == hash(table(1, 2))
        assert VoiLut() == VoiLut()
        assert table(1, 2) != table(1, 3)
        assert table(1, 2) != table(1, 2, dtype="u1")
        assert table(1, 2) != VoiLut((Window(40, 400),))
        assert VoiLut() != Scaling()


class TestStore:
    def test_the_loader_is_asked_before_pixels_are_loaded(self) -> None:
        """Metadata needs no pixels."""
        stack = Stack(range(3))
        with make_session({"slices": stack.loader()}) as session:
            assert session.metadata.get("slices:2", ImagePlane) == plane(6.0)
            assert session.metadata.get("slices:2", SopCommon) is None
            assert [each.get(ImagePlane) for each in session.metadata.many([])] == []
            assert stack.asked == []

    def test_what_is_set_wins_over_providers_and_those_over_the_loader(self) -> None:
        """Each override can be taken back."""
        stack = Stack(range(3))
        with make_session({"slices": stack.loader()}) as session:
            store = session.metadata
            low, high = provider("low", plane(1.0)), provider("high", plane(2.0), priority=1)
            store.add_provider(high)
            store.add_provider(low)
            store.add_provider(low)
            seen = [store.get("slices:2", ImagePlane)]
            store.set("slices:2", plane(9.0))
            seen.append(store.get("slices:2", ImagePlane))
            store.forget("slices:2")
            store.remove_provider(high)
            seen.append(store.get("slices:2", ImagePlane))
            store.remove_provider(low)
            seen.append(store.get("slices:2", ImagePlane))

        assert seen == [plane(2.0), plane(9.0), plane(1.0), plane(6.0)]

    def test_of_equal_providers_the_later_added_is_asked_first(self) -> None:
        """And one that passes leaves it to the next."""
        with make_session() as session:
            store = session.metadata
            store.add_provider(provider("a", plane(1.0)))
            store.add_provider(provider("b", plane(2.0)))
            store.add_provider(provider("c", Scaling()))

            assert store.get("number:1", ImagePlane) == plane(2.0)

    def test_a_provider_that_fails_is_named(self) -> None:
        """The error is typed and says whose fault it is."""

        def fail(image_id: ImageId, kind: type[M]) -> M | None:
            raise ValueError("bad calibration")

        with make_session() as session:
            session.metadata.add_provider(MetadataProvider("calibration", fail))

            with pytest.raises(MetadataError, match="'calibration' failed with ValueError"):
                session.metadata.get("number:1", ImagePlane)

    def test_a_loader_without_metadata_says_nothing(self) -> None:
        """No metadata is no error."""
        with make_session() as session:
            assert session.metadata.get("number:1", ImagePlane) is None

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (lambda _: {}, PluginContractError),
            (lambda _: None, PluginContractError),
            (dict.fromkeys, PluginContractError),
            (lambda ids: dict.fromkeys(ids, 3), PluginContractError),
            (lambda _: os.environ["A_KEY_OF_ITS_OWN"], DecodeError),
            (lambda _: 1 // 0, DecodeError),
        ],
    )
    def test_nonsense_from_a_loader_is_typed(
        self, answer: Callable[[Sequence[ImageId]], Any], error: type[LoadstoneError]
    ) -> None:
        """A metadata function that fails or leaves ids out is told from one that knows nothing."""
        loader = ImageLoader("toy", lambda _, __: None, metadata=lambda ids, _: answer(ids))  # type: ignore[arg-type] # not called
        with make_session({"toy": loader}) as session, pytest.raises(error):
            session.metadata.get("toy:1", ImagePlane)

    def test_a_loader_may_ask_for_metadata_of_other_images(self) -> None:
        """`context.metadata` works inside a load, with limits of one."""
        stack = Stack(range(3))

        def load(image_id: ImageId, context: LoadContext) -> Any:
            place = context.metadata("slices:2", ImagePlane)
            assert place is not None
            return context.load_image(f"number:{int((place.image_position_patient or (0, 0, 0))[2])}")

        with make_session({"slices": stack.loader(), "toy": load}, host_permits=1, file_permits=1) as session:
            assert session.load_image("toy:1").pixels[0, 0] == 6


class TestCalibratedPixelSpacing:
    def test_it_is_the_spacing_of_the_plane(self) -> None:
        """Set, by a provider, over planes that are set themselves; taken back, the recorded one is back."""
        stack = Stack(range(3))
        by_hand = CalibratedPixelSpacing((0.1, 0.2))
        rule = provider("rule", CalibratedPixelSpacing((0.3, 0.4)))
        with make_session({"slices": stack.loader()}) as session:
            store = session.metadata
            store.add_provider(rule)
            seen = [store.get("slices:2", ImagePlane)]
            store.set("slices:2", by_hand)
            seen.append(store.get("slices:2", ImagePlane))
            store.set("slices:2", plane(9.0))
            seen.append(store.get("slices:2", ImagePlane))
            calibration = store.get("slices:2", CalibratedPixelSpacing)
            seen += [each.get(ImagePlane) for each in store.many([ImageId("slices:1"), ImageId("slices:2")])]
            store.forget("slices:2")
            store.remove_provider(rule)
            seen.append(store.get("slices:2", ImagePlane))

        assert calibration == by_hand
        assert seen == [
            plane(6.0, (0.3, 0.4)),
            plane(6.0, (0.1, 0.2)),
            plane(9.0, (0.1, 0.2)),
            plane(3.0, (0.3, 0.4)),
            plane(9.0, (0.1, 0.2)),
            plane(6.0),
        ]

    def test_it_may_be_all_that_is_known_of_the_plane(self) -> None:
        """A loader without metadata leaves the rest unknown."""
        with make_session() as session:
            session.metadata.set("number:1", CalibratedPixelSpacing((0.1, 0.2)))

            assert session.metadata.get("number:1", ImagePlane) == ImagePlane((0.1, 0.2))
            assert session.metadata.get("number:2", ImagePlane) is None

    def test_volumes_are_built_with_it(self) -> None:
        """Who calibrates measures right in the volume too."""
        stack = Stack(range(3))
        with make_session({"slices": stack.loader()}) as session:
            for image_id in stack.ids:
                session.metadata.set(image_id, CalibratedPixelSpacing((0.1, 0.2)))
            volume = session.load_volume("streaming:all", image_ids=stack.ids)

            assert volume.spacing == pytest.approx((0.2, 0.1, 3.0))

    @pytest.mark.parametrize("spacing", [(0.0, 1.0), (1.0, -1.0), (float("nan"), 1.0), (1.0,), ()])
    def test_what_is_no_spacing_is_refused(self, spacing: Any) -> None:
        """At once, and not in the geometry of a volume."""
        with pytest.raises(MetadataError, match="calibrated pixel spacing"):
            CalibratedPixelSpacing(spacing)


@pytest.mark.parametrize(
    ("give", "expected"), [(lambda: 7, PluginContractError), (lambda: sys.exit(3), MetadataError)]
)
def test_a_careless_provider_is_named(give: Callable[[], Any], expected: type[LoadstoneError]) -> None:
    """What is no such module, or would end the program, is an error that says whose fault it is."""
    careless = MetadataProvider("careless", lambda _, __: give())
    with make_session() as session:
        session.metadata.add_provider(careless)
        with pytest.raises(expected, match=r"number:1.*careless"):
            session.metadata.get("number:1", ImagePlane)
