"""``loadstone info``: what an id names, without its pixels."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import numpy as np
import typer

from loadstone.cli.output import console, show_facts, show_json, show_table
from loadstone.cli.told_apart import described_volumes
from loadstone.errors import LoadstoneError
from loadstone.hookspecs import ImageStack, VoxelSource
from loadstone.ids import ImageId
from loadstone.metadata import (
    GeneralSeries,
    ImagePixel,
    ImagePlane,
    ModalityLut,
    Module,
    MultiFrame,
    Scaling,
    SopCommon,
    TransferSyntax,
    VoiLut,
)
from loadstone.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["info"]

_MODULES: tuple[type[Module], ...] = (
    ImagePixel,
    ImagePlane,
    Scaling,
    ModalityLut,
    VoiLut,
    MultiFrame,
    GeneralSeries,
    SopCommon,
    TransferSyntax,
)
"""What describes the image; nothing about the patient."""

T = TypeVar("T")


def info(
    source: Annotated[str, typer.Argument(metavar="ID", help="An id, a path, a URL.")],
    *,
    json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """Say what an id names: the metadata of an image, the volumes of a folder or series. No pixels."""
    with Session() as session:
        identity = session.to_id(source)
        volumes, no_volumes = _tried(lambda: described_volumes(session, identity))
        image, no_image = _tried(lambda: _modules(session, identity))
        if image is None and volumes and isinstance(volumes[0], ImageStack):
            image, _ = _tried(lambda: _modules(session, volumes[0].image_ids[0]))
    if not image and not volumes:
        raise no_image or no_volumes or LoadstoneError("nothing is known about it", source=identity)
    facts = dict(image or ())
    rows = [_volume(each) for each in volumes or ()]
    if json:
        show_json({"id": identity, "volumes": rows, "is_image": no_image is None, "image": facts})
        return
    _show(identity, facts, rows, "image" if no_image is None else "its first image")


def _tried(call: Callable[[], T]) -> tuple[T | None, LoadstoneError | None]:
    """An id may name an image, volumes or both: that it does not name the one is no error yet."""
    try:
        return call(), None
    except LoadstoneError as error:
        return None, error


def _modules(session: Session, image_id: str) -> list[tuple[str, Any]]:
    (modules,) = session.metadata.many([ImageId(image_id)])
    known = ((kind, modules.get(kind)) for kind in _MODULES)
    return [(kind.__name__, _described(module)) for kind, module in known if module is not None]


def _described(module: Module) -> dict[str, Any]:
    facts = dict(_fields(module))
    if isinstance(module, VoiLut) and module.lut is None:
        return {name: facts[name] for name in ("windows",) if name in facts}  # the rest is about the LUT
    return facts


def _fields(module: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - any dataclass
    for each in fields(module):
        value = _simple(getattr(module, each.name))
        if value not in (None, "", [], ()):
            yield each.name, value


def _simple(value: Any) -> Any:  # noqa: ANN401 - whatever a field of a module may be
    if isinstance(value, np.ndarray):
        return f"{value.size} entries"
    if is_dataclass(value):
        return dict(_fields(value))
    if isinstance(value, tuple):
        return [_simple(each) for each in value]
    return str(value) if isinstance(value, np.dtype) else value


def _volume(found: ImageStack | VoxelSource) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": found.volume_id,
        "images": len(found.image_ids),
        "description": found.description,
    }
    if isinstance(found, ImageStack):
        return row | {"findings": [each.message for each in found.findings]}
    header = found.header
    return row | {
        "images": int(np.prod(header.shape[:-2])),
        "shape": list(header.shape),
        "axes": list(header.axes),
        "dtype": str(header.dtype),
        "spacing": list(header.spacing),
        "units": header.scaling.units,
        "findings": [each.message for each in header.findings],
    }


def _show(identity: str, facts: dict[str, Any], rows: list[dict[str, Any]], title: str) -> None:
    show_facts([("id", identity)])
    if rows:
        console().print(f"\n{len(rows)} volume{'s' if len(rows) > 1 else ''}")
        show_table(
            ("images", "shape", "id", "description"),
            (
                (each["images"], "x".join(map(str, each.get("shape", ()))), each["id"], each["description"])
                for each in rows
            ),
            right=("images",),
            fold=("id", "description"),
        )
        show_facts(("note", finding) for each in rows for finding in each["findings"])
    if facts:
        console().print(f"\n{title}")
        show_facts((name, _text(value)) for module in facts.values() for name, value in module.items())


def _text(value: Any) -> str:  # noqa: ANN401 - what `_simple` returns
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(each)}" for name, each in value.items())
    if isinstance(value, list):
        return (
            "; ".join(map(_text, value))
            if any(isinstance(each, dict) for each in value)
            else str(value)[1:-1]
        )
    return str(value)
