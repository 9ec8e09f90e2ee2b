"""Frames that a volume takes over from the cache, and those that its images are then views of."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from core.tests.builders import Stack, make_session
from core.tests.volume.test_voxels import Block
from loadstone import Image, LoadstoneError, Session, VoxelSource
from loadstone.events import ImageEvicted, VolumeCached
from loadstone.metadata import Scaling

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadstone import ImageId, LoadContext, VolumeId

SLICE = 40
"""Bytes of a slice of `Stack`."""


def session_of(stack: Stack, *, described: bool = True, **options: Any) -> Session:
    """Return a session with a stack of slices."""
    return make_session({"slices": stack.loader(described=described)}, **options)


def kept(session: Session) -> int:
    """Return the bytes in the cache; nothing may be in flight."""
    stats = session.cache.stats()
    assert stats.reserved == 0
    return stats.kept


class Named(Block):
    """A block whose images have names."""

    def open(self, volume_id: VolumeId, context: LoadContext) -> Iterable[VoxelSource]:
        """Describe it."""
        ids = tuple(f"named:{k}" for k in range(len(self.slices)))
        return [VoxelSource(str(volume_id), self.header, self.fill, image_ids=ids)]

    def load(self, image_id: ImageId, context: LoadContext) -> Image:
        """Load one of its images."""
        return Image(self.slices[int(image_id.rest)].copy())


class TestAdoption:
    def test_what_is_cached_is_not_asked_for_again(self) -> None:
        """Frames in the cache are copied into the volume, and counted once."""
        stack = Stack(range(4))
        seen: list[str] = []
        with session_of(stack) as session:
            for number in range(4):
                session.load_image(f"slices:{number}")
            before, stack.asked = kept(session), []
            for kind in (ImageEvicted, VolumeCached):
                session.subscribe(kind, lambda event: seen.append(type(event).__name__))
            volume = session.load_volume("streaming:all", image_ids=stack.ids)
            image = session.load_image("slices:2")
            after = kept(session)

        assert (before, after) == (4 * SLICE, 4 * SLICE)
        assert stack.asked == []
        assert volume.array[:, 0, 0].tolist() == [0, 1, 2, 3]
        assert np.shares_memory(image.pixels, volume.array)
        assert seen == [*["ImageEvicted"] * 4, "VolumeCached"]

    def test_only_what_is_missing_is_asked_for(self) -> None:
        """The volume takes over what there is, and its progress counts that."""
        stack, progress = Stack(range(4)), list[int]()
        with session_of(stack) as session:
            session.load_image("slices:1")
            volume = session.load_volume(
                "streaming:all", image_ids=stack.ids, progress=lambda each: progress.append(each.done)
            )

        assert sorted(stack.asked) == [0, 1, 2, 3]
        assert volume.array[:, 0, 0].tolist() == [0, 1, 2, 3]
        assert progress[-1] == 4

    def test_a_frame_of_another_volume_is_copied(self) -> None:
        """Two volumes over the same images ask for each once."""
        stack = Stack(range(4))
        with session_of(stack) as session:
            session.load_volume("streaming:all", image_ids=stack.ids)
            part = session.load_volume("streaming:part", image_ids=["slices:1", "slices:2"])

        assert sorted(stack.asked) == [0, 1, 2, 3]
        assert part.array[:, 0, 0].tolist() == [1, 2]

    def test_reload_takes_nothing_over(self) -> None:
        """It reads everything anew."""
        stack = Stack(range(2))
        with session_of(stack) as session:
            session.load_image("slices:0")
            stack.values = [5, 6]
            volume = session.load_volume("streaming:all", image_ids=stack.ids, reload=True)

        assert volume.array[:, 0, 0].tolist() == [5, 6]

    @pytest.mark.parametrize(
        ("cached", "asked", "loads"),
        [
            ({"dtype": "u2"}, {}, 0),
            ({}, {"dtype": "f4"}, 0),
            ({}, {"dtype": "u1"}, 0),
            ({"dtype": "f4"}, {}, 1),
            ({"dtype": "f4"}, {"dtype": "f8"}, 1),
            ({"scaled": False}, {}, 1),
            ({}, {"scaled": False}, 1),
        ],
    )
    def test_a_frame_of_another_dtype_is_converted_where_that_is_exact(
        self, cached: dict[str, Any], asked: dict[str, Any], loads: int
    ) -> None:
        """Floats were rounded, and what stored values mean only the plugin knows: those are loaded."""
        stack = Stack([200])
        with session_of(stack) as session:
            session.load_image("slices:0", **cached)
            stack.asked = []
            volume = session.load_volume("streaming:all", image_ids=stack.ids, **asked)

        assert len(stack.asked) == loads
        assert volume.array[0, 0, 0] == 200

    def test_images_that_describe_nothing_beforehand_make_a_volume_too(self) -> None:
        """Cached images say themselves where they lie: no loader runs."""
        stack = Stack(range(3), scaling=Scaling(2, 1, "HU"))
        with session_of(stack, described=False) as session:
            images = [session.load_image(each) for each in stack.ids]
            stack.asked = []
            volume = session.load_volume("streaming:all", image_ids=stack.ids)

        assert stack.asked == []
        assert volume.array[:, 0, 0].tolist() == [1, 3, 5]
        assert (volume.units, volume.dtype) == ("HU", images[0].pixels.dtype)
        assert volume.image(1).slope == 2

    def test_a_block_takes_over_all_or_nothing(self) -> None:
        """What comes as one stream is read from its start anyway."""
        stored = np.arange(24, dtype="u2").reshape(2, 3, 4)
        block = Named(stored)
        with make_session({"named": block.load}) as session:
            session.registry.register_volume_loader("named", block.open)
            session.load_image("named:0")
            session.load_volume("named:all")
            one = block.fills
            session.cache.purge()
            for k in range(2):
                session.load_image(f"named:{k}")
            volume = session.load_volume("named:all")
            image = session.load_image("named:1")

        assert (one, block.fills) == (1, 1)
        assert np.array_equal(volume.array, stored)
        assert np.shares_memory(image.pixels, volume.array)

    def test_a_block_whose_images_have_no_names_takes_over_nothing(self) -> None:
        """It is filled though images are cached."""
        block = Block(np.arange(24, dtype="u2").reshape(2, 3, 4))
        with make_session() as session:
            session.registry.register_volume_loader("block", block.open)
            session.load_image("number:1")
            volume = session.load_volume("block:1")

        assert np.array_equal(volume.array, block.stored)

    def test_a_block_may_name_images_that_nobody_loads(self) -> None:
        """It is filled, whatever is cached; its images cannot be asked for."""
        block = Named(np.arange(24, dtype="u2").reshape(2, 3, 4))
        with make_session() as session:
            session.registry.register_volume_loader("named", block.open)
            session.load_image("number:1")
            volume = session.load_volume("named:1")
            session.release(volume, keep_images=True)
            with pytest.raises(LoadstoneError, match="named"):
                session.load_image("named:0")

        assert np.array_equal(volume.array, block.stored)

    def test_images_of_another_name_are_its_own_too(self) -> None:
        """The plugin says which ids are the same image; those go last when the volume needs room."""
        stack = Stack(range(2))
        loader = replace(stack.loader(), canonical=lambda image_id: image_id.rest.lstrip("0") or "0")
        with make_session({"slices": loader}, cache_bytes=4 * SLICE) as session:
            for name in ("slices:00", "number:1", "number:2"):
                session.load_image(name)
            session.load_volume("streaming:all", image_ids=stack.ids)

        assert stack.asked == [0, 1]
