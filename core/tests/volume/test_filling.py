"""Volumes of images: in any order, whole or not, and complete again after a failure."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from core.tests.builders import SHAPE, WAIT, Stack, flat, make_session, plane, until
from loadstone import (
    CacheFullError,
    DecodeError,
    FetchError,
    Image,
    ImageLoader,
    IntegrityError,
    InvalidIdError,
    LoadCancelled,
    LoadstoneError,
    MetadataError,
    PluginContractError,
    Progress,
    Quality,
    RequestType,
    Volume,
)
from loadstone.events import (
    ImageLoaded,
    VolumeCached,
    VolumeEvicted,
    VolumeLoaded,
    VolumeLoadFailed,
    VolumeModified,
    VolumeWidened,
)
from loadstone.metadata import ImagePixel, ImagePlane, ModuleSet, Scaling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from loadstone import ImageId, LoadContext, Session

ONE: dict[str, Any] = {"host_permits": 1, "compute_permits": 1, "file_permits": 1}


def session_of(stack: Stack, loader: ImageLoader | None = None, **settings: Any) -> Session:
    """Return a session that loads ``slices:k``."""
    return make_session({"slices": loader or stack.loader()}, **settings)


def load(stack: Stack, loader: ImageLoader | None = None, **keywords: Any) -> Volume:
    """Load all slices of a stack as one volume."""
    with session_of(stack, loader) as session:
        return session.load_volume("streaming:all", image_ids=stack.ids, **keywords)


def values(volume: Volume) -> list[float]:
    """Return the value of each slice, which is the same all over it."""
    slices = volume.array.reshape(len(volume.quality), -1)

    assert (slices == slices[:, :1]).all()
    first: list[float] = slices[:, 0].tolist()
    return first


@pytest.mark.timeout(30)
@pytest.mark.parametrize("settings", [{}, ONE], ids=["wide", "one"])
@pytest.mark.parametrize(
    "options",
    [
        {"many": False},
        {"many": True},
        {"many": True, "batch_size": 1},
        {"many": True, "batch_size": 7},
        {"many": False, "described": False},
        {"many": True, "described": False},
    ],
    ids=str,
)
def test_every_slice_lands_in_its_place(options: dict[str, Any], settings: dict[str, Any]) -> None:
    """One by one, in batches of any size, described before or not: the same volume, sorted by position."""
    stack = Stack(range(20), scaling=Scaling(1, -1000, "HU"), bits_stored=12)
    with session_of(stack, stack.loader(**options), **settings) as session:
        volume = session.load_volume("streaming:all", image_ids=stack.ids)

        assert values(volume) == [number - 1000 for number in range(20)]
        assert (volume.shape, str(volume.dtype), volume.units) == ((20, *SHAPE), "int16", "HU")
        assert (volume.axes, volume.spacing) == (("k", "j", "i"), (0.75, 0.5, 3.0))
        assert volume.image_ids == tuple(f"slices:{number}" for number in range(20))
        assert (volume.missing, volume.errors) == ((), ())
        assert set(volume.quality) == {Quality.FULL}
        assert sorted(stack.asked) == list(range(20))
        assert not volume.array.flags.writeable
        assert volume.header(3) == "header 3"
        assert session.cache.stats().kept == volume.nbytes
        assert session.cache.stats().reserved == 0


class Waiting(Stack):
    """Gives its slices as something to wait for."""

    def load_many(self, image_ids: Sequence[ImageId], context: LoadContext) -> Iterator[tuple[ImageId, Any]]:
        for image_id in image_ids:
            yield image_id, context.submit(self.load, image_id, context.for_image(image_id))


@pytest.mark.timeout(30)
@pytest.mark.parametrize("settings", [{}, ONE], ids=["wide", "one"])
def test_slices_may_be_decoded_behind_the_loader(settings: dict[str, Any]) -> None:
    """`load_many` may give what it has submitted; all of it arrives, and errors with it."""
    stack = Waiting(range(50), failing={7: ValueError("slice 7")})
    with session_of(stack, **settings) as session, pytest.raises(DecodeError, match="slice 7") as caught:
        session.load_volume("streaming:all", image_ids=stack.ids)

    assert caught.value.missing == (7,)
    assert caught.value.volume is not None
    assert values(caught.value.volume) == [number * (number != 7) for number in range(50)]


class TestKindsOfAnswers:
    @pytest.mark.parametrize("kind", ["generator", "coroutine", "nested", "own array"])
    def test_single_images_of_every_kind(self, kind: str) -> None:
        """What an image loader may return for an image, it may return for a slice."""
        stack = Stack(range(6))

        def partial_images(image_id: ImageId, context: LoadContext) -> Iterator[Image]:
            yield flat(99, quality=Quality.SUBRESOLUTION)
            yield stack.load(image_id, context)

        async def coroutine(image_id: ImageId, context: LoadContext) -> Image:
            return stack.load(image_id, context)

        def nested(image_id: ImageId, context: LoadContext) -> Image:
            return context.load_image(f"number:{image_id.rest}", scaled=False)

        def own_array(image_id: ImageId, context: LoadContext) -> Image:
            context.allocate(SHAPE, "u2")[:] = 77
            return flat(int(image_id.rest))

        kinds: dict[str, Callable[..., Any]] = {
            "generator": partial_images,
            "coroutine": coroutine,
            "nested": nested,
            "own array": own_array,
        }
        loader = ImageLoader("slices", kinds[kind], metadata=stack.metadata)

        assert values(load(stack, loader)) == list(range(6))

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (lambda: None, PluginContractError),
            (lambda: flat(1, dtype=">u2"), PluginContractError),
            (lambda: Image(np.zeros(SHAPE, object)), PluginContractError),
            (lambda: flat(1, (4, 6)), IntegrityError),
            (lambda: flat(1, (4, 5, 3), "u1"), IntegrityError),
            (lambda: flat(-1, dtype="i4"), MetadataError),
        ],
    )
    @pytest.mark.parametrize("many", [False, True])
    def test_nonsense_fails_its_slice_alone(
        self, answer: Callable[[], Any], error: type[LoadstoneError], many: bool
    ) -> None:
        """The other slices arrive."""
        stack = Stack(range(5))

        def load_one(image_id: ImageId, context: LoadContext) -> Any:
            return answer() if image_id.rest == "2" else stack.load(image_id, context)

        def load_many(ids: Sequence[ImageId], context: LoadContext) -> Iterator[tuple[ImageId, Any]]:
            for image_id in ids:
                yield image_id, load_one(image_id, context)

        loader = ImageLoader("slices", load_one, load_many if many else None, stack.metadata)
        with pytest.raises(error) as caught:
            load(stack, loader)

        assert caught.value.missing == (2,)
        assert caught.value.volume is not None
        assert values(caught.value.volume) == [0, 1, 0, 3, 4]

    @pytest.mark.parametrize(
        ("ids", "missing"),
        [
            (lambda ids: ids[:-1], 1),
            (lambda _: [], 5),
            (lambda ids: [*ids[:3], ids[0]], 2),
            (lambda ids: [ids[0], "slices:99"], 4),
            (lambda ids: [ids[0], "number:1"], 4),
        ],
        ids=["one missing", "nothing", "one twice", "a foreign one", "another scheme"],
    )
    def test_ids_that_load_many_leaves_out_or_makes_up(
        self, ids: Callable[[Sequence[ImageId]], Sequence[ImageId]], missing: int
    ) -> None:
        """What was asked for and not given is missing; what was not asked for breaks the contract."""
        stack = Stack(range(5))

        def load_many(wanted: Sequence[ImageId], context: LoadContext) -> Iterator[tuple[ImageId, Any]]:
            for image_id in ids(wanted):
                yield image_id, stack.load(image_id, context) if image_id in wanted else flat(1)

        with pytest.raises(PluginContractError) as caught:
            load(stack, ImageLoader("slices", stack.load, load_many, stack.metadata))

        assert len(caught.value.missing) == missing

    @pytest.mark.parametrize("error", [ValueError("bad"), SystemExit(1), StopIteration(), OSError("disk")])
    @pytest.mark.parametrize("many", [False, True])
    def test_a_loader_that_raises_loses_no_other_slice(self, error: BaseException, many: bool) -> None:
        """Whatever it raises, what arrived before stays, and the error is typed."""
        stack = Stack(range(5))
        arrived = list[str]()

        def load_one(image_id: ImageId, context: LoadContext) -> Image:
            if image_id.rest == "3":
                raise error
            arrived.append(image_id)
            return stack.load(image_id, context)

        def load_many(ids: Sequence[ImageId], context: LoadContext) -> Iterator[tuple[ImageId, Image]]:
            for image_id in ids:
                yield image_id, load_one(image_id, context)

        loader = ImageLoader("slices", load_one, load_many if many else None, stack.metadata)
        with pytest.raises(LoadstoneError) as caught:
            load(stack, loader)

        assert type(caught.value) in {DecodeError, FetchError}
        assert 3 in caught.value.missing
        assert len(caught.value.missing) + len(arrived) == 5

    def test_its_generator_ends_with_the_volume(self) -> None:
        """A generator that is left early is closed at once: its stream does not wait for the collector."""
        closed = threading.Event()
        stack = Stack(range(5))

        def load_many(ids: Sequence[ImageId], context: LoadContext) -> Iterator[tuple[ImageId, Any]]:
            try:
                yield from (
                    (image_id, None) if image_id == "foreign" else ("slices:99", None) for image_id in ids
                )  # type: ignore[misc]
            finally:
                closed.set()

        gc.disable()
        try:
            with pytest.raises(PluginContractError):
                load(stack, ImageLoader("slices", stack.load, load_many, stack.metadata))

            assert closed.is_set()
        finally:
            gc.enable()


class TestFailure:
    def test_the_error_carries_what_arrived(self) -> None:
        """One bad slice: the volume, what it lacks, and every error."""
        stack = Stack(range(6), failing={2: ValueError("two"), 4: OSError("four")})
        with pytest.raises(LoadstoneError) as caught:
            load(stack)
        volume = caught.value.volume

        assert volume is not None
        assert caught.value.missing == volume.missing == (2, 4)
        assert values(volume) == [0, 1, 0, 3, 0, 5]
        assert sorted(type(error).__name__ for error in volume.errors) == ["DecodeError", "FetchError"]
        assert isinstance(caught.value.__cause__, ValueError | OSError)
        assert "2 missing" in repr(volume)

    def test_collect_returns_it(self) -> None:
        """`errors="collect"` makes an incomplete volume a result, which is not cached."""
        stack = Stack(range(6), failing={2: ValueError("two")})
        with session_of(stack) as session:
            volume = session.load_volume("streaming:all", image_ids=stack.ids, errors="collect")

            assert volume.missing == (2,)
            assert [str(error) for error in volume.errors] == [
                "slices:2: the loader failed with ValueError: two"
            ]
            assert session.cache.stats().entries == 0

    def test_who_wants_it_whole_does_not_join_who_collects(self) -> None:
        """Two callers that differ in this do not share a load."""
        started, go = threading.Semaphore(0), threading.Event()
        stack = Stack(range(3))

        def wait(image_id: ImageId, context: LoadContext) -> Image:
            started.release()
            assert go.wait(WAIT)
            if image_id.rest == "1":
                raise ValueError("one")
            return stack.load(image_id, context)

        with session_of(stack, ImageLoader("slices", wait, metadata=stack.metadata)) as session:
            collecting = session.request_volume("streaming:a", image_ids=stack.ids, errors="collect")
            assert started.acquire(timeout=WAIT)
            whole = session.request_volume("streaming:a", image_ids=stack.ids)
            go.set()

            assert collecting.result(WAIT).missing == (1,)
            assert isinstance(whole.exception(WAIT), DecodeError)

    @pytest.mark.parametrize("described", [True, False])
    def test_loading_again_asks_only_for_what_is_missing(self, described: bool) -> None:
        """`Volume.load` completes the same array."""
        stack = Stack(range(6), failing={2: ValueError("two"), 4: ValueError("four")})
        with session_of(stack, stack.loader(many=False)) as session:
            volume = session.load_volume("streaming:all", image_ids=stack.ids, errors="collect")
            array, seen = volume.array, list[Progress]()
            stack.asked.clear()
            del stack.failing[2]
            with pytest.raises(DecodeError, match="four") as caught:
                volume.load()
            del stack.failing[4]
            completed = volume.load(progress=seen.append)
            volume.load()

            assert caught.value.volume is volume
            assert completed is volume
            assert volume.array is array or np.shares_memory(volume.array, array)
            assert sorted(stack.asked) == [2, 4, 4]
            assert values(volume) == list(range(6))
            assert (volume.missing, volume.errors) == ((), ())
            assert seen[-1].done == seen[-1].total == 6

    def test_without_metadata_the_first_error_ends_it(self) -> None:
        """What must be loaded to be described fails as a whole, and everything is given back."""
        stack = Stack(range(6), failing={2: ValueError("two")})
        with session_of(stack, stack.loader(described=False)) as session:
            with pytest.raises(DecodeError, match="two"):
                session.load_volume("streaming:all", image_ids=stack.ids)

            assert session.cache.stats().reserved == 0
            assert session.pool.stats().queued[RequestType.PREFETCH] == 0

    def test_a_failed_volume_is_gone_without_the_collector(self) -> None:
        """The volume knows its errors and the error its volume, but they do not keep each other alive."""
        stack = Stack(range(6), failing={2: ValueError("two")})
        gc.collect()
        gc.disable()
        try:
            with session_of(stack) as session:
                gone = self.reference_to_what_arrived(session, stack)

                assert gone() is None
        finally:
            gc.enable()

    @staticmethod
    def reference_to_what_arrived(session: Session, stack: Stack) -> Callable[[], object]:
        try:
            session.load_volume("streaming:all", image_ids=stack.ids)
        except DecodeError as error:
            if error.volume is not None:
                return weakref.ref(error.volume)
        raise AssertionError("it did not fail")

    def test_a_volume_that_nobody_holds_is_gone_without_the_collector(self) -> None:
        """A loop over many volumes needs memory for one."""
        stack = Stack(range(6))
        gc.collect()
        gc.disable()
        try:
            with session_of(stack) as session:
                gone = weakref.ref(session.load_volume("streaming:all", image_ids=stack.ids, cache=False))

                assert gone() is None
        finally:
            gc.enable()


class TestCancel:
    def test_what_has_not_arrived_is_zero(self) -> None:
        """A slice that was half decoded when the load was cancelled does not show."""
        half, go = threading.Event(), threading.Event()
        stack = Stack(range(1, 5))

        def load_one(image_id: ImageId, context: LoadContext) -> Image:
            image = stack.load(image_id, context)
            if image_id.rest == "2":
                half.set()
                assert go.wait(WAIT)
                context.raise_if_cancelled()
            return image

        with session_of(stack, ImageLoader("slices", load_one, metadata=stack.metadata)) as session:
            handle = session.request_volume("streaming:all", image_ids=stack.ids)
            volume = next(handle.partials())
            assert half.wait(WAIT)
            handle.cancel()
            go.set()
            until(lambda: not any(session.pool.stats().running.values()))

            assert 2 in volume.missing
            assert not volume.array[2].any()
            assert session.cache.stats().reserved == session.cache.stats().kept == 0

    def test_completing_waits_until_the_cancelled_load_has_really_ended(self) -> None:
        """Two loads never write into one slice at a time."""
        inside, most, lock = 0, 0, threading.Lock()
        stack = Stack(range(8))

        def load_one(image_id: ImageId, context: LoadContext) -> Image:
            nonlocal inside, most
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.01)
            with lock:
                inside -= 1
            return stack.load(image_id, context)

        loader = ImageLoader("slices", load_one, metadata=stack.metadata)
        with session_of(stack, loader, **ONE) as session:
            handle = session.request_volume("streaming:all", image_ids=stack.ids)
            volume = next(handle.partials())
            until(lambda: inside)
            handle.cancel()
            volume.load()

            assert values(volume) == list(range(8))
            assert most <= 2

    def test_load_while_it_loads_waits_for_the_same(self) -> None:
        """`Volume.load` on a volume that is still filling loads nothing twice."""
        stack = Stack(range(8))
        started, go = threading.Event(), threading.Event()

        def load_one(image_id: ImageId, context: LoadContext) -> Image:
            started.set()
            assert go.wait(WAIT)
            return stack.load(image_id, context)

        with session_of(stack, ImageLoader("slices", load_one, metadata=stack.metadata)) as session:
            handle = session.request_volume("streaming:all", image_ids=stack.ids)
            volume = next(handle.partials())
            assert started.wait(WAIT)
            threading.Timer(0.05, go.set).start()

            assert volume.load() is volume is handle.result(WAIT)
            assert sorted(stack.asked) == list(range(8))


class TestUsableWhileItFills:
    def test_the_empty_volume_comes_first(self) -> None:
        """`partials` yields the volume while nothing has arrived, and final slices are final."""
        gates = [threading.Event() for _ in range(4)]
        stack = Stack([5, 6, 7, 8])

        def load_many(ids: Sequence[ImageId], context: LoadContext) -> Iterator[tuple[ImageId, Image]]:
            for image_id in sorted(ids):
                assert gates[int(image_id.rest)].wait(WAIT)
                yield image_id, stack.load(image_id, context)

        with session_of(stack, ImageLoader("slices", stack.load, load_many, stack.metadata)) as session:
            handle = session.request_volume("streaming:all", image_ids=stack.ids)
            volume = next(handle.partials())
            states = [(volume.missing, int(volume.array.max()))]
            for number, gate in enumerate(gates):
                gate.set()
                until(lambda number=number: number not in volume.missing)  # type: ignore[misc] # mypy #12557
                states.append((volume.missing, int(volume.array[number].max())))

            assert states == [((0, 1, 2, 3), 0), ((1, 2, 3), 5), ((2, 3), 6), ((3,), 7), ((), 8)]
            assert handle.result(WAIT) is volume

    def test_progress_counts_slices(self) -> None:
        """From nothing to all, never backwards."""
        stack, seen = Stack(range(9)), list[Progress]()
        with session_of(stack, stack.loader(many=False)) as session:
            session.load_volume("streaming:all", image_ids=stack.ids, progress=seen.append)
        done = [progress.done for progress in seen]

        assert done == sorted(done)
        assert (seen[-1].done, seen[-1].total) == (9, 9)

    def test_each_event_comes_once(self) -> None:
        """A volume announces each slice, then itself; a cache hit announces nothing."""
        stack, seen = Stack(range(3)), list[str]()
        with session_of(stack) as session:
            for kind in (
                VolumeLoaded,
                VolumeCached,
                VolumeEvicted,
                VolumeLoadFailed,
                VolumeModified,
                ImageLoaded,
            ):
                session.subscribe(kind, lambda event: seen.append(type(event).__name__))
            session.load_volume("streaming:all", image_ids=stack.ids)
            session.load_volume("streaming:all", image_ids=stack.ids)
            session.cache.purge()
            stack.failing[1] = ValueError("one")
            with pytest.raises(DecodeError):
                session.load_volume("streaming:other", image_ids=stack.ids[:2])

        assert seen == [
            *["VolumeModified"] * 3,
            "VolumeLoaded",
            "VolumeCached",
            "VolumeEvicted",
            *["VolumeModified"] * 1,
            "VolumeLoadFailed",
        ]


class TestScaling:
    def test_slices_may_be_scaled_each_in_its_own_way(self) -> None:
        """PET: every slice has its slope; one dtype holds them all."""
        stack = Stack([100] * 4, scaling=lambda number: Scaling(0.5 + number, 0, "BQML"))
        volume = load(stack)

        assert values(volume) == [50, 150, 250, 350]
        assert (str(volume.dtype), volume.units) == ("float32", "BQML")

    def test_units_that_differ_are_no_unit(self) -> None:
        """A volume of several units says none."""
        stack = Stack([1, 2], scaling=lambda number: Scaling(2, 0, f"unit {number}"))

        assert load(stack).units == ""

    def test_stored_values_on_request(self) -> None:
        """`scaled=False` gives what the file holds, without a unit."""
        stack = Stack([1, 2], scaling=Scaling(2, 5, "HU"))
        volume = load(stack, scaled=False)

        assert (values(volume), str(volume.dtype), volume.units) == ([1.0, 2.0], "uint16", "")

    def test_a_dtype_on_request(self) -> None:
        """`dtype=` is honoured, and refused where a value does not fit."""
        stack = Stack([1, 2000], scaling=Scaling(2, 5, "HU"))

        assert load(stack, dtype="f8").dtype == np.float64
        assert values(load(stack, dtype="i4")) == [7, 4005]
        with pytest.raises(MetadataError, match="uint8") as caught:
            load(stack, dtype="u1")
        assert caught.value.missing == (1,)

    @pytest.mark.parametrize("many", [True, False])
    @pytest.mark.parametrize("described", [True, False])
    def test_a_frame_that_does_not_fit_widens_the_volume_once(self, many: bool, described: bool) -> None:
        """CT of 16 bits from GE: the block is made anew, announced, and holds everything."""
        stack = Stack([0, 1000, 65535, 40000], scaling=Scaling(1, -1024, "HU"), bits_stored=16)
        widened = list[Volume]()
        with session_of(stack, stack.loader(many=many, described=described)) as session:
            session.subscribe(VolumeWidened, lambda event: widened.append(event.volume))
            volume = session.load_volume("streaming:all", image_ids=stack.ids)

            assert values(volume) == [-1024, -24, 64511, 38976]
            assert volume.dtype == np.int32
            assert widened == [volume]
            assert session.cache.stats().kept == volume.nbytes
            assert session.cache.stats().reserved == 0

    def test_a_volume_that_cannot_be_widened_says_so(self) -> None:
        """Where the budget does not hold both blocks, the error carries what there is."""
        stack = Stack([0, 1000, 65535], scaling=Scaling(1, -1024), bits_stored=16)
        with session_of(stack, cache_bytes=250) as session:
            with pytest.raises(CacheFullError) as caught:
                session.load_volume("streaming:all", image_ids=stack.ids)

            assert caught.value.missing == (2,)
            assert caught.value.volume is not None
            assert values(caught.value.volume) == [-1024, -24, 0]
            assert session.cache.stats().reserved == 0

    def test_an_image_may_know_better_than_its_metadata(self) -> None:
        """What the pixels come with counts, as long as it fits the volume."""
        stack = Stack([1, 2, 3])
        better = Image(np.full(SHAPE, 10, "u2"), slope=2.0)
        loader = ImageLoader(
            "slices",
            lambda image_id, context: better if image_id.rest == "1" else stack.load(image_id, context),
            metadata=stack.metadata,
        )

        assert values(load(stack, loader)) == [1, 20, 3]

    def test_colour(self) -> None:
        """RGB slices make an axis of their own, and are never scaled."""
        stack = Stack([1, 2], dtype="u1", shape=(4, 5, 3), scaling=Scaling(2, 1))
        volume = load(stack)

        assert (volume.shape, volume.axes) == ((2, 4, 5, 3), ("k", "j", "i", "rgb"))
        assert values(volume) == [1, 2]


class TestCache:
    def test_a_cached_volume_is_the_same_volume(self) -> None:
        """No slice is loaded twice."""
        stack = Stack(range(3))
        with session_of(stack) as session:
            first = session.load_volume("streaming:all", image_ids=stack.ids)

            assert session.load_volume("streaming:all", image_ids=stack.ids) is first
            assert session.load_volume("streaming:all", image_ids=stack.ids, reload=True) is not first
            assert len(stack.asked) == 6

    def test_a_new_volume_evicts_other_images_before_its_own(self) -> None:
        """What is outside goes first, so that the volume takes over what is inside."""
        stack = Stack(range(2))
        with session_of(stack, cache_bytes=160) as session:
            session.load_image("slices:0")
            session.load_image("number:1")
            session.load_image("number:2")
            session.load_volume("streaming:all", image_ids=stack.ids)

            assert stack.asked == [0, 1]

    def test_one_that_does_not_fit_is_refused_before_anything_is_evicted_or_loaded(self) -> None:
        """`CacheFullError` comes from the headers alone; `cache=False` does without the budget."""
        stack = Stack(range(10))
        with session_of(stack, cache_bytes=300) as session:
            session.load_image("number:1")
            with pytest.raises(CacheFullError):
                session.load_volume("streaming:all", image_ids=stack.ids)

            assert stack.asked == []
            assert session.cache.stats().entries == 1
            assert session.load_volume("streaming:all", image_ids=stack.ids, cache=False).nbytes == 400

    @pytest.mark.parametrize("described", [True, False])
    def test_the_budget_counts_every_byte_on_the_way(self, described: bool) -> None:
        """Images that must be loaded to be described are charged until they are in the volume."""
        stack, worst = Stack(range(10)), [0]
        with session_of(stack, stack.loader(described=described)) as session:
            session.subscribe(VolumeModified, lambda _: worst.append(session.cache.stats().reserved))
            session.load_volume("streaming:all", image_ids=stack.ids)

            assert max(worst) == (400 if described else 800)
            assert session.cache.stats().kept == 400
        with session_of(stack, stack.loader(described=described), cache_bytes=400) as session:
            session.load_volume("streaming:all", image_ids=stack.ids)  # what was loaded first is let go

            assert session.cache.stats().kept == 400
        with session_of(stack, stack.loader(described=described), cache_bytes=399) as session:
            handle = session.request_volume("streaming:all", image_ids=stack.ids)

            assert isinstance(handle.exception(WAIT), CacheFullError)
            assert session.cache.stats().reserved == 0

    def test_pinned_ones_stay_until_released_as_often(self) -> None:
        """Each `create_volume` needs its `release`, and only then is the memory free."""
        stack = Stack(range(3))
        with session_of(stack, cache_bytes=130) as session:
            first = session.create_volume("streaming:all", image_ids=stack.ids)
            second = session.create_volume("streaming:all", image_ids=stack.ids)
            with pytest.raises(CacheFullError):
                session.load_image("number:1")
            session.release(first)
            pinned = session.cache.stats().pinned
            session.release(second)

            assert first is second
            assert (pinned, session.cache.stats().entries) == (120, 0)
            assert values(first) == [0, 1, 2]

    def test_those_who_create_it_at_once_pin_it_each(self) -> None:
        """Callers that share a load pin its volume as often as they asked, whoever came first."""
        stack = Stack(range(3))
        started, go = threading.Event(), threading.Event()

        def wait(image_id: ImageId, context: LoadContext) -> Image:
            started.set()
            assert go.wait(WAIT)
            return stack.load(image_id, context)

        with session_of(stack, ImageLoader("slices", wait, metadata=stack.metadata)) as session:
            handles = [
                session.request_volume("streaming:all", image_ids=stack.ids, pinned=pinned)
                for pinned in (False, True, True, True)
            ]
            assert started.wait(WAIT)
            handles[3].cancel()
            go.set()
            volumes = [handle.result(WAIT) for handle in handles[:3]]
            (entry,) = session.cache._entries.values()

            assert len(set(map(id, volumes))) == 1
            assert entry.pins == 2

    @pytest.mark.parametrize("how", ["failed", "incomplete", "uncached"])
    def test_a_pin_of_what_does_not_stay_is_forgotten(self, how: str) -> None:
        """The next volume under that id is not pinned by accident."""
        stack = Stack(range(3), failing={1: ValueError("one")} if how != "uncached" else {})
        options: dict[str, Any] = (
            {"errors": "collect"} if how == "incomplete" else {"cache": how != "uncached"}
        )
        with session_of(stack) as session:
            session.request_volume("streaming:all", image_ids=stack.ids, pinned=True, **options).exception(
                WAIT
            )
            stack.failing.clear()
            session.load_volume("streaming:all", image_ids=stack.ids)

            assert session.cache.stats().pinned == 0

    def test_releasing_one_that_is_not_pinned_drops_it(self) -> None:
        """`release` is for volumes of `load_volume` as well."""
        stack = Stack(range(3))
        with session_of(stack) as session:
            session.release(session.load_volume("streaming:all", image_ids=stack.ids))

            assert session.cache.stats().entries == 0


class TestImagesOfIt:
    def test_a_slice_is_a_view(self) -> None:
        """`image(k)` copies nothing, and knows what a loaded image knows."""
        stack = Stack([5, 6, 7], scaling=Scaling(2, 1, "HU"))
        volume = load(stack)
        image = volume.image(1)

        assert np.shares_memory(image.pixels, volume.array)
        assert (image.image_id, image.units, image.slope, image.quality) == (
            "slices:1",
            "HU",
            2,
            Quality.FULL,
        )
        assert image.pixels[0, 0] == 13
        assert image.plane == plane(3.0)
        assert volume.image(-1).image_id == "slices:2"
        assert not image.pixels.flags.writeable
        with pytest.raises(IndexError):
            volume.image(3)

    def test_one_that_has_not_arrived_says_so(self) -> None:
        """Its pixels are zero, and its quality is not full."""
        stack = Stack([5, 6], failing={0: ValueError("zero")})
        volume = load(stack, errors="collect")

        assert not volume.image(0).pixels.any()
        assert volume.image(0).quality < Quality.FULL
        assert volume.image(0).image_id == "slices:0"


class TestWhatCannotBe:
    def test_no_image_ids(self) -> None:
        """An empty list is the caller's mistake."""
        with make_session() as session, pytest.raises(LoadstoneError, match="image_ids is empty"):
            _ = session.request_volume("streaming:a", image_ids=[])

    def test_an_image_twice(self) -> None:
        """It has one place in the volume, and would never come to the other."""
        with make_session() as session, pytest.raises(LoadstoneError, match="1 of its 3 images again"):
            _ = session.request_volume("streaming:a", image_ids=["a:1", "a:2", "a:1"])

    def test_ids_of_several_schemes(self) -> None:
        """One volume comes from one loader."""
        with (
            make_session({"slices": Stack(range(2)).loader()}) as session,
            pytest.raises(InvalidIdError, match="several schemes"),
        ):
            session.load_volume("streaming:a", image_ids=["slices:0", "number:1"])

    def test_images_of_several_sizes(self) -> None:
        """The error says which sizes there are."""
        with (
            make_session({"sized": lambda i, _: flat(1, (4, int(i.rest)))}) as session,
            pytest.raises(LoadstoneError, match="4 x 5 x 1, 4 x 6 x 1"),
        ):
            session.load_volume("streaming:a", image_ids=["sized:5", "sized:6"])

    @pytest.mark.parametrize(
        "modules",
        [
            ModuleSet(ImagePixel(0, 5, np.dtype("u2"))),
            ModuleSet(ImagePixel(4, 5, np.dtype("u2"), 2)),
        ],
    )
    def test_images_that_do_not_say_how_large_they_are(self, modules: ModuleSet) -> None:
        """Nothing is planned from a size that makes no sense."""
        loader = ImageLoader(
            "toy", lambda _, __: flat(1), metadata=lambda ids, _: dict.fromkeys(ids, modules)
        )
        with make_session({"toy": loader}) as session, pytest.raises(MetadataError, match="toy:1"):
            session.load_volume("streaming:a", image_ids=["toy:1"])

    def test_images_whose_metadata_does_not_tell_the_size_are_loaded_to_learn_it(self) -> None:
        """Metadata may say nothing of some images: only those are loaded first, and each only once."""
        asked: list[str] = []

        def answer(image_id: ImageId, _: LoadContext) -> Image:
            asked.append(image_id.rest)
            return flat(int(image_id.rest))

        rows, columns = flat(1).pixels.shape
        known = ModuleSet(ImagePixel(rows, columns, flat(1).pixels.dtype))
        loader = ImageLoader(
            "toy",
            answer,
            metadata=lambda ids, _: {each: known if each.rest == "2" else ModuleSet() for each in ids},
        )
        with make_session({"toy": loader}) as session:
            volume = session.load_volume("streaming:a", image_ids=["toy:1", "toy:2", "toy:3"])

        assert volume.array[:, 0, 0].tolist() == [1, 2, 3]
        assert sorted(asked) == ["1", "2", "3"]

    def test_errors_is_raise_or_collect(self) -> None:
        """A misspelt wish is refused."""
        with make_session() as session, pytest.raises(LoadstoneError, match="collect"):
            _ = session.request_volume("streaming:a", image_ids=["number:1"], errors="ignore")  # type: ignore[arg-type]

    def test_a_closed_session_loads_nothing_more(self) -> None:
        """A volume outlives its session, but cannot be completed."""
        stack = Stack(range(3), failing={1: ValueError("one")})
        volume = load(stack, errors="collect")

        assert values(volume) == [0, 0, 2]
        with pytest.raises(LoadstoneError, match="closed"):
            volume.load()


