"""Volumes by stages: which slices are asked for when, what stands in for them, and how it ends."""

from __future__ import annotations

import threading
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.tests.builders import SHAPE, WAIT, Stack, make_session, plane
from loadstone import (
    DecodeError,
    GeometryError,
    Image,
    IntegrityError,
    LoadstoneError,
    Quality,
    RequestType,
    Session,
    Volume,
    VolumeHeader,
    VolumeLoader,
    VoxelSource,
)
from loadstone.events import ImageLoadFailed, RetrieveStage, VolumeModified, VolumeWidened
from loadstone.metadata import ImagePixel, ModuleSet, Scaling, TransferSyntax
from loadstone.retrieve import (
    BUILT_IN,
    INTERLEAVED,
    SEQUENTIAL,
    NearbyFill,
    RetrieveConfiguration,
    RetrieveOptions,
    Stage,
    outward,
)
from loadstone.waiting import current_order

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadstone import ImageId, LoadContext

COARSE = RetrieveOptions(Quality.SUBRESOLUTION)
FEW_AT_A_TIME: dict[str, Any] = {"host_permits": 3, "compute_permits": 2, "file_permits": 3}


class Rising(Stack):
    """Gives its slices as good as they are wanted: 1 less than the value when they are not final."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.calls: list[tuple[int, int]] = []
        self.in_place: list[tuple[int, bool]] = []
        self.failing_coarse: set[int] = set()

    def load(self, image_id: ImageId, context: LoadContext) -> Image:
        number, quality = int(image_id.rest), context.retrieve.quality
        self.calls.append((number, int(quality)))
        if number in self.failing_coarse and quality < Quality.FULL:
            raise ValueError(f"no coarse slice {number}")
        image = super().load(image_id, context)
        self.in_place.append((int(quality), image.pixels.base is not None))
        if quality >= Quality.FULL:
            return image
        image.pixels[...] -= 1
        return Image(image.pixels, slope=image.slope, intercept=image.intercept, quality=quality)


def session_of(stack: Stack, **settings: Any) -> Session:
    return make_session({"slices": stack.loader(many=False)}, **settings)


def request(session: Session, stack: Stack, **keywords: Any) -> Any:
    return session.request_volume("streaming:all", image_ids=stack.ids, **keywords)


def watched(session: Session) -> list[RetrieveStage]:
    events: list[RetrieveStage] = []
    session.subscribe(RetrieveStage, events.append)
    return events


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("many", [False, True])
def test_the_end_is_the_plain_volume(name: str, *, many: bool) -> None:
    """Whatever the stages, and whether the loader knows of them: bit for bit what a plain load gives."""
    plain = Stack(range(100, 117), scaling=Scaling(2, -7, "HU"))
    with make_session({"slices": plain.loader(many=many)}) as session:
        expected = request(session, plain).result(WAIT).array
    stack = Rising(range(100, 117), scaling=Scaling(2, -7, "HU"))
    with make_session({"slices": stack.loader(many=many)}) as session:
        volume = request(session, stack, retrieve=name).result(WAIT)

    assert np.array_equal(volume.array, expected)
    assert (volume.array.dtype, volume.missing, set(volume.quality)) == (expected.dtype, (), {8})


@given(
    count=st.integers(1, 12),
    stages=st.lists(
        st.builds(
            Stage,
            st.just("any"),
            positions=st.none() | st.lists(st.sampled_from([0, 0.3, 0.5, -1]), max_size=3).map(tuple),
            decimate=st.integers(1, 5),
            offset=st.integers(0, 4),
            retrieve_type=st.sampled_from(["fast", "default"]),
            priority=st.integers(-3, 3),
            nearby=st.lists(
                st.builds(NearbyFill, st.sampled_from([-2, -1, 1, 2]), st.sampled_from([1, 3])), max_size=3
            ).map(tuple),
        ),
        max_size=5,
    ),
)
def test_any_stages_end_with_the_plain_volume(count: int, stages: list[Stage]) -> None:
    """Quality only rises, and nothing is left out, whatever the stages ask for."""
    stack = Rising(range(50, 50 + count))
    rises: list[tuple[int, ...]] = []
    with session_of(stack, **FEW_AT_A_TIME) as session:
        session.subscribe(VolumeModified, lambda event: rises.append(tuple(event.volume.quality)))
        volume = request(session, stack, retrieve=RetrieveConfiguration.of(stages, fast=COARSE)).result(WAIT)

    assert volume.array[:, 0, 0].tolist() == [*range(50, 50 + count)]
    assert volume.missing == ()
    assert len(set(stack.calls)) == len(stack.calls), "something was asked for twice in one quality"


def test_stages_ask_in_their_order() -> None:
    """Interleaved: the middle, the first and the last, then the quarters, each once."""
    stack = Rising(range(16))
    with session_of(stack, host_permits=1, compute_permits=1, file_permits=1) as session:
        events = watched(session)
        request(session, stack, retrieve="interleaved").result(WAIT)

    assert [number for number, _ in stack.calls] == [7, 0, 15, 3, 11, 1, 5, 9, 13, 2, 6, 10, 14, 4, 8, 12]
    assert [(each.stage, each.images, each.skipped, each.failures) for each in events] == [
        ("initial", 3, 0, 0),
        ("quarter fast", 4, 2, 0),
        ("half fast", 4, 0, 0),
        ("quarter final", 4, 0, 0),
        ("half final", 4, 1, 0),
        ("three quarters final", 4, 4, 0),
        ("all final", 4, 4, 0),
        ("once more", 16, 16, 0),
    ]
    assert [each.number for each in events] == [*range(8)]
    assert {each.id for each in events} == {"streaming:all"}


def test_coarse_passes_of_interleaved() -> None:
    """With coarse first passes each slice is asked for coarse first, then final; both are announced."""
    stack = Rising(range(16))
    with session_of(stack) as session:
        events = watched(session)
        request(session, stack, retrieve=INTERLEAVED.with_options(multiple_fast=COARSE)).result(WAIT)

    assert sorted(stack.calls) == sorted(
        [(number, 8) for number in range(16)] + [(number, 6) for number in (3, 11, 1, 5, 9, 13)]
    )
    assert [each.skipped for each in events] == [0, 2, 0, 0, 1, 0, 2, 16]


class Gated(Rising):
    """Lets each stage end when it is told to."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.open = threading.Semaphore(0)

    def load(self, image_id: ImageId, context: LoadContext) -> Image:
        assert self.open.acquire(timeout=WAIT)
        return super().load(image_id, context)


