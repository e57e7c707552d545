"""What a run writes where: never over its own files, its inputs, or files that were there before."""

import json
import os
import shutil
import signal
import sys
import time

import numpy as np
import PIL.Image
import pytest
from conftest import picture

from odekit.core.files import read_json
from odekit.runs.files import read_input
from odekit.runs.own_names import own_name
from odekit.runs.record import record_text, shared_text
from odekit.runs.runner import Runner
from odekit.runs.stop import ending_in_order


def save(path, seed=0, form="PNG"):
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(picture(seed)).save(path, form)
    return path


def pixels(path):
    return np.asarray(PIL.Image.open(path))


@pytest.mark.parametrize(
    "name",
    ["run", "failures", "failures-1-of-2", "Run", ".odekit-tmp/a.png", ".odekit-tmp-2-of-3/a.png", "run.json/a.png",
     "run.jsonl/a.png", "run-1-of-2.lock/a.png", "report.html/a.png", "RUN.LOCK/a.png"],
)  # fmt: skip
def test_a_result_does_not_take_the_place_of_what_a_run_writes_itself(cli, exact, tmp_path, name):
    save(tmp_path / "in" / name)
    save(tmp_path / "in" / "other.png", 1)
    inputs = [tmp_path / "in", *([] if "/" in name else [tmp_path / "in" / name])]
    done = cli("run", exact, *inputs, "-o", tmp_path / "out", "--json")
    assert done.code == 3
    (failed,) = json.loads(done.out)["failed"]
    assert "in the output folder is the run's own; rename" in failed["error"]
    assert cli("run", exact, *inputs, "-o", tmp_path / "out", "--resume").code == 3
    assert "output" not in read_json(tmp_path / "out" / "run.json")  # it is no record
    assert (tmp_path / "out" / "other.png").exists()


def test_other_names_are_free():
    for name in (
        "runs",
        "run.png",
        "a/run",
        "stages/a.png",
        "report_files/a.png",
        "failures.txt",
        "a/.odekit-tmp/b.png",
    ):
        assert own_name(name) == ""
    assert own_name("Stages/a.png", keeps_stages=True) == "Stages"


@pytest.mark.parametrize("folder", ["stages", "report_files"])
def test_results_in_folders_of_such_names_bind_later_runs(cli, exact, tmp_path, folder):
    """Without --keep-stages they are folders like any other: another seed must not join their results."""
    save(tmp_path / "in" / folder / "a.png")
    assert cli("run", exact, tmp_path / "in", "-o", tmp_path / "out").code == 0
    done = cli("run", exact, save(tmp_path / "b.png", 1), "-o", tmp_path / "out", "--seed", 3)
    assert (done.code, "another seed" in done.err) == (2, True)


def test_a_result_whose_ending_was_corrected_is_not_replaced_either(cli, exact, tmp_path):
    run = ["run", exact, save(tmp_path / "a.jpg"), "-o", tmp_path / "out"]  # a PNG
    assert cli(*run).code == 0
    before = (tmp_path / "out" / "a.jpg.png").stat().st_mtime_ns
    done = cli(*run)
    assert (done.code, done.err.split(" exists;")[0]) == (2, f"odekit: {tmp_path / 'out' / 'a.jpg.png'}")
    assert (tmp_path / "out" / "a.jpg.png").stat().st_mtime_ns == before
    assert cli(*run, "--overwrite").code == 0


@pytest.mark.parametrize("there", ["face0.png.json", "face0.sample2.png"])
def test_files_of_others_beside_a_result_are_not_replaced(cli, exact, faces, tmp_path, there):
    out = tmp_path / "out"
    out.mkdir()
    (out / there).write_text('{"of": "somebody else"}')
    done = cli("run", exact, faces / "face0.png", "-o", out, "--set", "restore.samples=2")
    assert (done.code, done.err.split(" exists;")[0]) == (2, f"odekit: {out / there}")
    assert (out / there).read_text() == '{"of": "somebody else"}'


def test_a_record_whose_result_was_deleted_does_not_hinder(cli, exact, faces, tmp_path):
    run = ["run", exact, faces / "face0.png", "-o", tmp_path / "out"]
    cli(*run)
    (tmp_path / "out" / "face0.png").unlink()
    assert cli(*run).code == 0


def test_a_picture_beside_a_result_does_not_replace_an_input(cli, exact, tmp_path):
    exact.write_text(exact.read_text() + "  - save: {format: webp}\n")
    save(tmp_path / "in" / "a.png")
    kept = save(tmp_path / "in" / "a.sample2.png", 1).read_bytes()
    done = cli("run", exact, tmp_path / "in", "-o", tmp_path / "in", "--set", "restore.samples=2", "--overwrite")
    assert (done.code, "would replace an input" in done.err) == (2, True)
    assert (tmp_path / "in" / "a.sample2.png").read_bytes() == kept


