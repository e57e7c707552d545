"""Processes beside the network: results, errors, deaths and hangs."""

import os
import time

import pytest

from odekit.errors import InputError
from odekit.workers import Workers


@pytest.fixture(params=[0, 2], ids=["inline", "processes"])
def workers(request):
    made = Workers(request.param)
    yield made
    made.close()


def test_results_come_in_the_order_of_submission(workers):
    futures = [workers.submit(divmod, i, 3) for i in range(20)]
    assert [future.result() for future in futures] == [divmod(i, 3) for i in range(20)]


def test_errors_arrive_as_they_were_raised(workers):
    with pytest.raises(FileNotFoundError) as caught:
        workers.submit(os.stat, "/nowhere").result()
    assert caught.value.filename == "/nowhere"
    assert workers.submit(divmod, 1, 1).result() == (1, 0)


@pytest.fixture
def one():
    made = Workers(1, seconds=5)
    yield made
    made.close()


def test_what_a_library_prints_does_not_disturb_the_messages(one):
    assert one.submit(os.system, "echo hello").result() == 0


def test_a_call_whose_process_was_killed_is_done_by_a_fresh_one(one):
    first = one.submit(os.getpid).result()
    slow = one.submit(time.sleep, 1)
    time.sleep(0.2)
    os.kill(first, 9)
    assert slow.result() is None
    assert one.submit(os.getpid).result() != first


def test_a_call_that_kills_every_process_is_an_error_that_names_its_file(one):
    with pytest.raises(InputError, match=r"^7: the process that worked on it died"):
        one.submit(os._exit, 7).result()
    assert one.submit(divmod, 7, 2).result() == (3, 1)


def test_a_call_that_hangs_is_ended():
    made = Workers(1, seconds=0.4)
    with pytest.raises(InputError, match=r"takes longer than 0\.4 s"):
        made.submit(time.sleep, 60).result()
    made.close()


def test_closing_leaves_no_process(one):
    number = one.submit(os.getpid).result()
    one.close()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
