"""How runs end: exit codes, what counts as failed, and what `odekit status` says."""

import contextlib
import errno
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import PIL.Image
import pytest
from conftest import picture

from odekit.core import files
from odekit.images import io
from odekit.runs import pipeline, stores
from odekit.runs.stop import HUNG_UP, INTERRUPTED, StopRequest

PROGRAM = [sys.executable, "-c", "from odekit.cli import main; main()"]


def status(cli, out):
    (run,) = json.loads(cli("status", out, "--json").out)
    return run


def raises(code, when=lambda *args: True, otherwise=lambda *args, **how: None):
    def call(*args, **how):
        if when(*args):
            raise OSError(code, os.strerror(code))
        return otherwise(*args, **how)

    return call


def break_folder(monkeypatch, code):
    named = lambda path, *args: path.name == "out"  # noqa: E731
    monkeypatch.setattr(Path, "mkdir", raises(code, named, Path.mkdir))


def break_lock(monkeypatch, code):
    monkeypatch.setattr("filelock.FileLock.acquire", raises(code))


def break_scratch(monkeypatch, code):
    named = lambda path, *args: path.name.startswith(".odekit-tmp")  # noqa: E731
    monkeypatch.setattr(Path, "mkdir", raises(code, named, Path.mkdir))


def break_settings(monkeypatch, code):
    monkeypatch.setattr(stores, "write_json", raises(code))


def break_log(monkeypatch, code):
    monkeypatch.setattr("odekit.runs.events.open_own", raises(code))


@pytest.mark.parametrize(
    "code, expected, resumed",
    [
        (errno.ENOSPC, 4, False),
        (errno.ENOSPC, 4, True),
        (errno.EACCES, 2, False),
        pytest.param(errno.EROFS, 4, False, marks=pytest.mark.long),
        pytest.param(errno.EMFILE, 4, True, marks=pytest.mark.long),
    ],
)
@pytest.mark.parametrize("broken", [break_folder, break_lock, break_scratch, break_settings, break_log])
def test_a_start_that_the_disk_refuses_is_one_line(
    cli, exact, faces, tmp_path, monkeypatch, broken, code, expected, resumed
):
    more = []
    if resumed:
        cli("run", exact, faces, "-o", tmp_path / "out", "--limit", 2)
        (tmp_path / "out" / "run.json").unlink()  # is written again
        more = ["--resume"]
    with monkeypatch.context() as patch:
        broken(patch, code)
        done = cli("run", exact, faces, "-o", tmp_path / "out", *more)
    assert done.code == expected
    assert len(done.err.splitlines()) == 1
    assert os.strerror(code) in done.err
    assert cli("run", exact, faces, "-o", tmp_path / "out", "--resume").code == 0


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs a disk of its own")
@pytest.mark.parametrize("room", [0, pytest.param(9, marks=pytest.mark.long)])
def test_a_really_full_disk_is_exit_code_4_at_start_and_at_resume(exact, faces, tmp_path, room):
    """On a disk of a few blocks: nothing fits, or the run begins and ends for want of room."""
    disk, run = tmp_path / "disk", " ".join([sys.executable, "-m", "odekit", "run", str(exact), str(faces)])
    disk.mkdir()
    script = f"""mount -t tmpfs -o size=64k none {disk} || exit 77
head -c {(16 - room) * 4096} /dev/zero > {disk}/ballast 2>/dev/null
{run} -o {disk}/out --batch-size 1; echo first $?
{run} -o {disk}/out --batch-size 1 --resume; echo second $?
rm {disk}/ballast; {run} -o {disk}/out --batch-size 1 --resume > /dev/null; echo third $?"""
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, timeout=300)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("no disk of its own")
    assert "Traceback" not in done.stderr
    codes = dict(line.split() for line in done.stdout.splitlines() if line.startswith(("first", "second", "third")))
    assert (codes["first"], codes["second"]) == ("4", "4"), done.stderr
    assert "failed" not in done.stderr


@pytest.mark.parametrize("workers", [0, 1])
def test_an_output_folder_that_vanishes_ends_the_run_and_nothing_counts_as_failed(cli, exact, faces, tmp_path, workers):
    out = tmp_path / "out"
    progress_class = "odekit.cli.progress.ProgressBar.picture"

    def vanish(self, name, text):
        shutil.rmtree(out, ignore_errors=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress_class, vanish)
        done = cli("run", exact, faces, "-o", out, "--batch-size", 1, "--workers", workers, "--json")
    said = json.loads(done.out)
    assert (done.code, said["failed"]) == (4, [])
    assert said["left"] > 0
    assert "has disappeared" in done.err
    assert cli("run", exact, faces, "-o", out, "--resume").code == 0


@pytest.mark.parametrize("place", ["reading", "writing"])
def test_too_many_open_files_end_the_run_and_nothing_counts_as_failed(cli, exact, faces, tmp_path, place):
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        if place == "reading":
            third = lambda path, *args: str(path).endswith("face3.png")  # noqa: E731
            patch.setattr("odekit.images.io._load", raises(errno.EMFILE, third, io._load))
        else:
            third = lambda data, path, *args: str(path).endswith("face3.png")  # noqa: E731
            patch.setattr(files, "write_atomic", raises(errno.EMFILE, third, files.write_atomic))
        done = cli("run", exact, faces, "-o", out, "--batch-size", 1, "--json")
    said = json.loads(done.out)
    assert (done.code, said["failed"], len(said["restored"]), said["left"]) == (4, [], 3, 4)
    assert "no further file can be opened: Too many open files" in done.err
    assert len(json.loads(cli("run", exact, faces, "-o", out, "--resume", "--json").out)["restored"]) == 4