def test_a_batch_size_that_nobody_can_have_meant_is_not_believed(cli, exact, faces, tmp_path):
    out = tmp_path / "out"
    cli("run", exact, faces, "-o", out, "--limit", 2)
    changed = read_json(out / "run.json") | {"slots": 65536}
    (out / "run.json").write_text(json.dumps(changed))
    for more in (["--resume"], ["--resume", "--dry-run"], ["--shard", "1/2"]):
        done = cli("run", exact, faces, "-o", out, *more)
        assert (done.code, len(done.err.splitlines())) == (2, 1)
        assert "states a batch size of 65,536 for 7 image(s)" in done.err
        assert "add --batch-size 65536" in done.err
    (out / "run.json").write_text(json.dumps(changed | {"slots": 512}))
    assert cli("run", exact, faces, "-o", out, "--resume", "--dry-run").code == 0


def test_records_show_control_characters_as_escapes(cli, exact, tmp_path):
    name = "a\x1b[2J\x7f\x9b\u202egnp.png"
    save(tmp_path / "in" / name)
    run = ["run", exact, tmp_path / "in", "-o", tmp_path / "out", "--json"]
    assert cli(*run).code == 0
    text = (tmp_path / "out" / f"{name}.json").read_text()
    assert not set(text) & set("\x1b\x7f\x9b\u202e")
    assert json.loads(text)["input"]["path"] == str(tmp_path / "in" / name)
    assert json.loads(cli(*run, "--resume").out)["restored"] == []
    assert shared_text({"chain": "\u202e"}) == '\n "chain": "\\u202e"\n}'
    assert json.loads(record_text({"note": "\x85"}, shared_text({"chain": "\u2028"})))["note"] == "\x85"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGHUP")
@pytest.mark.parametrize("number", [15, 1])
def test_a_signal_while_networks_are_loaded_leaves_no_lock_and_no_temporary_file(
    cli, exact, faces, tmp_path, monkeypatch, number
):
    def killed(*arguments):
        assert (tmp_path / "out" / "run.lock").exists()
        os.kill(os.getpid(), number)

    monkeypatch.setattr(Runner, "_open", killed)
    try:
        assert cli("run", exact, faces, "-o", tmp_path / "out").code == 128 + number
        assert list((tmp_path / "out").iterdir()) == []
        monkeypatch.setenv("TMPDIR", str(tmp_path / "out"))
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, signal.SIG_DFL)


def test_a_signal_while_a_file_is_read_is_told_like_any_other(cli, exact, faces, tmp_path, monkeypatch):
    def interrupted(file, *options):
        if file.endswith("face2.png"):
            signal.raise_signal(signal.SIGINT)
        return read_input(file, *options)

    monkeypatch.setattr("odekit.runs.sources.LocalFiles.read", staticmethod(interrupted))
    done = cli("run", exact, faces, "-o", tmp_path / "out", "--workers", 0, "--batch-size", 1)
    assert done.code == 130
    lines = done.err.splitlines()
    assert "odekit: stopping; finished results are kept; press Ctrl-C again to stop at once" in lines
    assert lines[-1].startswith("odekit: interrupted; finished results are in")


def test_a_signal_that_the_calling_program_handles_is_left_to_it():
    got = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: got.append(number))
    try:
        with ending_in_order():
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert got == [signal.SIGTERM]


@pytest.mark.parametrize("caught", [Exception, SystemExit, (Exception, SystemExit), BaseException])
def test_a_signal_ends_the_program_whatever_loading_code_makes_of_it(caught):
    """Plugins' faults are caught, and libraries turn what is raised inside of them into errors of their own."""

    @ending_in_order()
    def load():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
        except caught as error:
            raise ValueError("a damaged file") from error

    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with pytest.raises(SystemExit) as ended:
            load()
        assert ended.value.code == 128 + signal.SIGTERM
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_copy_of_a_folder_with_results_resumes_and_refuses_like_the_folder(cli, exact, faces, tmp_path):
    cli("run", exact, faces, "-o", tmp_path / "out")
    shutil.copytree(tmp_path / "out", tmp_path / "copy")
    assert cli("run", exact, faces, "-o", tmp_path / "copy").code == 2
    assert json.loads(cli("run", exact, faces, "-o", tmp_path / "copy", "--resume", "--json").out)["restored"] == []
