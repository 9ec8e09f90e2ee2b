"""``dicomfile:``: a Part-10 file, one of its frames, a folder or DICOMDIR, an object in memory."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from loadstone import ImageId, LoadCancelled, LoadstoneError
from loadstone.ids import path_of, rest_of
from loadstone_wado.decode import decode_frame, decode_reduced, is_direct, load_direct
from loadstone_wado.ids import Selection, frame_of
from loadstone_wado.modules import frame_modules
from loadstone_wado.series import Member, stacks_of
from loadstone_wado.sources.dicomdir import scan_dicomdir
from loadstone_wado.sources.file import StoredObject, file_status, is_dicomdir, stored_object
from loadstone_wado.sources.folder import Folder, scan_folder
from loadstone_wado.sources.registered import find_registered, is_registered

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from loadstone import Image, ImageStack, LoadContext, VolumeId
    from loadstone.metadata import Modules
    from loadstone_wado.instance import Instance
    from loadstone_wado.part10 import Part10

__all__ = ["canonical", "instance_of", "load", "load_many", "metadata", "open_volumes"]


def canonical(image_id: ImageId) -> str:
    """Name the frame of a file in one way."""
    return f"dicomfile:{image_id.locator}?frame={frame_of(image_id)}"


def instance_of(image_id: ImageId, context: LoadContext) -> Instance:
    """Return the object that a frame is of."""
    return _object(image_id.locator, context).instance


def load(image_id: ImageId, context: LoadContext) -> Image:
    """Load one frame of a file."""
    number = frame_of(image_id)
    stored = _object(image_id.locator, context)
    scaled, values = context.options.scaled, context.options.values
    allocate = partial(context.allocate, image_id=image_id)
    with context.reading():
        if is_direct(stored.instance, scaled=scaled, values=values):
            return load_direct(stored.frames, number, scaled=scaled, values=values, allocate=allocate)
        encoded = stored.frames.read(number)
    instance, level = stored.instance, context.retrieve.decode_level
    with context.computing():
        if level is not None:
            coarse = decode_reduced(
                instance, number, encoded, level, scaled=scaled, values=values, allocate=allocate
            )
            if coarse is not None:
                return coarse
        return decode_frame(instance, number, encoded, scaled=scaled, values=values, allocate=allocate)


def load_many(
    image_ids: Sequence[ImageId], context: LoadContext
) -> Iterator[tuple[ImageId, Image | Exception]]:
    """Load frames of files, one after the other."""
    for image_id in image_ids:
        try:
            yield image_id, load(image_id, context)
        except LoadCancelled:
            raise
        except LoadstoneError as error:
            yield image_id, error


def metadata(image_ids: Sequence[ImageId], context: LoadContext) -> Mapping[ImageId, Modules]:
    """Describe frames of files."""
    scaled, values = context.options.scaled, context.options.values
    return {
        image_id: frame_modules(
            _object(image_id.locator, context).instance,
            frame_of(image_id),
            scaled=scaled,
            values=values,
        )
        for image_id in image_ids
    }


def open_volumes(volume_id: VolumeId, context: LoadContext) -> Iterable[ImageStack]:
    """
    Describe the volumes of a file, a folder or a DICOMDIR.

    Raises
    ------
    InvalidIdError
        If the selections in the id match nothing.
    LoadstoneError
        As `scan_folder`, `scan_dicomdir` and `stored_object`.
    """
    locator, selection = Selection.of(volume_id, "series", "stack")
    scan = _scan_of(locator)
    if scan is None:
        stored = _object(locator, context)
        stored.frames.check_number_of_frames()
        return stacks_of([_member(stored, locator)], f"dicomfile:{locator}", selection)
    folder = _folder(path_of(locator), scan, context)
    members = [_member(each, rest_of(each.state.path)) for each in folder.objects]
    stacks = stacks_of(members, f"dicomfile:{locator}", selection, findings=folder.left_out.findings())
    return [_refusing(each, folder.conflicts) for each in stacks] if folder.conflicts else stacks


def _refusing(stack: ImageStack, conflicts: Mapping[str, LoadstoneError]) -> ImageStack:
    """Have a volume refused of which an image is in two files that differ."""
    errors = (conflicts.get(path_of(ImageId(each).locator)) for each in stack.image_ids)
    return replace(stack, refusal=next(filter(None, errors), None))


def _object(locator: str, context: LoadContext) -> StoredObject | Part10:
    """Return what an id without its frame names: a file, or what was registered with the session."""
    return find_registered(locator, context.session) or stored_object(path_of(locator), context)


_Scan = Callable[[str, "LoadContext"], Folder]


def _scan_of(locator: str) -> _Scan | None:
    """Return what lists the files of a place; None for a single object."""
    if is_registered(locator):
        return None
    path = path_of(locator)
    if stat.S_ISDIR(file_status(path).st_mode):
        return scan_folder
    return scan_dicomdir if is_dicomdir(path) else None


def _folder(path: str, scan: _Scan, context: LoadContext) -> Folder:
    """Return what a place holds now, and keep its headers while there is room."""
    folder = scan(str(Path(path).absolute()), context)
    contents = hash(tuple(each.state for each in folder.objects))
    return context.source(("folder", path, contents), lambda: folder)


def _member(stored: StoredObject | Part10, rest: str) -> Member:
    if stored.instance.number_of_frames == 1:
        return Member(stored.instance, partial("dicomfile:{0}".format, rest))
    return Member(stored.instance, partial("dicomfile:{0}?frame={1}".format, rest))
