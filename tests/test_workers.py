"""Processes beside the network: results, errors, deaths and hangs."""

import errno
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import worker_calls
from conftest import picture

import odekit
from odekit.cli.progress import ProgressBar
from odekit.errors import InputError, OutputError
from odekit.runs import runner, sources, worker_process
from odekit.runs.probe import probe
from odekit.runs.stop import TERMINATED
from odekit.runs.summary import RunOptions
from odekit.runs.worker_pipe import SHARED_BYTES, Channel
from odekit.runs.workers import MAX_WORKERS, WorkerPool


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
    monkeypatch.setattr(worker_process, "shared_memory", lambda: None)
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


def test_processes_are_at_most_one_a_file_and_a_bounded_number():
    made = WorkerPool(100_000)
    assert made.count == MAX_WORKERS and not made.threads
    made.limit(2)
    numbers = {made.submit(os.getpid).result() for _ in range(6)}
    made.close()
    assert made.count == len(made.threads) == 2 and len(numbers) <= 2


def test_threads_that_the_system_refuses_leave_fewer_workers(monkeypatch):
    made, start = WorkerPool(4), threading.Thread.start

    def refuse(thread):
        if len(made.threads) == 2:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    futures = [made.submit(divmod, number, 2) for number in range(8)]
    assert [future.result() for future in futures] == [divmod(number, 2) for number in range(8)]
    assert made.count == 2
    made.close()


def test_a_thread_that_cannot_be_started_is_one_line(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    made = WorkerPool(2)
    with pytest.raises(OutputError, match=r"can be started \(can't start new thread\); use --workers 0"):
        made.submit(divmod, 1, 1)
    made.close()


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM])
def test_a_process_that_cannot_be_started_ends_the_run_and_fails_no_picture(number, exact, tmp_path, monkeypatch):
    odekit.write(odekit.Image.from_uint8(picture(0)), tmp_path / "face.png", format="png")

    def refuse(*arguments, **options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(worker_process.subprocess, "Popen", refuse)
    options = RunOptions(tmp_path / "out", batch_size=1, workers=2)
    summary = runner.Runner(odekit.Chain.load(exact), options, ProgressBar()).run([tmp_path / "face.png"])
    assert summary.stopped.endswith(f"can be started ({os.strerror(number)}); use --workers 0")
    assert summary.failed == [] and summary.left == 1


def is_alive(number):
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{number}/status").read_text()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel of Linux sends the signal")
def test_no_worker_outlives_a_killed_run_even_in_the_middle_of_a_call():
    code = (
        "import os, time\nfrom odekit.runs.workers import WorkerPool\npool = WorkerPool(2)\n"
        "print(*{pool.submit(os.getpid).result() for _ in range(200)}, flush=True)\n"
        "calls = [pool.submit(time.sleep, 60) for _ in range(2)]\ntime.sleep(60)"
    )
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    numbers = [int(word) for word in run.stdout.readline().split()]
    time.sleep(0.3)  # until the long calls have begun
    assert numbers and all(map(is_alive, numbers))
    run.kill()
    run.communicate()
    deadline = time.monotonic() + 5
    while any(map(is_alive, numbers)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(is_alive, numbers))


def test_a_process_that_cannot_be_killed_costs_its_call_alone(monkeypatch):
    """So is one that waits for a network disk: the kernel delivers no signal until the disk answers."""
    monkeypatch.setattr(worker_process, "EXIT_SECONDS", 0.1)
    made = WorkerPool(1, seconds=1)
    made.submit(os.getpid).result()
    process, kill = made.all[0].process, subprocess.Popen.kill
    monkeypatch.setattr(subprocess.Popen, "kill", lambda own: None if own is process else kill(own))
    blocked = made.submit(time.sleep, 30)
    with pytest.raises(InputError, match="takes longer than 1 s"):
        blocked.result(timeout=10)
    assert made.submit(divmod, 7, 2).result(timeout=10) == (3, 1)
    made.close()
    kill(process)
    process.wait()


def test_a_process_that_stops_reading_its_pipe_is_not_waited_for():
    made = WorkerPool(1, seconds=1)
    os.kill(made.submit(os.getpid).result(), signal.SIGSTOP)
    with pytest.raises(InputError, match="takes longer than 1 s"):
        made.submit(np.negative, np.zeros(10_000_000)).result(timeout=10)
    made.close()


def test_a_call_that_takes_too_long_is_not_repeated(tmp_path):
    made = WorkerPool(1, seconds=1)
    began = time.monotonic()
    with pytest.raises(InputError, match="takes longer"):
        made.submit(time.sleep, 30).result()
    assert time.monotonic() - began < 1.9
    made.close()


def test_a_call_that_must_be_isolated_has_a_process_even_where_there_are_none():
    made = WorkerPool(0)
    assert made.submit(os.getpid).result() == os.getpid()
    number = made.submit(os.getpid, isolate=True).result()
    assert number != os.getpid()
    with pytest.raises(InputError, match="died"):
        made.submit(worker_calls.end_process, "a.heic", isolate=True).result()
    made.close()
    assert not is_alive(number)


def test_video_formats_are_isolated_and_others_are_not():
    heic = next((Path(__file__).parent / "data" / "heic").glob("*.heic"))
    assert probe(str(heic)).isolate
    assert not probe(__file__).isolate


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs the address space limit of Linux")
def test_reading_a_picture_may_not_take_the_memory_of_the_machine(one):
    assert one.submit(worker_calls.allocate, 10_000_000, 4.0).result() == 10_000_000
    with pytest.raises(MemoryError):
        one.submit(worker_calls.allocate, 3_000_000_000, 4.0).result()
    assert one.submit(worker_calls.allocate, 10_000_000, 4.0).result() == 10_000_000


def test_sigterm_reaches_a_worker_whose_parent_ignores_it(one):
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        number = one.submit(os.getpid).result()
    finally:
        signal.signal(signal.SIGTERM, before)
    os.kill(number, signal.SIGTERM)
    deadline = time.monotonic() + 5
    while is_alive(number) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(number)


@pytest.fixture
def few(exact, tmp_path, monkeypatch):
    """A run of five faces with one worker and a short time limit; reading face3.png never returns."""
    (tmp_path / "in").mkdir()
    for i in range(5):
        PIL.Image.fromarray(picture(i)).save(tmp_path / "in" / f"face{i}.png")
    monkeypatch.setattr(sources.LocalFiles, "read", staticmethod(worker_calls.read_or_block))
    monkeypatch.setattr(runner, "WorkerPool", lambda count: WorkerPool(count, seconds=limit.pop()))
    limit = [2.0]

    def run(seconds):
        limit[:] = [seconds]
        options = RunOptions(tmp_path / "out", workers=1, batch_size=2)
        return runner.Runner(odekit.Chain.load(exact), options, ProgressBar(quiet=True)).run([tmp_path / "in"])

    return run


def test_a_blocked_read_costs_that_file_only(few):
    summary = few(5.0)
    (failure,) = summary.failed
    assert failure["input"].endswith("face3.png") and "takes longer than 5 s" in failure["error"]
    assert len(summary.restored) == 4


def test_sigterm_is_heard_while_a_read_is_blocked(few):
    timer = threading.Timer(3.0, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    began = time.monotonic()
    summary = few(60.0)
    timer.join()
    assert time.monotonic() - began < 30
    assert (summary.stopped, summary.failed) == (TERMINATED, [])
    assert summary.left >= 1
