"""One picture into one file, or through standard input and output: nothing else is written, nothing else is printed."""

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from conftest import EXACT, picture

PROGRAM = [sys.executable, "-c", "from odekit.cli import main; main()"]
PLAIN = "odekit: 1\nchain: [{upsample: {use: resize, scale: 2}}]\n"


@pytest.fixture
def work(tmp_path, monkeypatch):
    """The current folder, with a chain that doubles a picture, and a picture."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    (tmp_path / "double.yaml").write_text(PLAIN)
    PIL.Image.fromarray(picture(0)).save(tmp_path / "face.png")
    return tmp_path / "work"


CHAIN, FACE = "../double.yaml", "../face.png"


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def piped(*args, data=b"", **options):
    done = subprocess.run([*PROGRAM, *map(str, args)], input=data, capture_output=True, check=False, **options)
    assert b"Traceback" not in done.stderr
    return done


def test_a_file_as_output_is_written_and_nothing_else(cli, work):
    done = cli("run", CHAIN, FACE, "-o", "result.png")
    assert done.code == 0
    assert names(work) == ["result.png"]
    assert ["output", "file", "│", "result.png"] in [line.split() for line in done.out.splitlines()]
    cli("run", CHAIN, FACE, "-o", "folder")
    in_folder = (work / "folder" / "face.png").read_bytes()
    assert (work / "result.png").read_bytes() == in_folder


@pytest.mark.parametrize(("name", "format"), [
    ("a.jpg", "JPEG"), ("a.JPEG", "JPEG"), ("a.jfif", "JPEG"), ("a.webp", "WEBP"), ("a.tif", "TIFF"), ("a.bmp", "BMP"), ("new/deep/a.png", "PNG"),
])  # fmt: skip
def test_the_suffix_chooses_the_format(cli, work, name, format):
    assert cli("run", CHAIN, FACE, "-o", name).code == 0
    with PIL.Image.open(name) as written:
        assert (written.format, written.size) == (format, (16, 16))
    assert [path for path in names(work) if (work / path).is_file()] == [name]


def test_the_suffix_replaces_the_format_of_the_chain_and_keeps_its_other_options(cli, work):
    (work.parent / "double.yaml").write_text(PLAIN.replace("]", ", {save: {format: png, quality: 20}}]"))
    cli("run", CHAIN, FACE, "-o", "small.jpg")
    (work.parent / "double.yaml").write_text(PLAIN)
    cli("run", CHAIN, FACE, "-o", "large.jpg")
    with PIL.Image.open("small.jpg") as small, PIL.Image.open("large.jpg") as large:
        assert small.format == "JPEG" and small.quantization[0][0] > large.quantization[0][0]


def test_the_record_is_written_where_it_is_asked_for(cli, work):
    done = cli("run", CHAIN, FACE, "-o", "result.jpg", "--record", "about.json", "--json")
    assert names(work) == ["about.json", "result.jpg"]
    record = json.loads((work / "about.json").read_text())
    assert (
        record["output"]["path"] == "result.jpg" and record["output"]["bytes"] == (work / "result.jpg").stat().st_size
    )
    assert record["input"]["path"] == FACE
    assert record["chain"]["chain"][-1]["save"]["format"] == "jpeg"
    said = json.loads(done.out)
    assert (said["out"], said["restored"], said["failed"]) == ("result.jpg", ["result.jpg"], [])


@pytest.mark.parametrize("name", ["out", "v1.2/", "there.png"])
def test_a_name_without_suffix_an_existing_folder_and_a_final_slash_mean_a_folder(cli, work, name):
    (work / "there.png").mkdir()
    assert cli("run", CHAIN, FACE, "-o", name).code == 0
    assert {"face.png", "face.png.json", "run.json", "run.jsonl"} == {path.name for path in (work / name).iterdir()}


def test_a_suffix_that_is_no_picture_still_means_a_folder_for_a_folder(cli, work, faces):
    assert cli("run", CHAIN, faces, "-o", "v1.2").code == 0
    assert (work / "v1.2" / "face0.png").is_file()


REFUSED = {
    "no name": ([FACE, "-o", ""], "-o '': names nothing; name a folder, or ."),
    "unknown suffix": ([FACE, "-o", "a.xyz"], "-o a.xyz: odekit does not write '.xyz' files; use one of .png,"),
    "a format that is only read": ([FACE, "-o", "a.heic"], "odekit does not write '.heic' files"),
    "gif for a folder": (["FACES", "-o", "a.gif"], "odekit does not write '.gif' files"),
    "a folder": (["FACES", "-o", "a.png"], "-o a.png names one file, and"),
    "two inputs": (
        [FACE, "FACES/face0.png", "-o", "a.png"],
        "-o a.png names one file, and there are 2 inputs; name a folder",
    ),
    "a glob of seven": (["FACES/*.png", "-o", "a.png"], "-o a.png names one file, and there are 7 inputs"),
    "an existing file": ([FACE, "-o", "old.png"], "old.png exists; use --overwrite to replace it"),
    "an existing record": ([FACE, "-o", "a.png", "--record", "old.json"], "old.json exists; use --overwrite"),
    "the input": ([FACE, "-o", FACE, "--overwrite"], "../face.png would replace the input; choose another name"),
    "record and result": ([FACE, "-o", "a.png", "--record", "./a.png"], "is the result itself; choose another name"),
    "a folder that is a file": ([FACE, "-o", "old.png/a.png"], "old.png/a.png cannot be written: "),
    "a missing input": (["no.png", "-o", "a.png"], "no.png: no such file or folder"),
    "a record in a folder": ([FACE, "-o", "out", "--record", "a.json"], "--record is for a file as output"),
    "standard input and more": (["-", FACE, "-o", "a.png"], "'-' (standard input) is one picture"),
    "standard input to a folder": (["-", "-o", "out"], "'-' (standard input) is one picture"),
    "--resume": ([FACE, "-o", "a.png", "--resume"], "--resume cannot be used with -o a.png; omit it, or name a folder"),
    "--report": ([FACE, "-o", "a.png", "--report"], "--report cannot be used with -o a.png"),
    "--keep-stages": ([FACE, "-o", "a.png", "--keep-stages"], "--keep-stages cannot be used with -o a.png"),
    "--shard": ([FACE, "-o", "a.png", "--shard", "1/2"], "--shard cannot be used with -o a.png"),
    "--json": ([FACE, "-o", "-", "--json"], "--json cannot be used with -o -; omit it, or name a file"),
}


@pytest.mark.parametrize(("args", "expected"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_work_is_one_line_and_writes_nothing(cli, work, faces, args, expected):
    (work / "old.png").write_text("old")
    (work / "old.json").write_text("old")
    done = cli("run", CHAIN, *(arg.replace("FACES", str(faces)) for arg in args))
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert expected in done.err
    assert names(work) == ["old.json", "old.png"]


def test_overwrite_replaces_result_and_record(cli, work):
    for _ in range(2):
        done = cli("run", CHAIN, FACE, "-o", "a.png", "--record", "a.json", "--overwrite")
        assert done.code == 0
    assert names(work) == ["a.json", "a.png"]


def test_a_picture_that_fails_leaves_nothing(cli, work):
    (work.parent / "bad.png").write_bytes(b"no picture")
    done = cli("run", CHAIN, "../bad.png", "-o", "a.png", "--record", "a.json", "--json")
    assert (done.code, done.err.count("\n"), names(work)) == (3, 1, [])
    assert json.loads(done.out)["failed"][0]["input"] == "../bad.png"
    assert "../bad.png: is not a picture" in done.err


def test_a_dry_run_names_the_file(cli, work):
    assert cli("run", CHAIN, FACE, "-o", "a.png", "--dry-run").out == f"{FACE} -> a.png\n"
    said = json.loads(cli("run", CHAIN, FACE, "-o", "a.png", "--dry-run", "--json").out)
    assert said == {"jobs": [{"input": FACE, "output": "a.png"}], "done": 0, "calls_per_image": 0}
    assert names(work) == []


def test_further_pictures_of_a_stage_are_named_and_not_written(cli, work):
    (work.parent / "exact.yaml").write_text(EXACT)
    done = cli("run", "../exact.yaml", FACE, "-o", "a.png", "--set", "restore.samples=2")
    assert done.code == 0 and names(work) == ["a.png"]
    assert "odekit: not written: sample2, spread; name a folder with -o to get these as well\n" in done.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
def test_the_result_is_written_where_the_note_about_others_cannot_be_printed(work):
    (work.parent / "exact.yaml").write_text(EXACT)
    command = [*PROGRAM, "run", "../exact.yaml", FACE, "-o", "a.png", "--set", "restore.samples=2"]
    with Path("/dev/full").open("wb") as full:
        subprocess.run(command, stderr=full, stdout=subprocess.DEVNULL, check=False)
    assert names(work) == ["a.png"]


def test_messages_name_standard_input_and_no_temporary_folder(work):
    data = io.BytesIO()
    first, second = (PIL.Image.fromarray(picture(i)) for i in range(2))
    first.save(data, "GIF", save_all=True, append_images=[second])
    done = piped("run", CHAIN, "-", "-o", "a.png", data=data.getvalue())
    assert done.returncode == 0
    assert done.stderr.decode() == "odekit: standard input: holds several frames; only the first was read\n"
    failed = piped("run", CHAIN, "-", "-o", "b.png", data=b"no picture")
    assert failed.returncode == 3
    assert failed.stderr.decode().startswith("odekit: standard input: is not a picture;")
    assert (
        piped("run", CHAIN, "-", "-o", "b.png").stderr.decode().startswith("odekit: standard input: is empty (0 bytes)")
    )
    assert names(work) == ["a.png"]


def test_a_picture_goes_through_standard_input_and_output(cli, work):
    cli("run", CHAIN, FACE, "-o", "whole.png")
    expected = (work / "whole.png").read_bytes()
    data = Path(FACE).read_bytes()
    both = piped("run", CHAIN, "-", "-o", "-", "--record", "about.json", data=data)
    assert (both.returncode, both.stdout, both.stderr) == (0, expected, b"standard input: upsampled to 16x16\n")
    record = json.loads((work / "about.json").read_text())
    assert (record["input"]["path"], record["output"]["path"]) == ("-", "-")
    assert piped("run", CHAIN, FACE, "-o", "-").stdout == expected
    assert names(work) == ["about.json", "whole.png"]


@pytest.mark.parametrize(
    ("source", "chain_format", "expected"), [("JPEG", None, "JPEG"), ("GIF", None, "PNG"), ("JPEG", "webp", "WEBP")]
)
def test_standard_output_has_the_format_of_the_input_or_of_the_chain(work, source, chain_format, expected):
    data = io.BytesIO()
    PIL.Image.fromarray(picture(0)).save(data, source)
    if chain_format:
        (work.parent / "double.yaml").write_text(PLAIN.replace("]", f", {{save: {{format: {chain_format}}}}}]"))
    done = piped("run", CHAIN, "-", "-o", "-", data=data.getvalue())
    assert PIL.Image.open(io.BytesIO(done.stdout)).format == expected


def test_the_size_limit_holds_while_standard_input_is_read(work):
    """2^27 + 8e6 bytes is the largest file of one megapixel; the rest is not even read."""
    read_end, write_end = os.pipe()
    command = [*PROGRAM, "run", CHAIN, "-", "-o", "-", "--max-megapixels", "1"]
    process = subprocess.Popen(command, stdin=read_end, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.close(read_end)
    written, block = 0, bytes(1 << 20)
    with contextlib.suppress(BrokenPipeError):
        while written < 2**28:
            written += os.write(write_end, block)
    os.close(write_end)
    out, err = process.communicate()
    assert (process.returncode, out) == (3, b"")
    assert err == b"odekit: standard input: is larger than any picture of 1 megapixels; raise --max-megapixels\n"
    assert written < 2**27 + 8e6 + 2**21
    large = io.BytesIO()
    PIL.Image.fromarray(np.zeros((1001, 1000), np.uint8)).save(large, "PNG")
    refused = piped("run", CHAIN, "-", "-o", "-", "--max-megapixels", "1", data=large.getvalue())
    assert refused.returncode == 3 and b"standard input: has 1000 x 1001 pixels" in refused.stderr


def test_a_closed_pipe_is_one_line(work):
    PIL.Image.fromarray(picture(0, 300, 300)).save(work.parent / "large.png")
    process = subprocess.Popen(
        [*PROGRAM, "run", CHAIN, "../large.png", "-o", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    error = process.stderr.read().decode()
    assert process.wait() == 4
    last = error.splitlines()[-1]
    assert last == "odekit: standard output was closed before the picture was written; nothing was written"
    assert "Traceback" not in error


def test_a_terminal_is_no_place_for_a_picture(cli, work, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    assert "which is a terminal; pipe a picture into odekit" in cli("run", CHAIN, "-", "-o", "a.png").err
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert "which is a terminal; redirect it: > result.png" in cli("run", CHAIN, FACE, "-o", "-").err


@pytest.mark.parametrize(
    ("closed", "args"), [("<&-", ["-", "-o", "a.png"]), (">&-", [FACE, "-o", "-"])], ids=["input", "output"]
)
def test_closed_standard_streams_are_one_line(work, closed, args):
    command = " ".join([sys.executable, "-m", "odekit", "run", CHAIN, *args, closed])
    done = subprocess.run(["bash", "-c", command], stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2 and done.stderr.count(b"\n") == 1 and b"which is closed; " in done.stderr


def test_no_temporary_folder_remains(cli, work, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(work.parent / "tmp"))
    (work.parent / "tmp").mkdir()
    cli("run", CHAIN, FACE, "-o", "a.png")
    assert names(work.parent / "tmp") == []


@pytest.mark.parametrize("words", [["-o", ""], ["--out", ""], ["--out="]])
@pytest.mark.parametrize("command", [["run", CHAIN, FACE], ["degrade", FACE, "--kind", "fog"]], ids=["run", "degrade"])
def test_an_empty_output_name_is_not_the_current_folder(cli, work, command, words):
    before = sorted(work.iterdir())
    done = cli(*command, *words)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert "-o '': names nothing" in done.err
    assert sorted(work.iterdir()) == before