def test_neighbours_stand_in() -> None:
    """After the first stage neighbours show what has arrived, marked as copies, and are still missing."""
    stack = Gated(range(10, 21))
    modified: list[tuple[int, ...]] = []
    with session_of(stack) as session:
        session.subscribe(VolumeModified, lambda event: modified.append(event.indices))
        handle = request(session, stack, retrieve="interleaved")
        shown = handle.partials()
        volume: Volume = next(shown)

        assert not volume.array.any()
        stack.open.release(3)
        assert next(shown) is volume
        assert volume.quality.tolist() == [8, 3, 1, 0, 3, 8, 3, 1, 0, 3, 8]
        assert volume.array[:, 0, 0].tolist() == [10, 10, 10, 0, 15, 15, 15, 15, 0, 20, 20]
        assert volume.missing == (1, 2, 3, 4, 6, 7, 8, 9)
        assert {frozenset(each) for each in modified} == {
            frozenset({5, 4, 6, 7}),
            frozenset({0, 1, 2}),
            frozenset({10, 9}),
        }
        assert volume.image(1).quality == Quality.ADJACENT_REPLICATE
        stack.open.release(100)
        handle.result(WAIT)

        assert volume.array[:, 0, 0].tolist() == [*range(10, 21)]


def test_straight_into_the_slice_only_while_it_holds_nothing() -> None:
    """The first image of a slice is decoded in place, a better one beside it."""
    stack = Rising(range(10, 14))
    with session_of(stack) as session:
        request(session, stack, retrieve=SEQUENTIAL).result(WAIT)

    assert {pair for pair in stack.in_place if pair[0] == 6} == {(6, True)}
    assert {pair for pair in stack.in_place if pair[0] == 8} == {(8, False)}


def test_a_slice_is_never_seen_half_written() -> None:
    """A slice that is told to be final has the values of the final image, all over."""
    stack = Rising(range(100, 140), shape=(64, 64))
    seen: list[str] = []
    with session_of(stack) as session:

        def look(event: VolumeModified) -> None:
            for index in event.indices:
                pixels = event.volume.array[index]
                if event.volume.quality[index] == Quality.FULL and (pixels != 100 + index).any():
                    seen.append(f"slice {index} is final and has {np.unique(pixels)}")

        session.subscribe(VolumeModified, look)
        request(session, stack, retrieve=INTERLEAVED.with_options(multiple_fast=COARSE)).result(WAIT)

    assert seen == []


