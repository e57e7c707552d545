"""Standard streams that are closed, full or narrow: results are written, and what is lost is told in one line."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import PIL.Image
import pytest
from conftest import picture

from odekit.cli import main
from odekit.cli.show import print_json, print_line, print_table, reserved_stdout
from odekit.cli.streams import ReaderGoneError, output_errors, prepare_streams
from odekit.errors import OdekitError, OutputError

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="the system has no /dev/full")


class Stream:
    """A standard stream that refuses to be written."""

    encoding, errors, closed = "utf-8", "strict", False

    def __init__(self, error):
        self.error = error

    def isatty(self):
        return False

    def fileno(self):
        raise ValueError("no descriptor")

    def write(self, text):
        raise self.error

    def flush(self):
        """Nothing is buffered."""


def called(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["odekit", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            OSError(28, "No space left on device"),
            "odekit: standard output cannot be written: No space left on device\n",
        ),
        (BrokenPipeError(32, "Broken pipe"), ""),
    ],
    ids=["full", "reader gone"],
)
def test_a_run_goes_on_when_nobody_takes_its_lines_and_then_says_so(
    exact, faces, tmp_path, monkeypatch, capsys, error, said
):
    monkeypatch.setattr(sys, "stdout", Stream(error))
    for number, more in enumerate(([], ["--json"])):
        out = tmp_path / f"out{number}"
        assert called(monkeypatch, "run", exact, faces, "-o", out, *more) == 4
        assert len(list(out.glob("face*.png"))) == 7
        assert json.loads((out / "run.jsonl").read_text().splitlines()[-1])["reason"] == "finished"
        assert capsys.readouterr().err.endswith(said)  # a slow machine shows its progress before


def test_failures_are_told_although_the_summary_cannot_be(exact, faces, tmp_path, monkeypatch, capsys):
    (faces / "face3.png").write_text("no picture")
    monkeypatch.setattr(sys, "stdout", Stream(OSError(28, "No space left on device")))
    assert called(monkeypatch, "run", exact, faces, "-o", tmp_path / "out") == 4
    assert "face3.png: is not a picture" in capsys.readouterr().err


def test_a_run_goes_on_when_standard_output_is_closed(exact, faces, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert called(monkeypatch, "run", exact, faces, "-o", tmp_path / "out") == 0
    assert len(list((tmp_path / "out").glob("face*.png"))) == 7


def test_every_way_of_printing_names_the_stream(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Stream(OSError(28, "No space left on device")))
    for prints in (lambda: print_line("x"), lambda: print_json({}), lambda: print_table("", ["a"], [["b"]])):
        with pytest.raises(OutputError, match="standard output cannot be written: No space left"):
            prints()
    with pytest.raises(ReaderGoneError), output_errors():
        raise BrokenPipeError(32, "Broken pipe")
    with pytest.raises(OSError, match="terminal"), output_errors():
        raise OSError(5, "terminal")


@needs_full
def test_what_is_buffered_is_lost_aloud():
    """With the descriptors of a process, whose buffers are written when the command has ended."""
    code = "import odekit.cli, sys; sys.argv = ['odekit', '--version']; odekit.cli.main()"
    with FULL.open("w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (4, "odekit: standard output cannot be written: No space left on device\n")


def end_with_results():
    with reserved_stdout():
        print_json({"restored": []})
        raise SystemExit(0)


@needs_full
def test_results_of_a_command_that_ends_with_a_code_are_flushed(monkeypatch):
    saved = os.dup(1)
    full = os.open(FULL, os.O_WRONLY)
    try:
        os.dup2(full, 1)
        with open(1, "w", closefd=False) as stdout:
            monkeypatch.setattr(sys, "stdout", stdout)
            with pytest.raises(OutputError, match="No space left"):
                end_with_results()
    finally:
        os.dup2(saved, 1)
        os.close(saved)
        os.close(full)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_closed_descriptor_is_not_that_of_the_next_file(tmp_path):
    """A library that prints would write into it."""
    child = os.fork()
    if child == 0:
        try:
            os.close(2)
            sys.stderr = None
            prepare_streams()
            file = os.open(tmp_path / "result", os.O_WRONLY | os.O_CREAT)
            os._exit(0 if file > 2 and sys.stderr is not None else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_names_that_the_encoding_lacks_are_shown_as_escapes(exact, tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    PIL.Image.fromarray(picture()).save(tmp_path / "in" / "größe.png")
    with (tmp_path / "said").open("w", encoding="ascii") as said:
        monkeypatch.setattr(sys, "stdout", said)
        assert called(monkeypatch, "run", exact, tmp_path / "in", "-o", tmp_path / "out") == 0
    assert r"gr\xf6\xdfe.png: restored" in (tmp_path / "said").read_text()


def test_a_current_folder_that_has_gone_is_one_line(exact, faces, tmp_path, monkeypatch, capsys):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert called(monkeypatch, "run", exact, faces, "-o", "out") == 2
    assert capsys.readouterr().err.endswith(
        "odekit: the current folder does not exist any more; change to another one\n"
    )


def test_a_full_disk_is_one_line_in_every_command(monkeypatch, capsys):
    def full(out):
        raise OSError(28, "No space left on device", "out/faces.json")

    monkeypatch.setattr("odekit.runs.status.find_runs", full)
    assert called(monkeypatch, "status", "out") == 4
    assert capsys.readouterr().err == "odekit: out/faces.json: No space left on device\n"

    def told(out):
        try:
            full(out)
        except OSError as error:
            raise OdekitError("out/report.html: cannot be written") from error

    monkeypatch.setattr("odekit.runs.status.find_runs", told)
    assert called(monkeypatch, "status", "out") == 4
    assert capsys.readouterr().err == "odekit: out/report.html: cannot be written\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is no signal there")
def test_ctrl_c_is_one_line_from_the_first_moment(tmp_path):
    """The program is stopped while it imports its command line, which is replaced by a module that tells and waits."""
    (tmp_path / "typer.py").write_text("import time\nopen('there', 'w').close()\ntime.sleep(60)\n")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    process = subprocess.Popen(
        [sys.executable, "-m", "odekit", "run"], stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment
    )
    while not (tmp_path / "there").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(2)
    assert process.communicate(timeout=60)[1] == "odekit: interrupted\n"
    assert process.returncode == 130


def test_ctrl_c_while_a_command_loads_is_one_line_too(cli, exact, faces, tmp_path, monkeypatch):
    """The library of the command line would end the program with the code alone."""

    def pressed(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("odekit.chains.chain.Chain.load", pressed)
    for command in (["run", exact, faces, "-o", tmp_path / "out"], ["explain", exact]):
        done = cli(*command)
        assert (done.code, done.err) == (130, "odekit: interrupted\n")