def test_a_real_limit_of_open_files_ends_the_run(exact, faces, tmp_path):
    """The limit is reached while a file is read: every further one would meet it."""
    code = (
        "import os, resource, sys\n"
        "from odekit.cli import main\n"
        "from odekit.runs import sources\n"
        "read = sources.LocalFiles.read\n"
        "def limited(file, *args):\n"
        "    if file.endswith('face3.png'):\n"
        "        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir('/proc/self/fd')) - 1, 4096))\n"
        "    return read(file, *args)\n"
        "sources.LocalFiles.read = staticmethod(limited)\n"
        "main()\n"
    )
    command = [sys.executable, "-c", code, "run", exact, faces, "-o", tmp_path / "out", "--batch-size", "1"]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300)
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr
    assert "no further file can be opened" in done.stderr
    assert not (tmp_path / "out" / "failures.json").exists()


def test_a_picture_without_an_entry_in_the_boxes_fails_alone(cli, tmp_path):
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps({"a.png": [], "c.png": []}))
    (tmp_path / "in").mkdir()
    for name in "abc":
        PIL.Image.fromarray(picture(ord(name), 80, 120)).save(tmp_path / "in" / f"{name}.png")
    chain = tmp_path / "chain.yaml"
    chain.write_text(f"odekit: 1\nchain:\n  - faces: {{select: {{boxes: {boxes}}}, each: [{{upsample: resize}}]}}\n")
    done = cli("run", chain, tmp_path / "in", "-o", tmp_path / "out", "--json")
    said = json.loads(done.out)
    assert (done.code, len(said["restored"]), said["left"]) == (3, 2, 0)
    (failure,) = said["failed"]
    assert "b.png: select.boxes has no entry for 'b.png'" in failure["error"]
    assert status(cli, tmp_path / "out")["state"] == "finished"


def test_the_status_of_a_run_that_an_error_ended_is_crashed(cli, exact, faces, tmp_path):
    def broken(self, images):
        raise RuntimeError("a fault of the program")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("odekit.runs.engine.Engine.run", broken)
        with pytest.raises(RuntimeError, match="a fault of the program"):
            cli("run", exact, faces, "-o", tmp_path / "out")
    run = status(cli, tmp_path / "out")
    assert (run["state"], run["left"]) == ("crashed", 7)
    assert "crashed" in cli("status", tmp_path / "out").out


@pytest.mark.parametrize("number, reason", [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
def test_a_signal_that_finds_nothing_left_is_a_success(cli, exact, faces, tmp_path, monkeypatch, number, reason):
    write, written = pipeline.write_result, []

    def last(name, *args):
        written.append(name)
        if len(written) == 7:
            signal.raise_signal(number)
        return write(name, *args)

    monkeypatch.setattr(pipeline, "write_result", last)
    done = cli("run", exact, faces, "-o", tmp_path / "out", "--json")
    said = json.loads(done.out)
    assert (done.code, said["stopped"], said["left"], len(said["restored"])) == (0, "", 0, 7)
    assert reason not in done.err
    assert status(cli, tmp_path / "out")["state"] == "finished"


def test_a_time_limit_is_told_only_where_something_is_left(cli, exact, faces, tmp_path, monkeypatch):
    """The longest batch counts for the next one, and there is none after the last."""
    monkeypatch.setattr(StopRequest, "record_batch_time", lambda self, seconds: setattr(self, "longest", 1e9))
    done = cli("run", exact, faces, "-o", tmp_path / "out", "--batch-size", 8, "--time-limit", "1h")
    assert (done.code, "time limit" in done.err) == (0, False)
    done = cli("run", exact, faces, "-o", tmp_path / "two", "--batch-size", 4, "--time-limit", "1h")
    assert (done.code, "time limit" in done.err) == (4, True)
    done = cli("run", exact, faces, "-o", tmp_path / "out", "--resume", "--time-limit", "0.000001")
    assert (done.code, "time limit" in done.err) == (0, False)


def test_failures_count_although_a_signal_found_nothing_left(cli, exact, faces, tmp_path, monkeypatch):
    (faces / "face6.png").write_bytes(b"no picture")
    write = pipeline.write_result

    def last(name, *args):
        if name == "face5.png":
            signal.raise_signal(signal.SIGINT)
        return write(name, *args)

    monkeypatch.setattr(pipeline, "write_result", last)
    assert cli("run", exact, faces, "-o", tmp_path / "out").code == 3


def test_a_closed_terminal_ends_a_run_like_sigterm(exact, faces, tmp_path):
    exact.write_text(exact.read_text().replace("side: 8", "side: 64").replace("steps: 10", "steps: 300"))
    out = tmp_path / "out"
    command = [*PROGRAM, "run", str(exact), str(faces), "-o", str(out), "--batch-size", "1"]
    process, terminal = pty.fork()
    if not process:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever the tests run under
        os.execv(command[0], command)
    deadline = time.monotonic() + 120
    while not list(out.glob("*.png.json")):
        assert time.monotonic() < deadline
        with contextlib.suppress(OSError):
            os.set_blocking(terminal, False)
            os.read(terminal, 1 << 16)
        time.sleep(0.02)
    os.close(terminal)
    _, state = os.waitpid(process, 0)
    assert os.waitstatus_to_exitcode(state) == 129
    assert [path.name for path in out.rglob(".*")] == []
    assert not (out / "run.lock").exists()
    last = json.loads((out / "run.jsonl").read_text().splitlines()[-1])
    assert (last["event"], last["reason"]) == ("end", HUNG_UP)


def test_a_run_under_nohup_does_not_listen_to_a_closed_terminal():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequest() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert stop.reason == ""
            signal.raise_signal(signal.SIGINT)
            assert stop.reason == INTERRUPTED
    finally:
        signal.signal(signal.SIGHUP, before)
