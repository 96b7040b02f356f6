import multiprocessing

import pytest

from mlrules_mcp.training.errors import NotApplicableError, TrainingFailedError
from mlrules_mcp.training.places import Place
from mlrules_mcp.training.processes import _collect


@pytest.fixture
def pipes():
    """Two pipes: the ends to read from, and those that the processes write to."""
    made = [multiprocessing.Pipe(duplex=False) for _ in range(2)]
    readers, writers = zip(*made, strict=True)
    yield list(readers), writers
    for end in (*readers, *writers):
        end.close()


def test_results_come_in_the_order_of_the_ranks(pipes):
    readers, writers = pipes
    writers[1].send(("done", "second"))
    writers[0].send(("done", "first"))
    assert _collect(readers, 5) == ["first", "second"]


def test_what_the_models_own_line_raised_comes_before_what_its_partner_says_of_the_connection(pipes):
    readers, writers = pipes
    writers[0].send(("raised", "Connection closed by peer", None))
    writers[1].send(("raised", "ValueError: no such layer", Place("model.py", 3)))
    with pytest.raises(TrainingFailedError, match="no such layer") as caught:
        _collect(readers, 5)
    assert caught.value.place == Place("model.py", 3)


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (
            [("alone", "no network", None), ("raised", "Connection refused", None)],
            "can't talk to each other here: no net",
        ),
        ([None, ("raised", "Connection closed by peer", None)], "ended without a word"),
    ],
)
def test_processes_that_can_not_talk_or_die_are_no_fault_of_the_model(pipes, lines, text):
    readers, writers = pipes
    for line, writer in zip(lines, writers, strict=True):
        if line is None:
            writer.close()
        else:
            writer.send(line)
    with pytest.raises(NotApplicableError, match=text):
        _collect(readers, 5)


def test_processes_that_take_too_long_are_no_fault_of_the_model(pipes):
    readers, writers = pipes
    writers[0].send(("done", 1))
    with pytest.raises(NotApplicableError, match=r"did not train together within 0\.01 s"):
        _collect(readers, 0.01)