def test_a_stage_that_fails_is_no_end() -> None:
    """Slices that fail in a coarse stage arrive in a later one; nothing is told to have failed."""
    stack = Rising(range(8))
    stack.failing_coarse = {2, 5}
    failed: list[ImageLoadFailed] = []
    with session_of(stack) as session:
        session.subscribe(ImageLoadFailed, failed.append)
        events = watched(session)
        volume = request(session, stack, retrieve=SEQUENTIAL).result(WAIT)

    assert volume.missing == ()
    assert (failed, [each.failures for each in events]) == ([], [2, 0])


def test_what_fails_for_good() -> None:
    """A slice that fails in its last stage is an error; `load` again asks for that one only."""
    stack = Rising(range(8), failing={5: ValueError("slice 5")})
    with session_of(stack) as session:
        with pytest.raises(DecodeError, match="slice 5") as caught:
            request(session, stack, retrieve=SEQUENTIAL).result(WAIT)
        volume = caught.value.volume
        assert volume is not None
        assert volume.missing == caught.value.missing == (5,)
        assert volume.quality.tolist() == [8] * 5 + [6] + [8] * 2 or volume.quality[5] == 0
        stack.failing.clear()
        stack.calls.clear()
        volume.load()

        assert stack.calls == [(5, 8)]
        assert volume.array[:, 0, 0].tolist() == [*range(8)]


def test_failures_are_asked_for_once_more_by_interleaved() -> None:
    """Its last stage repeats what failed."""
    stack = Rising(range(8))
    loads = stack.load

    def once(image_id: ImageId, context: LoadContext) -> Image:
        if int(image_id.rest) == 6 and not any(number == 6 for number, _ in stack.calls):
            stack.calls.append((6, 0))
            raise ValueError("not now")
        return loads(image_id, context)

    stack.load = once  # type: ignore[method-assign]
    with session_of(stack) as session:
        volume = request(session, stack, retrieve="interleaved").result(WAIT)

    assert volume.missing == ()


def test_a_loader_that_is_never_final() -> None:
    """An image that its loader gives at a lower quality only is missing, with or without stages."""
    stack = Stack(range(4))
    loads = stack.load

    def lossy(image_id: ImageId, context: LoadContext) -> Image:
        return Image(loads(image_id, context).pixels, quality=Quality.LOSSY)

    stack.load = lossy  # type: ignore[method-assign]
    for retrieve in (None, SEQUENTIAL):
        with session_of(stack) as session:
            volume = request(session, stack, retrieve=retrieve, errors="collect").result(WAIT)

        assert volume.missing == (0, 1, 2, 3)
        assert volume.quality.tolist() == [7] * 4
        assert {type(error) for error in volume.errors} == {IntegrityError}


def test_iterators_in_volumes() -> None:
    """Of several images that a loader gives of one slice each is shown, and the last one stays."""
    qualities: list[list[int]] = []

    class Several(Stack):
        def load(self, image_id: ImageId, context: LoadContext) -> Any:
            return self.rising(image_id, context)

        def rising(self, image_id: ImageId, context: LoadContext) -> Iterator[Image]:
            yield Image(np.full(SHAPE, 3, "u2"), quality=Quality.SUBRESOLUTION)
            yield super().load(image_id, context)

    stack = Several(range(40, 43))
    with session_of(stack, host_permits=1, compute_permits=1, file_permits=1) as session:
        session.subscribe(VolumeModified, lambda event: qualities.append(event.volume.quality.tolist()))
        volume = request(session, stack).result(WAIT)

    assert volume.array[:, 0, 0].tolist() == [40, 41, 42]
    assert [6, 0, 0] in qualities or [0, 6, 0] in qualities or [0, 0, 6] in qualities


def test_a_wider_block_keeps_what_has_arrived() -> None:
    """When a final slice does not fit, the block is widened with the coarse slices and the copies in it."""
    values = [10, 20, 60000, 30]
    stack = Rising(values, scaling=Scaling(1, -1024), bits_stored=12)
    widened: list[VolumeWidened] = []
    with session_of(stack) as session:
        session.subscribe(VolumeWidened, widened.append)
        volume = request(session, stack, retrieve=SEQUENTIAL).result(WAIT)

    assert len(widened) == 1
    assert volume.array[:, 0, 0].tolist() == [value - 1024 for value in values]


