"""What happens in weeks: full disks, vanished files, two runs at once, kills. Every file is accounted for."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import PIL.Image
import pytest
from conftest import picture

from odekit.core import files
from odekit.images import io
from odekit.runs import pipeline
from odekit.runs.lock import lock_output_folder

PROGRAM = [sys.executable, "-c", "from odekit.cli import main; main()"]


def outputs(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def hidden(folder):
    return [path.name for path in folder.rglob(".*")]


def fill_up_after(monkeypatch, count, code):
    """The disk holds `count` more files."""
    place, room = files.write_atomic, [count]

    def full(data, path, scratch=None, **how):
        if not room[0]:
            raise OSError(code, os.strerror(code), str(path))
        room[0] -= 1
        place(data, path, scratch, **how)

    monkeypatch.setattr(files, "write_atomic", full)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS], ids=["full", "read-only"])
def test_a_disk_that_takes_no_more_ends_the_run_and_a_resume_completes_it(cli, exact, faces, tmp_path, code):
    cli("run", exact, faces, "-o", tmp_path / "whole", "--batch-size", 2)
    with pytest.MonkeyPatch.context() as patch:
        fill_up_after(patch, 5, code)
        done = cli("run", exact, faces, "-o", tmp_path / "out", "--batch-size", 2, "--json")
    assert done.code == 4
    said = json.loads(done.out)
    assert (len(said["restored"]), said["failed"], said["left"]) == (2, [], 5)
    assert os.strerror(code) in done.err
    assert hidden(tmp_path / "out") == []
    assert cli("run", exact, faces, "-o", tmp_path / "out", "--resume").code == 0
    assert outputs(tmp_path / "out") == outputs(tmp_path / "whole")


def test_one_output_that_cannot_be_written_is_one_failure(cli, exact, faces, tmp_path):
    (tmp_path / "out" / "face3.png").mkdir(parents=True)
    done = cli("run", exact, faces, "-o", tmp_path / "out", "--overwrite", "--json")
    assert done.code == 3
    (failure,) = json.loads(done.out)["failed"]
    assert failure["input"].endswith("face3.png")
    assert "cannot be written" in failure["error"]


def test_a_file_that_vanishes_after_listing_is_listed_as_failed(cli, exact, faces, tmp_path, monkeypatch):
    read = io.read_file

    def late(path, **options):
        (faces / "face5.png").unlink(missing_ok=True)
        return read(path, **options)

    monkeypatch.setattr(io, "read_file", late)
    done = cli("run", exact, faces, "-o", tmp_path / "out", "--json")
    assert done.code == 3
    assert len(json.loads(done.out)["restored"]) == 6
    assert "face5.png: does not exist" in done.err


def test_a_file_that_changes_after_reading_is_restored_again_by_a_resume(cli, exact, faces, tmp_path, monkeypatch):
    read = io.read_file

    def changed(path, **options):
        found = read(path, **options)
        if str(path).endswith("face2.png"):
            PIL.Image.fromarray(picture(77)).save(path)
        return found

    monkeypatch.setattr(io, "read_file", changed)
    cli("run", exact, faces, "-o", tmp_path / "out")
    monkeypatch.undo()
    done = cli("run", exact, faces, "-o", tmp_path / "out", "--resume", "--json")
    assert [name.rpartition("/")[2] for name in json.loads(done.out)["restored"]] == ["face2.png"]


def test_batches_stay_full_though_every_third_file_is_corrupt(cli, exact, tmp_path):
    (tmp_path / "in").mkdir()
    for i in range(24):
        path = tmp_path / "in" / f"{i:02}.png"
        PIL.Image.fromarray(picture(i)).save(path)
        if i % 3 == 0:
            path.write_bytes(path.read_bytes()[:60])
    done = cli("run", exact, tmp_path / "in", "-o", tmp_path / "out", "--batch-size", 4, "--json")
    said = json.loads(done.out)
    assert (len(said["restored"]), len(said["failed"]), said["left"]) == (16, 8, 0)
    assert said["fill"] == 1.0


def test_two_runs_on_one_folder_are_refused_by_name(cli, exact, faces, tmp_path):
    (tmp_path / "out").mkdir()
    with lock_output_folder(tmp_path / "out"):
        done = cli("run", exact, faces, "-o", tmp_path / "out")
        assert done.code == 2
        assert "another run" in done.err
        assert cli("run", exact, faces, "-o", tmp_path / "out", "--shard", "1/2").code == 2
    assert cli("run", exact, faces, "-o", tmp_path / "out").code == 0


def test_shards_share_a_folder_and_give_the_bytes_of_one_run(cli, exact, faces, tmp_path):
    cli("run", exact, faces, "-o", tmp_path / "whole")
    with lock_output_folder(tmp_path / "parts", "2/2") if (tmp_path / "parts").mkdir() is None else None:
        assert cli("run", exact, faces, "-o", tmp_path / "parts", "--shard", "1/2").code == 0
    assert cli("run", exact, faces, "-o", tmp_path / "parts", "--shard", "2/2").code == 0
    assert outputs(tmp_path / "parts") == outputs(tmp_path / "whole")


def test_workers_change_no_byte_and_leave_nothing_behind(cli, exact, faces, tmp_path):
    cli("run", exact, faces, "-o", tmp_path / "inline", "--workers", 0)
    cli("run", exact, faces, "-o", tmp_path / "beside", "--workers", 2, "--keep-stages")
    assert outputs(tmp_path / "beside") == outputs(tmp_path / "inline")
    assert (tmp_path / "beside" / "stages" / "face0.png" / "sheet.png").exists()
    assert hidden(tmp_path / "beside") == []


def test_a_link_in_the_output_folder_leads_nowhere(cli, exact, tmp_path):
    for place in ("in/sub", "out", "elsewhere"):
        (tmp_path / place).mkdir(parents=True)
    PIL.Image.fromarray(picture(1)).save(tmp_path / "in" / "sub" / "x.png")
    (tmp_path / "out" / "sub").symlink_to(tmp_path / "elsewhere")
    done = cli("run", exact, tmp_path / "in", "-o", tmp_path / "out")
    assert done.code == 3
    assert "outside the output folder" in done.err
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_names_with_two_dots_stay_inside(cli, exact, faces, tmp_path, monkeypatch):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "er")
    assert cli("run", exact, "../../faces/face0.png", "../../faces/../faces/face1.png", "-o", "out").code == 0
    assert sorted(outputs(tmp_path / "deep" / "er" / "out")) == ["face0.png", "face1.png"]


def test_a_time_limit_starts_no_batch_that_would_end_too_late(cli, exact, faces, tmp_path):
    done = cli("run", exact, faces, "-o", tmp_path / "out", "--time-limit", "0.000001", "--json")
    assert done.code == 4
    assert json.loads(done.out)["left"] == 7
    assert "time limit" in done.err
    assert cli("run", exact, faces, "-o", tmp_path / "out", "--resume", "--time-limit", "1:00:00").code == 0
    for wrong in ("soon", "0", "-3", "1:99:00"):
        assert cli("run", exact, faces, "-o", tmp_path / "out", "--resume", "--time-limit", wrong).code == 2


@pytest.fixture
def slow(exact):
    exact.write_text(exact.read_text().replace("side: 8", "side: 64").replace("steps: 10", "steps: 300"))
    return exact


def started(chain, faces, out, *more):
    command = [*PROGRAM, "run", chain, faces, "-o", out, "--batch-size", 1, *more]
    return subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(process, out, count):
    deadline = time.monotonic() + 120
    while len(list(out.glob("*.png.json"))) < count:
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)


def test_a_schedulers_sigterm_ends_the_run_and_is_told(slow, faces, tmp_path):
    process = started(slow, faces, tmp_path / "out")
    wait_for(process, tmp_path / "out", 1)
    process.terminate()
    _, err = process.communicate(timeout=120)
    assert process.returncode == 143
    assert "terminated" in err
    assert hidden(tmp_path / "out") == []


def test_a_second_ctrl_c_does_not_wait_for_files_being_written(cli, exact, faces, tmp_path, monkeypatch):
    write = pipeline.write_result

    def interrupted(name, *args):
        if name == "face3.png":
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return write(name, *args)

    monkeypatch.setattr(pipeline, "write_result", interrupted)
    done = cli("run", exact, faces, "-o", tmp_path / "out")
    assert done.code == 130
    assert done.err.splitlines()[-1].endswith("4 remaining; continue with --resume")
    assert sorted(outputs(tmp_path / "out")) == ["face0.png", "face1.png", "face2.png"]
    assert hidden(tmp_path / "out") == []


def test_the_log_tells_of_a_result_before_the_next_batch_ends(cli, slow, faces, tmp_path):
    process = started(slow, faces, tmp_path / "out", "--workers", 2)
    wait_for(process, tmp_path / "out", 4)
    process.kill()
    process.communicate()
    (run,) = json.loads(cli("status", tmp_path / "out", "--json").out)
    assert run["state"] == "died"
    assert run["done"] >= 2


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.long)])
def test_after_random_kills_every_file_is_restored_once_and_equal_or_listed(cli, slow, tmp_path, kills):
    (tmp_path / "in").mkdir()
    corrupt = {f"{i:03}.png" for i in range(4, 3 * kills, 10)}
    for i in range(3 * kills):
        path = tmp_path / "in" / f"{i:03}.png"
        PIL.Image.fromarray(picture(i)).save(path)
        if path.name in corrupt:
            path.write_bytes(path.read_bytes()[:60])
    assert cli("run", slow, tmp_path / "in", "-o", tmp_path / "whole", "--batch-size", 2).code == 3
    dice, out = random.Random(1), tmp_path / "out"
    for _ in range(kills):
        process = started(slow, tmp_path / "in", out, "--resume", "--batch-size", 2, "--workers", 1)
        before = len(list(out.glob("*.png.json"))) if out.exists() else 0
        deadline = time.monotonic() + 120
        while len(list(out.glob("*.png.json"))) <= before and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(dice.random() * 0.3)
        process.kill()
        process.communicate()
    said = json.loads(cli("run", slow, tmp_path / "in", "-o", out, "--resume", "--json").out)
    assert {failure["input"].rpartition("/")[2] for failure in said["failed"]} == corrupt
    assert (len(said["restored"]) + len(said["skipped"]), said["left"]) == (3 * kills - len(corrupt), 0)
    assert outputs(out) == outputs(tmp_path / "whole")
    assert len(outputs(out)) == 3 * kills - len(corrupt)
    assert hidden(out) == []
    lines = [json.loads(line) for line in (out / "run.jsonl").read_text().splitlines() if line.endswith("}")]
    restored = [line["input"] for line in lines if line["event"] == "restored"]
    assert len(restored) == len(set(restored)), "a file was restored twice"


def test_shards_of_different_counts_do_not_share_a_folder_at_once(cli, exact, faces, tmp_path):
    (tmp_path / "out").mkdir()
    with lock_output_folder(tmp_path / "out", "1/2"):
        done = cli("run", exact, faces, "-o", tmp_path / "out", "--shard", "2/3")
        assert done.code == 2
        assert "another run" in done.err


def test_a_whole_run_clears_what_killed_shards_left(cli, exact, faces, tmp_path):
    left = tmp_path / "out" / ".odekit-tmp-1-of-2"
    left.mkdir(parents=True)
    (left / ".odekit-x.tmp").write_bytes(b"half")
    cli("run", exact, faces, "-o", tmp_path / "out", "--resume")
    assert hidden(tmp_path / "out") == []


def test_a_disk_that_fills_between_picture_and_record_leaves_no_record_of_another_picture(cli, exact, faces, tmp_path):
    one = faces / "face0.png"
    cli("run", exact, one, "-o", tmp_path / "out", "--batch-size", 2)
    with pytest.MonkeyPatch.context() as patch:
        fill_up_after(patch, 1, errno.ENOSPC)
        done = cli("run", exact, one, "-o", tmp_path / "out", "--overwrite", "--batch-size", 3, "--json")
    assert (done.code, json.loads(done.out)["left"]) == (4, 1)
    assert not (tmp_path / "out" / "face0.png.json").exists()
    assert cli("run", exact, one, "-o", tmp_path / "out", "--resume").code == 0
    assert json.loads((tmp_path / "out" / "face0.png.json").read_text())["slots"] == 3


def test_a_lock_that_another_process_probes_is_still_available(tmp_path):
    from filelock import FileLock

    looking = FileLock(tmp_path / "run.lock", thread_local=False)
    looking.acquire()
    threading.Timer(0.2, looking.release).start()
    with lock_output_folder(tmp_path):
        assert not looking.is_locked, "the run waited until the other had looked"


def test_a_folder_without_locks_is_named(cli, exact, faces, tmp_path, monkeypatch):
    def none(self, **options):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("filelock.FileLock.acquire", none)
    done = cli("run", exact, faces, "-o", tmp_path / "out")
    assert done.code == 2
    assert os.strerror(errno.ENOLCK) in done.err


def test_a_clock_that_is_set_back_stops_nothing(cli, exact, faces, tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time", iter(range(10**9, 0, -3600)).__next__)
    done = cli("run", exact, faces, "-o", tmp_path / "out", "--time-limit", "1h", "--json")
    assert len(json.loads(done.out)["restored"]) == 7
    monkeypatch.undo()
    (run,) = json.loads(cli("status", tmp_path / "out", "--json").out)
    assert (run["state"], run["done"], run["rate"]) == ("finished", 7, None)
