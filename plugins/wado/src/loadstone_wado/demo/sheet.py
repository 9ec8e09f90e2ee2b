"""The contact sheet: everything that was loaded, as one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from loadstone_wado.demo.upright import upright

if TYPE_CHECKING:
    from collections.abc import Sequence

    import loadstone
    from loadstone_wado.demo.outcome import Outcome

__all__ = ["contact_sheet"]

_COLUMNS = 6
_PICTURE = 220
"""Width and height of the place for a picture, in pixels."""
_LINE = 15
_MARGIN = 10
_TILE = (_PICTURE + _MARGIN, _PICTURE + 3 * _LINE + 2 * _MARGIN)
_BACKGROUND, _FRAME, _BRIGHT, _DIM, _RED = "#16181d", "#000000", "#f2f2f2", "#9aa4b2", "#ff7066"


def contact_sheet(outcomes: Sequence[Outcome]) -> Image.Image:
    """Return a picture with a tile for each outcome: windowed, right way up, in the right proportions."""
    rows = -(-len(outcomes) // _COLUMNS)
    size = (_COLUMNS * _TILE[0] + _MARGIN, rows * _TILE[1] + _MARGIN)
    sheet = Image.new("RGB", size, _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for number, outcome in enumerate(outcomes):
        row, column = divmod(number, _COLUMNS)
        left, top = _MARGIN + column * _TILE[0], _MARGIN + row * _TILE[1]
        draw.rectangle((left, top, left + _PICTURE - 1, top + _PICTURE - 1), fill=_FRAME)
        if outcome.image is not None:
            _place(sheet, _picture(outcome.image), left, top)
        _write(draw, number + 1, outcome, left, top + _PICTURE + 3)
    return sheet


def _picture(image: loadstone.Image) -> Image.Image:
    shades, aspect = upright(image.display(), image.plane)
    height, width = shades.shape[0] * aspect, shades.shape[1]
    zoom = _PICTURE / max(height, width)
    size = max(1, round(width * zoom)), max(1, round(height * zoom))
    # Few pixels are shown as the squares that they are; many are averaged.
    way = Image.Resampling.NEAREST if zoom >= 4 else Image.Resampling.LANCZOS
    return Image.fromarray(shades.copy()).convert("RGB").resize(size, way)


def _place(sheet: Image.Image, picture: Image.Image, left: int, top: int) -> None:
    sheet.paste(picture, (left + (_PICTURE - picture.width) // 2, top + (_PICTURE - picture.height) // 2))


def _write(draw: ImageDraw.ImageDraw, number: int, outcome: Outcome, left: int, top: int) -> None:
    exhibit, summary = outcome.exhibit, outcome.summary
    lines = [(f"{number}  {exhibit.route}", _BRIGHT), (exhibit.what, _DIM)]
    if summary is None:
        lines.append((f"failed: {type(outcome.error).__name__}", _RED))
    else:
        lines.append((f"{summary.shape_text} {summary.dtype} {summary.units}", _DIM))
    for line, (text, colour) in enumerate(lines):
        draw.text((left, top + line * _LINE), text, fill=colour, font=ImageFont.load_default(12))
