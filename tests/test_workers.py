"""Processes beside the network: results, errors, deaths and hangs."""

import os
import pickle
import time

import numpy as np
import pytest

from odekit.errors import InputError
from odekit.runs import workers as workers_module
from odekit.runs.worker_pipe import SHARED_BYTES, Channel
from odekit.runs.workers import WorkerPool


@pytest.fixture(params=[0, 2], ids=["inline", "processes"])
def workers(request):
    made = WorkerPool(request.param)
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
    made = WorkerPool(1, seconds=5)
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
    with pytest.raises(InputError, match=r"^7: its worker process died"):
        one.submit(os._exit, 7).result()
    assert one.submit(divmod, 7, 2).result() == (3, 1)


def test_a_call_that_hangs_is_ended():
    made = WorkerPool(1, seconds=0.4)
    with pytest.raises(InputError, match=r"takes longer than 0\.4 s"):
        made.submit(time.sleep, 60).result()
    made.close()


def test_small_calls_travel_together_and_one_that_kills_its_process_spoils_no_other(one):
    warm = [one.submit(divmod, i, 3) for i in range(50)]
    assert [future.result() for future in warm] == [divmod(i, 3) for i in range(50)]
    futures = [one.submit(os._exit if i == 5 else divmod, i, *([] if i == 5 else [3])) for i in range(12)]
    with pytest.raises(InputError, match=r"^5: its worker process died"):
        futures[5].result()
    assert [f.result() for i, f in enumerate(futures) if i != 5] == [divmod(i, 3) for i in range(12) if i != 5]


def test_small_calls_share_messages_and_long_ones_do_not(one, monkeypatch):
    sizes, send = [], Channel.send
    monkeypatch.setattr(Channel, "send", lambda end, calls, *when: (sizes.append(len(calls)), send(end, calls, *when)))
    futures = [one.submit(os.getpid) for _ in range(2000)]
    assert len({future.result() for future in futures}) == 1
    assert sum(sizes) == 2000
    assert len(sizes) < 200
    del sizes[:]
    futures = [one.submit(time.sleep, 0.05) for _ in range(6)]
    assert [future.result() for future in futures] == [None] * 6
    assert sizes[1:] == [1] * (len(sizes) - 1)


@pytest.mark.parametrize("size", [1, 1000, SHARED_BYTES // 8, SHARED_BYTES])
def test_arrays_come_back_equal_and_are_the_runs_own(one, size):
    sent = [np.random.Generator(np.random.Philox(i)).random(size) for i in range(3)]
    futures = [one.submit(np.negative, array) for array in sent]
    first = [future.result() for future in futures]
    more = [one.submit(np.zeros, size) for _ in range(3)]  # uses the same memory again
    assert all(not future.result().any() for future in more)
    assert all(np.array_equal(got, -array) for got, array in zip(first, sent, strict=True))


def test_without_shared_memory_all_goes_through_the_pipe(monkeypatch):
    monkeypatch.setattr(workers_module, "shared_memory", lambda: None)
    made = WorkerPool(1)
    assert np.array_equal(made.submit(np.negative, np.arange(9000.0)).result(), -np.arange(9000.0))
    made.close()


def test_an_error_whose_class_does_not_survive_the_pipe_arrives_in_words(one):
    with pytest.raises(InputError, match="fussy"):
        one.submit(pickle.loads, pickle.dumps(Raises())).result()
    assert one.submit(divmod, 7, 2).result() == (3, 1)


class Raises:
    """Raises, where it is unpickled, an exception of a class made on the spot."""

    def __reduce__(self):
        return exec, (
            "class Fussy(Exception):\n def __init__(self, a, b): super().__init__('fussy')\nraise Fussy(1, 2)",
        )


def test_what_cannot_be_sent_is_an_error_and_not_a_silence(one):
    with pytest.raises((AttributeError, pickle.PicklingError)):
        one.submit(lambda: None).result(timeout=30)
    assert one.submit(divmod, 7, 2).result() == (3, 1)


def test_closing_leaves_no_process(one):
    number = one.submit(os.getpid).result()
    one.close()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_closing_cancels_what_waits_and_starts_nothing_new(one):
    number = one.submit(os.getpid).result()
    futures = [one.submit(time.sleep, 60) for _ in range(3)]
    time.sleep(0.2)
    one.close()
    assert all(future.cancelled() or isinstance(future.exception(), InputError) for future in futures)
    assert one.all[0].process is None
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
