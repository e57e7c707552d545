"""What a resume compares is read ahead where it waits for the disk; who asks gets the same jobs in the same order."""

import itertools
import threading
import time

import pytest

from odekit import Chain
from odekit.runs import read_ahead as module
from odekit.runs.inputs import Job
from odekit.runs.jobs import JobBook
from odekit.runs.read_ahead import read_ahead
from odekit.runs.summary import RunOptions


@pytest.fixture
def jobs(tmp_path):
    """Jobs, every third of them with a record, one with a folder in place of its result."""
    jobs = [Job(str(tmp_path / f"in{number}"), f"{number}.png") for number in range(400)]
    for job in jobs[::3]:
        (tmp_path / f"{job.name}.json").write_text("{}")
    (tmp_path / "0.png").mkdir()
    return jobs


@pytest.fixture
def waiting(monkeypatch):
    """Every job is waited for."""
    monkeypatch.setattr(module, "waits", itertools.count(0, 1000).__next__)


@pytest.mark.parametrize("count", [0, 1, 16, 17, 100, 400])
def test_all_jobs_come_once_in_their_order(jobs, tmp_path, waiting, monkeypatch, count):
    monkeypatch.setattr(module, "CHUNKS", 3)
    assert list(read_ahead(jobs[:count], lambda name: str(tmp_path / name))) == jobs[:count]
    assert list(read_ahead(jobs[:count], lambda name: str(tmp_path / "none" / name))) == jobs[:count]


def test_nothing_is_read_ahead_where_nothing_is_waited_for(jobs, monkeypatch):
    monkeypatch.setattr(module, "waits", lambda: 5)
    assert list(read_ahead(jobs, lambda name: pytest.fail(name))) == jobs


def test_files_are_waited_for_together(jobs, tmp_path, waiting, monkeypatch):
    at_work, most = [], []

    def slow(path, read=True):
        at_work.append(path)
        most.append(len(at_work))
        time.sleep(0.002)
        at_work.remove(path)
        return True

    monkeypatch.setattr(module, "_touch", slow)
    assert list(read_ahead(jobs, lambda name: str(tmp_path / name))) == jobs
    assert max(most) > 4


def test_no_thread_is_left_by_a_loop_that_ends_early(jobs, tmp_path, waiting):
    before = threading.active_count()
    taken = list(itertools.islice(read_ahead(jobs, lambda name: str(tmp_path / name)), 40))
    assert taken == jobs[:40] and threading.active_count() == before


def test_a_resume_of_a_folder_reads_ahead(cli, exact, faces, tmp_path, waiting, monkeypatch):
    monkeypatch.setattr(module, "PROBE", 2)
    cli("run", exact, faces, "-o", tmp_path / "out", "--batch-size", 2)
    read, real = [], module._touch
    monkeypatch.setattr(module, "_touch", lambda path, **more: read.append(path) or real(path, **more))
    done = cli("run", exact, faces, "-o", tmp_path / "out", "--resume")
    assert done.code == 0 and len(read) >= 3 * 4
    book = JobBook(Chain.load(str(exact)), RunOptions(tmp_path / "out", resume=True))
    planned = book.plan([faces])
    assert list(book.ahead(planned)) == planned