def test_metadata_that_is_set_by_hand_places_the_slices() -> None:
    """What `session.metadata.set` says of an image counts for volumes."""
    stack = Stack(range(3))
    with session_of(stack) as session:
        for number in range(3):
            session.metadata.set(f"slices:{number}", plane(-5.0 * number, (0.25, 0.25)))
        volume = session.load_volume("streaming:all", image_ids=stack.ids)

        assert values(volume) == [2, 1, 0]
        assert volume.spacing == (0.25, 0.25, 5.0)
        assert volume.metadata.get(ImagePlane) == plane(-10.0, (0.25, 0.25))


def test_a_cancelled_session_settles_its_volumes() -> None:
    """Closing while a volume loads settles its handle, and nothing is left in flight."""
    stack, started, go = Stack(range(3)), threading.Event(), threading.Event()

    def wait(image_id: ImageId, context: LoadContext) -> Image:
        started.set()
        assert go.wait(WAIT)
        context.raise_if_cancelled()
        return stack.load(image_id, context)

    session = session_of(stack, ImageLoader("slices", wait, metadata=stack.metadata))
    handle = session.request_volume("streaming:all", image_ids=stack.ids)
    assert started.wait(WAIT)
    threading.Timer(0.05, go.set).start()
    session.close()

    assert isinstance(handle.exception(WAIT), LoadCancelled)
    assert session.cache.stats().reserved == 0
