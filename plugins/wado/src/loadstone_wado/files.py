"""``dicomfile:``: a Part-10 file, one of its frames, or a folder of files."""

from __future__ import annotations

import stat
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from loadstone import LoadCancelled, LoadstoneError
from loadstone.ids import path_of, rest_of
from loadstone_wado.decode import decode_frame, is_direct, load_frame
from loadstone_wado.ids import Selection, frame_of
from loadstone_wado.modules import frame_modules
from loadstone_wado.series import Member, stacks_of
from loadstone_wado.sources.file import StoredObject, file_status, stored_object
from loadstone_wado.sources.folder import Folder, scan_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from loadstone import Image, ImageId, ImageStack, LoadContext, VolumeId
    from loadstone.metadata import Modules

__all__ = ["canonical", "load", "load_many", "metadata", "open_volumes"]


def canonical(image_id: ImageId) -> str:
    """Name the frame of a file in one way."""
    return f"dicomfile:{image_id.locator}?frame={frame_of(image_id)}"


def load(image_id: ImageId, context: LoadContext) -> Image:
    """Load one frame of a file."""
    number = frame_of(image_id)
    stored = stored_object(path_of(image_id.locator), context)
    scaled, values = context.options.scaled, context.options.values
    allocate = partial(context.allocate, image_id=image_id)
    with context.reading():
        if is_direct(stored.instance, scaled=scaled, values=values):
            return load_frame(stored.frames, number, scaled=scaled, values=values, allocate=allocate)
        encoded = stored.frames.read(number)
    with context.computing():
        return decode_frame(stored.instance, number, encoded, scaled=scaled, values=values, allocate=allocate)


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
            stored_object(path_of(image_id.locator), context).instance,
            frame_of(image_id),
            scaled=scaled,
            values=values,
        )
        for image_id in image_ids
    }


def open_volumes(volume_id: VolumeId, context: LoadContext) -> Iterable[ImageStack]:
    """
    Describe the volumes of a file or folder.

    Raises
    ------
    InvalidIdError
        If the selections in the id match nothing.
    LoadstoneError
        As `scan_folder` and `stored_object`.
    """
    locator, selection = Selection.of(volume_id, "series", "stack")
    path = path_of(locator)
    if stat.S_ISDIR(file_status(path).st_mode):
        folder = _folder(path, context)
        members, findings = [_member(each) for each in folder.objects], folder.left_out.findings()
    else:
        members, findings = [_member(stored_object(path, context))], ()
        _ = members[0].instance.layout
    return stacks_of(members, f"dicomfile:{locator}", selection, findings=findings)


def _folder(path: str, context: LoadContext) -> Folder:
    """Return what a folder holds now, and keep its headers while there is room."""
    folder = scan_folder(str(Path(path).absolute()), context)
    contents = hash(tuple(each.state for each in folder.objects))
    return context.source(("folder", path, contents), lambda: folder)


def _member(stored: StoredObject) -> Member:
    rest = rest_of(stored.state.path)
    if stored.instance.number_of_frames == 1:
        return Member(stored.instance, partial("dicomfile:{0}".format, rest))
    return Member(stored.instance, partial("dicomfile:{0}?frame={1}".format, rest))
