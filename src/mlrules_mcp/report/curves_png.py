"""The curves of a training as a PNG, for MCP clients that show images."""

from __future__ import annotations

import io
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from mlrules_mcp.manifest.hidden import visible
from mlrules_mcp.report.curves import BOTTOM, HEIGHT, LEFT, RIGHT, WIDTH, Chart
from mlrules_mcp.training.errors import INSTALL, TrainingError

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

_HEAD = 46.0
_GAP = 24.0
_SCALE = 1.3  # two charts side by side are 1,550 pixels wide, as much as models look at
_SMOOTHING = 3  # drawn larger and made smaller: Pillow's lines have hard edges
_PAPER, _TEXT, _SOFT, _GRID = "#ffffff", "#16191d", "#545d6a", "#dde1e6"
_LINES = (("#a3c6e7", 6.0), ("#c8500a", 2.0), ("#11805f", 1.2), ("#a63d85", 0.8))
_LONE_POINT = 5.0
_LONGEST_NAME = 40


def can_draw() -> bool:
    """Whether Pillow is there."""
    return find_spec("PIL") is not None


def require_drawing() -> None:
    """Raise a TrainingError that says what to install, if Pillow is missing."""
    if not can_draw():
        raise TrainingError("not-installed", f"Curves as an image need Pillow; install with: {INSTALL}")


def curves_png(charts: Sequence[Chart]) -> bytes:
    """The charts side by side on white.

    Args:
        charts: at least one.

    Raises:
        TrainingError: Pillow is not installed.
    """
    require_drawing()
    from PIL import Image, ImageDraw

    width, height = len(charts) * (WIDTH + _GAP) + _GAP, _HEAD + HEIGHT + _GAP
    large = _SCALE * _SMOOTHING
    image = Image.new("RGB", (round(width * large), round(height * large)), _PAPER)
    draw = ImageDraw.Draw(image)
    for number, chart in enumerate(charts):
        _Drawing(draw, _GAP + number * (WIDTH + _GAP), _HEAD, large).chart(chart)
    file = io.BytesIO()
    smooth = image.resize((round(width * _SCALE), round(height * _SCALE)), Image.Resampling.LANCZOS)
    smooth.quantize(128).save(file, "PNG", optimize=True)
    return file.getvalue()


class _Drawing:
    """Draws in the units of a chart whose origin lies somewhere on an enlarged image."""

    def __init__(self, draw: ImageDraw, left: float, top: float, scale: float) -> None:
        from PIL import ImageFont

        self._draw = draw
        self._left = left
        self._top = top
        self._scale = scale
        self._small = ImageFont.load_default(12 * scale)
        self._large = ImageFont.load_default(14 * scale)

    def chart(self, chart: Chart) -> None:
        self._text(
            0, 22 - _HEAD, _short(chart.title) + (" (logarithmic)" if chart.logarithmic else ""), "ls", title=True
        )
        x = WIDTH - RIGHT
        for index, curve in reversed(list(enumerate(chart.curves))):
            x -= self._text(x, 22 - _HEAD, _short(curve.label), "rs") + 6
            self._line([(x - 22, 18 - _HEAD), (x, 18 - _HEAD)], *_LINES[index % len(_LINES)])
            x -= 22 + 16
        for y, label in chart.y_ticks:
            self._line([(LEFT, y), (WIDTH - RIGHT, y)], _GRID, 1.0)
            self._text(LEFT - 8, y, label, "rm")
        for x, label in chart.x_ticks:
            self._text(x, HEIGHT - BOTTOM + 18, label, "ms")
        self._text(WIDTH - RIGHT, HEIGHT, chart.x_title, "rs")
        for index, curve in enumerate(chart.curves):
            for segment in curve.segments:
                colour, thickness = _LINES[index % len(_LINES)]
                self._line(segment, colour, thickness if len(segment) > 1 else max(thickness, _LONE_POINT))

    def _line(self, points: Sequence[tuple[float, float]], colour: str, width: float) -> None:
        placed = [self._place(*point) for point in points]
        thick = width * self._scale
        self._draw.line(placed, colour, round(thick), joint="curve")
        for x, y in (placed[0], placed[-1]):  # round ends
            radius = thick / 2
            self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), colour)

    def _text(self, x: float, y: float, text: str, anchor: str, *, title: bool = False) -> float:
        """Write, and say how wide it came out."""
        font: Any = self._large if title else self._small
        self._draw.text(self._place(x, y), text, _TEXT if title else _SOFT, font, anchor)
        return self._draw.textlength(text, font) / self._scale

    def _place(self, x: float, y: float) -> tuple[float, float]:
        return ((self._left + x) * self._scale, (self._top + y) * self._scale)


def _short(name: str) -> str:
    name = visible(name).replace("\n", " ")
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
