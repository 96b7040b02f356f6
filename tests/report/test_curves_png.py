from __future__ import annotations

import io
from collections import Counter

import pytest
from PIL import Image

from mlrules_mcp.report import curves_png as module
from mlrules_mcp.report.curves import Chart, training_charts
from mlrules_mcp.report.curves_png import curves_png
from mlrules_mcp.training.errors import TrainingError
from mlrules_mcp.training.result import DeviceReport, TrainingResult
from tests.report.markup import HOSTILE


def charts(*devices: DeviceReport) -> list[Chart]:
    return training_charts(TrainingResult("Net", 10, 0, devices, (), {}, 1.0))


def drawn(picture: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(picture))
    assert image.format == "PNG"
    return image.convert("RGB")


def near(image: Image.Image, colour: tuple[int, int, int]) -> int:
    """How many pixels are about so coloured."""
    counts = Counter(image.getdata() if not hasattr(image, "get_flattened_data") else image.get_flattened_data())
    return sum(
        number for pixel, number in counts.items() if all(abs(a - b) < 12 for a, b in zip(pixel, colour, strict=True))
    )


BLUE, ORANGE = (163, 198, 231), (200, 80, 10)


def test_each_device_has_its_line_and_two_charts_stand_side_by_side() -> None:
    cpu = DeviceReport("cpu", "", "", 3, (3.0, 2.0, 1.0), "val_accuracy", (0.1, 0.9))
    gpu = DeviceReport("cuda", "", "", 3, (3.0, 1.0, 0.5))
    one = drawn(curves_png(charts(DeviceReport("cpu", "", "", 3, (3.0, 2.0, 1.0)))))
    two = drawn(curves_png(charts(cpu, gpu)))
    assert one.width < two.width <= 1568
    assert near(one, BLUE) > 500
    assert near(one, ORANGE) == 0
    assert near(two, ORANGE) > 500


def test_lines_that_coincide_show_both() -> None:
    both = [DeviceReport(device, "", "", 3, (3.0, 2.0, 1.0)) for device in ("cpu", "cuda")]
    image = drawn(curves_png(charts(*both)))
    assert near(image, BLUE) > 500
    assert near(image, ORANGE) > 500


def test_hostile_names_and_values_without_end_make_a_picture_all_the_same() -> None:
    hostile = DeviceReport(HOSTILE * 50, "", "", 3, (None, 1e300, None), HOSTILE * 50, (None, 0.0))
    assert len(curves_png(charts(hostile))) < 100_000


def test_without_pillow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(TrainingError, match=r"need Pillow; install with: pip install"):
        curves_png(charts(DeviceReport("cpu", "", "", 2, (2.0, 1.0))))