def test_two_volumes_interleave() -> None:
    """Of two volumes that load at the same time neither waits for the end of the other: stage by stage."""
    order: list[tuple[str, str]] = []
    both = threading.Barrier(2)

    class Meeting(Rising):
        def load(self, image_id: ImageId, context: LoadContext) -> Image:
            if int(image_id.rest) in {0, 3}:  # of the first stage, of the second
                both.wait(WAIT)
            return super().load(image_id, context)

    stacks = {name: Meeting(range(24)) for name in ("slices", "others")}
    loaders = {name: stack.loader(many=False) for name, stack in stacks.items()}
    with make_session(loaders, **FEW_AT_A_TIME) as session:
        session.subscribe(RetrieveStage, lambda event: order.append((event.id, event.stage)))
        handles = [
            session.request_volume(
                f"streaming:{name}",
                image_ids=[each.replace("slices", name) for each in stack.ids],
                retrieve="interleaved",
            )
            for name, stack in stacks.items()
        ]
        for handle in handles:
            handle.result(WAIT)

    first = {each: order.index((f"streaming:{each}", "initial")) for each in stacks}
    last = {each: order.index((f"streaming:{each}", "all final")) for each in stacks}
    assert max(first.values()) < min(last.values())


def test_requests_of_a_stage_are_as_urgent_as_it_says() -> None:
    """Type and priority of a stage, plus the priority of the load, are those of its requests."""
    orders = set()

    class Noting(Stack):
        def load(self, image_id: ImageId, context: LoadContext) -> Image:
            orders.add((int(image_id.rest), current_order()))
            return super().load(image_id, context)

    stack = Noting(range(2))
    stages = RetrieveConfiguration.of(
        [
            Stage("first", positions=(0,), request_type=RequestType.INTERACTION, priority=-5),
            Stage("rest", request_type=RequestType.THUMBNAIL, priority=1),
        ]
    )
    with session_of(stack) as session:
        request(session, stack, retrieve=stages, priority=10).result(WAIT)

    assert orders == {(0, (RequestType.INTERACTION, 5)), (1, (RequestType.THUMBNAIL, 11))}


def test_time_points_from_one_outward() -> None:
    """Groups of slices load from the current one outward."""
    stack = Rising(range(12))
    with session_of(stack, host_permits=1, compute_permits=1, file_permits=1) as session:
        events = watched(session)
        request(session, stack, retrieve=outward(1, 4, 3)).result(WAIT)

    assert [number for number, _ in stack.calls] == [3, 4, 5, 0, 1, 2, 6, 7, 8, 9, 10, 11]
    assert [each.stage for each in events] == ["group 1", "group 0", "group 2", "group 3"]


def test_a_position_that_is_not_there() -> None:
    """Stages that ask for more slices than there are fail the load, saying so."""
    stack = Rising(range(3))
    stages = RetrieveConfiguration((Stage("far", positions=(7,)),))
    with session_of(stack) as session, pytest.raises(LoadstoneError, match="position 7 of 3 images"):
        request(session, stack, retrieve=stages).result(WAIT)


def test_a_name_that_is_not_there_is_told_at_once() -> None:
    """Before anything is asked of a loader."""
    stack = Rising(range(3))
    with session_of(stack) as session, pytest.raises(LoadstoneError, match="'backwards'"):
        request(session, stack, retrieve="backwards")

    assert stack.calls == []


def test_what_the_session_has_for_a_volume() -> None:
    """The setting is for all volumes, what was set for an id goes before it; both give the same volume."""
    stack = Rising(range(4))
    with session_of(stack, retrieve="sequential") as session:
        events = watched(session)
        volume = request(session, stack).result(WAIT)
        session.retrieve.set("streaming:all", "single")
        again = request(session, stack, reload=True).result(WAIT)

    assert [each.stage for each in events] == ["fast", "final", "all"]
    assert np.array_equal(volume.array, again.array)


def test_blocks_have_no_stages() -> None:
    """A volume that comes as one block is loaded as ever, whatever the stages."""

    def fill(array: Any, context: LoadContext) -> Iterator[int]:
        array[...] = 5
        yield from range(3)

    header = VolumeHeader((3, 4, 5), np.dtype("u2"))
    loader = VolumeLoader("block", lambda each, _: [VoxelSource(each, header, fill)])
    with make_session() as session:
        session.registry.register_volume_loader("block", loader)
        events = watched(session)
        volume = session.load_volume("block:1", retrieve="interleaved")

    assert (volume.array == 5).all()
    assert events == []


