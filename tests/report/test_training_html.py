from __future__ import annotations

from dataclasses import replace

import pytest

from mlrules_mcp.report.training_html import training_html
from mlrules_mcp.training.result import CheckOutcome, DeviceReport, TrainingResult
from tests.report.markup import HOSTILE, Page

RESULT = TrainingResult(
    model="Sample",
    parameters=1234,
    seed=0,
    devices=(
        DeviceReport("cpu", "CPU", "2 cores", 10, (2.0, None, 0.5), "val_accuracy", (0.1, 0.9), 50.0, 2**20, 1.0),
        DeviceReport("cuda", "GPU", ""),
    ),
    checks=(
        CheckOutcome("loss-falls", "a.b", "cpu", "met", "It falls.", None, None, {"steps": 10, "peak_bytes": 2**30}),
        CheckOutcome("loss-falls", "a.b", "cuda", "broken", "It raised.", "model.py", 7),
        CheckOutcome("export", "c.d", "cpu", "not_applicable", "Nothing to export."),
        CheckOutcome("export", "c.d", "cuda", "not_applicable", "Nothing to export."),
    ),
    versions={"torch": "2.13.0"},
    seconds=2.5,
)


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(training_html(RESULT))


def test_the_page_is_whole_and_loads_nothing(page: Page) -> None:
    assert page.problems == []
    assert page.html.startswith("<!DOCTYPE html>")
    assert len(page.html.encode()) < 60_000


def test_the_verdict_comes_first_and_counts_a_check_once_for_all_devices(page: Page) -> None:
    assert "1 check is broken" in page.text
    assert page.text.index("1 check is broken") < page.text.index("Devices")
    kept = replace(RESULT, checks=(RESULT.checks[0],))
    assert "Nothing is broken on CPU and CUDA" in Page(training_html(kept)).text
    assert "Nothing could be shown" in Page(training_html(replace(RESULT, checks=RESULT.checks[2:]))).text


def test_broken_checks_come_first_with_their_place_and_equal_messages_stand_once(page: Page) -> None:
    assert "It raised. model.py:7" in page.text
    assert page.text.index("Loss falls") < page.text.index("Export")
    assert page.text.count("Nothing to export.") == 1


def test_each_curve_is_told_in_words_and_as_a_table(page: Page) -> None:
    assert "Training loss by step. cpu: 2 to 0.5, 1 of 3 points not finite." in page.text
    assert "not finite" in page.text.split("Training loss as numbers")[1].split("val_accuracy")[0]


def test_figures_and_versions_are_written_for_people(page: Page) -> None:
    assert "1.0 GiB" in page.text
    assert "torch2.13.0" in page.text  # a term and its value


def test_a_training_that_ran_nowhere_still_makes_a_page() -> None:
    nowhere = replace(RESULT, parameters=None, devices=RESULT.devices[1:], checks=())
    page = Page(training_html(nowhere))
    assert page.problems == []
    assert "Curves" not in page.text


def test_hostile_texts_are_shown_and_never_run() -> None:
    hostile = TrainingResult(
        model=HOSTILE,
        parameters=1,
        seed=0,
        devices=(DeviceReport(HOSTILE, HOSTILE, HOSTILE, 2, (2.0, 1.0), HOSTILE, (0.5, 0.6)),),
        checks=(CheckOutcome(HOSTILE, HOSTILE, HOSTILE, "broken", HOSTILE, HOSTILE, 1, {HOSTILE: HOSTILE}),),
        versions={HOSTILE: HOSTILE},
        seconds=1.0,
    )
    page = Page(training_html(hostile))
    page.html.encode()
    assert page.problems == []
    assert "img" not in page.tags
    assert page.tags.count("script") == 1
    assert "<U+202E>" in page.text
    assert "\u202e" not in page.html
