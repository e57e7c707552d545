"""Processors that a process may use, and those that are free; the threads of a run."""

import json
import os
import subprocess
import sys

import pytest

from odekit.core import processors
from odekit.core.processors import busy_between, free_processors, parse_threads, read_quota, usable_processors
from odekit.errors import ConfigError


@pytest.fixture(autouse=True)
def same_threads_after():
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_the_smallest_limit_of_the_control_groups_counts(tmp_path):
    own, group = tmp_path / "own", tmp_path / "groups" / "jobs" / "one"
    group.mkdir(parents=True)
    own.write_text("0::/jobs/one\n")
    assert read_quota(tmp_path / "groups", own) is None
    (group / "cpu.max").write_text("max 100000\n")
    (group.parent / "cpu.max").write_text("150000 100000\n")
    assert read_quota(tmp_path / "groups", own) == 1.5
    (group / "cpu.max").write_text("50000 100000\n")
    assert read_quota(tmp_path / "groups", own) == 0.5


def test_in_a_container_the_limit_is_at_the_top(tmp_path):
    (tmp_path / "own").write_text("0::/\n")
    (tmp_path / "cpu.max").write_text("200000 100000\n")
    assert read_quota(tmp_path, tmp_path / "own") == 2


def test_control_groups_of_the_first_version(tmp_path):
    (tmp_path / "own").write_text("5:memory:/a\n3:cpu,cpuacct:/a\n0::/a\n")
    folder = tmp_path / "cpu,cpuacct" / "a"
    folder.mkdir(parents=True)
    for name, value in (("quota", "400000"), ("period", "100000")):
        (folder / f"cpu.cfs_{name}_us").write_text(value)
    assert read_quota(tmp_path, tmp_path / "own") == 4
    (folder / "cpu.cfs_quota_us").write_text("-1")
    assert read_quota(tmp_path, tmp_path / "own") is None
    assert read_quota(tmp_path, tmp_path / "missing") is None


@pytest.mark.parametrize(("quota", "usable"), [(None, 4), (1.5, 2), (0.2, 1), (64.0, 4)])
def test_affinity_and_quota_limit_each_other(monkeypatch, quota, usable):
    monkeypatch.setattr(processors, "_allowed", lambda: {0, 1, 2, 3})
    monkeypatch.setattr(processors, "read_quota", lambda: quota)
    assert usable_processors() == usable


def test_busy_processors_are_counted_among_those_allowed():
    before = {0: (0, 0), 1: (0, 0), 2: (0, 0)}
    after = {0: (0, 100), 1: (25, 100), 2: (0, 100)}
    assert busy_between(before, after, {0, 1}) == 1.75
    assert busy_between(before, before, {0, 1}) == 0


def test_one_processor_is_always_free(monkeypatch):
    monkeypatch.setattr(processors, "_allowed", lambda: {0, 1, 2, 3})
    for others, free in ((0.0, 4), (0.4, 4), (1.6, 2), (4.0, 1), (9.0, 1)):
        monkeypatch.setattr(processors.LoadWatch, "others", lambda _, __, others=others: others)
        assert free_processors() == free


@pytest.mark.skipif(not os.path.exists("/proc/stat"), reason="counters of Linux")
def test_other_programs_are_seen():
    command = [sys.executable, "-c", "import time\nend = time.monotonic() + 60\nwhile time.monotonic() < end: pass"]
    others = [subprocess.Popen(command) for _ in range(2 * usable_processors())]
    try:
        assert any(free_processors() == 1 for _ in range(10))
    finally:
        for one in others:
            one.kill()
            one.wait()


def test_threads_as_users_write_them():
    assert [parse_threads(text) for text in (None, "free", "1", "08")] == [None, "free", 1, 8]
    for text in ("0", "-1", "many", "5000", "2.5", ""):
        with pytest.raises(ConfigError, match="--threads"):
            parse_threads(text)


def test_the_threads_of_a_run_are_recorded_and_kept(cli, exact, faces, tmp_path):
    out = tmp_path / "out"
    assert cli("run", exact, faces, "-o", out, "--limit", 1, "--threads", 2).code == 0
    assert json.loads((out / "run.json").read_text())["threads"] == 2
    refused = cli("run", exact, faces, "-o", out, "--resume", "--threads", 3)
    assert refused.code == 2 and "was written with --threads 2" in refused.err
    assert cli("run", exact, faces, "-o", out, "--resume", "--threads", "free").code == 0
    assert {json.loads(path.read_text())["threads"] for path in out.glob("*.png.json")} == {2}
    wrong = cli("run", exact, faces, "-o", tmp_path / "other", "--threads", "none")
    assert wrong.code == 2 and "--threads none" in wrong.err


def test_free_threads_are_recorded_as_a_number(cli, exact, faces, tmp_path, monkeypatch):
    monkeypatch.setattr("odekit.core.processors.free_processors", lambda: 1)
    assert cli("run", exact, faces, "-o", tmp_path / "out", "--limit", 1, "--threads", "free").code == 0
    assert json.loads((tmp_path / "out" / "run.json").read_text())["threads"] == 1


def test_doctor_tells_usable_and_free_processors_threads_and_how_they_wait(cli):
    findings = json.loads(cli("doctor", "--json").out)["findings"]
    (row,) = (row for row in findings if (row["topic"], row["name"]) == ("device", "threads"))
    assert int(row["state"]) >= 1
    for said in (f"{usable_processors()} processors usable", "free now (--threads free)", "threads that wait"):
        assert said in row["advice"]
