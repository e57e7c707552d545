"""The fault proof: workers and drivers are killed, and every file is there once, with the bytes of a run of one process."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time

import psutil
import pytest
from on_ray import FOUND_BY_WORKERS, odekit, save_face

from odekit.runs.status import find_runs

SIDE = 64
FEW_CALLS = ["--precision", "float32", "--set", "restore.inverter.steps=2", "--set", "restore.enhancer.iterations=1"]
"""A short run of the tests uses the chain with fewer steps, so that it is about the faults. The long one uses the chain
and the precision that a user gets."""


def workers_of(driver):
    """Processes that hold a session, of one driver."""
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(driver.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if "MapWorker" in " ".join(child.cmdline()):
                    yield child


def records(out):
    return len(list(out.glob("*.png.json")))


@pytest.mark.timeout(7200)  # 200 faces take minutes, 2,000 an hour
@pytest.mark.parametrize(
    ("count", "seconds", "more"),
    [(200, 6.0, FEW_CALLS), pytest.param(2000, 30.0, [], marks=pytest.mark.long)],
    ids=["200", "2000"],
)
def test_after_kills_of_workers_and_drivers_every_file_is_there_once_and_equal(tmp_path, count, seconds, more):
    faces, whole, out, dice = tmp_path / "faces", tmp_path / "whole", tmp_path / "out", random.Random(7)
    faces.mkdir()
    for number in range(count):
        save_face(faces / f"{number:04}.png", number, SIDE)
    chain = ["odedit-fast", faces, *more, "--batch-size", 8]
    environment = os.environ | {"PYTHONPATH": FOUND_BY_WORKERS, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "odekit", "ray", *map(str, chain), "-o", str(out), "--actors", "2", "--resume", "--json"]  # fmt: skip
    drivers_to_kill, killed_workers, runs = [count // 4, count // 2], 0, 0
    printed = (tmp_path / "printed.txt").open("w+")
    while True:
        # Into a file: a pipe that nobody reads meanwhile takes 64 KB.
        with (tmp_path / "told.json").open("w") as told:
            driver = subprocess.Popen(command, stdout=told, stderr=printed, text=True, env=environment)
        runs += 1
        next_kill, least = time.monotonic() + seconds, records(out) + 1
        while driver.poll() is None:
            if drivers_to_kill and records(out) >= drivers_to_kill[0]:
                drivers_to_kill.pop(0)
                driver.kill()
            elif records(out) >= least and time.monotonic() >= next_kill and (found := list(workers_of(driver))):
                with contextlib.suppress(psutil.Error):
                    dice.choice(found).kill()
                    killed_workers += 1
                # On a slow machine a worker needs longer to begin than the time between two kills.
                next_kill, least = time.monotonic() + seconds, records(out) + 25
            time.sleep(0.05)
        if driver.returncode != -signal.SIGKILL:
            break
    printed.seek(0)
    summary = json.loads((tmp_path / "told.json").read_text())
    assert (driver.returncode, runs, drivers_to_kill) == (0, 3, []), printed.read()
    assert killed_workers >= 2
    assert summary["failed"] == [] and len(summary["restored"]) + len(summary["skipped"]) == count

    single = odekit("run", *chain, "-o", whole, "--workers", 0)
    assert len(single["restored"]) == count
    assert {p.name: p.read_bytes() for p in out.glob("*.png")} == {p.name: p.read_bytes() for p in whole.glob("*.png")}
    assert records(out) == count
    lines = [json.loads(line) for line in (out / "run.jsonl").read_text().splitlines() if line.endswith("}")]
    restored = [line["input"] for line in lines if line["event"] == "restored"]
    assert len(restored) == len(set(restored)), "a file was restored twice"
    assert not (out / "failures.json").exists()
    assert [path.name for path in out.iterdir() if path.name.startswith(".") or path.suffix == ".lock"] == []
    again = odekit("run", *chain, "-o", out, "--resume")
    assert (again["restored"], len(again["skipped"])) == ([], count), "a run of one process finds all of it done"
    print(f"{count} faces, {killed_workers} workers and 2 drivers killed")


def test_a_signal_ends_the_driver_and_its_workers(tmp_path):
    faces, out = tmp_path / "faces", tmp_path / "out"
    faces.mkdir()
    for number in range(64):
        save_face(faces / f"{number:04}.png", number, SIDE)
    words = ["odedit-fast", str(faces), "-o", str(out), "--batch-size", "2", "--precision", "float32", "--actors", "1"]
    environment = os.environ | {"PYTHONPATH": FOUND_BY_WORKERS, "OMP_NUM_THREADS": "1"}
    driver = subprocess.Popen([sys.executable, "-m", "odekit", "ray", *words], stderr=subprocess.PIPE, text=True, env=environment)  # fmt: skip
    log = out / "run.jsonl"
    while not (log.exists() and '"restored"' in log.read_text()):  # a driver counts what its workers told it
        assert driver.poll() is None, driver.stderr.read()
        time.sleep(0.05)
    workers = list(workers_of(driver))
    driver.terminate()
    _, told = driver.communicate(timeout=120)
    assert driver.returncode == 143, told
    assert "Traceback" not in told and "terminated; finished results are in" in told
    assert psutil.wait_procs(workers, timeout=30)[1] == []
    (status,) = find_runs(out)
    assert status.state == "terminated" and 0 < status.left < 64
    assert [path.name for path in out.iterdir() if path.name.startswith(".") or path.suffix == ".lock"] == []
