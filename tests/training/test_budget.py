import sys
import threading
from contextlib import suppress

import pytest

from mlrules_mcp.training.budget import Budget, OutOfTime

interrupts = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no timers that interrupt")


@interrupts
def test_a_block_that_goes_on_for_ever_is_interrupted_whatever_it_catches():
    with pytest.raises(OutOfTime), Budget(0.05).share():
        while True:
            with suppress(Exception):
                pass


@interrupts
def test_a_budget_that_is_used_up_interrupts_at_once():
    with pytest.raises(OutOfTime), Budget(-1).share():
        threading.Event().wait()


def test_a_block_that_ends_in_time_is_left_alone():
    with Budget(60).share():
        done = True
    assert done


def test_without_a_limit_or_beside_the_main_thread_nothing_is_interrupted():
    done = []

    def work():
        with Budget(0).share():
            done.append("thread")

    with Budget(None).share():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert done == ["thread"]