@pytest.mark.parametrize("many", [False, True])
def test_images_before_metadata(*, many: bool) -> None:
    """Without `prefetch_metadata` nothing is asked for but the images; the volume is sorted and equal."""
    described: list[str] = []

    class Silent(Stack):
        def metadata(self, image_ids: Any, context: LoadContext) -> Any:
            described.extend(image_ids)
            return super().metadata(image_ids, context)

    stack = Silent(range(9), scaling=Scaling(1, -5, "HU"))
    with make_session({"slices": stack.loader(many=many)}) as session:
        volume = request(session, stack, prefetch_metadata=False).result(WAIT)

        assert described == []
        plain = request(session, stack, reload=True).result(WAIT)

        assert len(described) == 9
        assert np.array_equal(volume.array, plain.array)
        assert (volume.spacing, volume.units, volume.image_ids) == (plain.spacing, "HU", plain.image_ids)
        assert session.cache.stats().reserved == 0


def test_images_before_a_geometry_that_is_refused() -> None:
    """What does not form a volume is refused then too, with the report, and leaves nothing behind."""
    stack = Stack(range(9))
    ids = [each for each in stack.ids if each != "slices:4"]
    with make_session({"slices": stack.loader()}) as session:
        with pytest.raises(GeometryError, match="gap"):
            session.load_volume("streaming:gap", image_ids=ids, prefetch_metadata=False)

        assert session.cache.stats().reserved == 0


def test_what_the_session_has_for_a_transfer_syntax() -> None:
    """Volumes whose first image is known to be in that transfer syntax are loaded by its stages."""
    syntax = "1.2.840.10008.1.2.4.202"

    class Said(Stack):
        def modules(self, number: int) -> ModuleSet:
            pixel = ImagePixel(SHAPE[0], SHAPE[1], self.dtype)
            return ModuleSet(plane(3.0 * number), pixel, TransferSyntax(syntax))

    stack = Said(range(4))
    with session_of(stack) as session:
        events = watched(session)
        session.retrieve.set(syntax, "sequential")
        request(session, stack).result(WAIT)
        session.retrieve.set("streaming:all", "single")
        request(session, stack, reload=True).result(WAIT)

    assert [each.stage for each in events] == ["fast", "final", "all"]


def test_going_on_after_a_cancel() -> None:
    """What stages have brought before a cancel stays; `load` asks for the rest only, at the final quality."""
    stack = Gated(range(12))
    with session_of(stack, compute_permits=4) as session:
        handle = request(session, stack, retrieve=INTERLEAVED)
        shown = handle.partials()
        volume = next(shown)
        stack.open.release(3)
        next(shown)
        before = {index for index in range(12) if volume.quality[index] == Quality.FULL}
        handle.cancel()
        stack.open.release(100)
        stack.calls.clear()
        volume.load()

    assert before == {0, 5, 11}
    assert not before & {number for number, _ in stack.calls}
    assert volume.missing == ()
    assert volume.array[:, 0, 0].tolist() == [*range(12)]


@pytest.mark.parametrize("retrieve", [None, "interleaved", "sequential"])
def test_the_memory_beside_the_block_is_bounded(retrieve: str | None) -> None:
    """Better images go through scratch memory, of which there is no more than what is on its way."""
    stack = Rising(range(160), shape=(256, 256))
    with make_session({"slices": stack.loader()}, **FEW_AT_A_TIME) as session:
        tracemalloc.start()
        try:
            volume = request(session, stack, retrieve=retrieve).result(WAIT)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert volume.nbytes < peak < volume.nbytes + 5 * 2**20


def test_coarse_slices_are_asked_for_again_where_they_may_be_finer() -> None:
    """A stage of the same quality asks again if it wants other bytes or levels, else it does not."""
    stages = RetrieveConfiguration.of(
        [
            Stage(name, retrieve_type=name.split()[0])
            for name in ("quarter", "quarter again", "half", "final")
        ],
        quarter=RetrieveOptions(Quality.SUBRESOLUTION, decode_level=2),
        half=RetrieveOptions(Quality.SUBRESOLUTION, decode_level=1),
    )
    stack = Rising(range(3))
    with session_of(stack) as session:
        events = watched(session)
        request(session, stack, retrieve=stages).result(WAIT)

    assert [each.skipped for each in events] == [0, 3, 0, 0]
    assert sorted(stack.calls) == sorted([(number, quality) for number in range(3) for quality in (6, 6, 8)])
