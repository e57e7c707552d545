"""What `--resume` takes for done: unchanged inputs, and outputs and extras that are whole."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from conftest import picture

from odekit.core.files import read_json, write_json
from odekit.runs.record import BLOCK


def restored(done):
    assert done.code == 0, done.err
    return sorted(Path(name).name for name in json.loads(done.out)["restored"])


def resume(cli, chain, faces, out, *more):
    return restored(cli("run", chain, faces, "-o", out, "--resume", "--json", *more))


def content(path):
    return path.read_bytes()


DAMAGES = {
    "zeros": lambda data: bytes(len(data)),
    "zeros at the end": lambda data: data[: len(data) // 2] + bytes(len(data) - len(data) // 2),
    "garbage": lambda data: bytes(255 - byte for byte in data),
    "half": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "longer": lambda data: data + b"\0",
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_output_is_restored_again(cli, exact, faces, tmp_path, kind):
    out = tmp_path / "out"
    cli("run", exact, faces, "-o", out)
    before = content(out / "face2.png")
    (out / "face2.png").write_bytes(DAMAGES[kind](before))
    assert resume(cli, exact, faces, out) == ["face2.png"]
    assert content(out / "face2.png") == before


@pytest.mark.parametrize("kind", ["zeros", "half", "empty"])
def test_a_damaged_output_of_an_older_version_is_restored_again(cli, exact, faces, tmp_path, kind):
    out = tmp_path / "out"
    cli("run", exact, faces, "-o", out)
    record = read_json(out / "face2.png.json")
    del record["output"]["blocks"]
    write_json(out / "face2.png.json", record)
    (out / "face2.png").write_bytes(DAMAGES[kind](content(out / "face2.png")))
    assert resume(cli, exact, faces, out) == ["face2.png"]


@pytest.fixture
def sampled(exact):
    """The chain with three samples of each face, and their spread."""
    text = exact.read_text().replace("rule: variance}", "rule: variance, temperature: 0.5}\n      samples: 3")
    exact.write_text(text)
    return exact


@pytest.mark.parametrize("kind", [*DAMAGES, "gone"])
def test_a_missing_or_damaged_extra_is_written_again(cli, sampled, faces, tmp_path, kind):
    out = tmp_path / "out"
    cli("run", sampled, faces, "-o", out, "--limit", 3)
    extra = out / "face1.sample2.png"
    before = content(extra)
    extra.unlink() if kind == "gone" else extra.write_bytes(DAMAGES[kind](before))
    assert resume(cli, sampled, faces, out, "--limit", 3) == ["face1.png"]
    assert content(extra) == before
    assert resume(cli, sampled, faces, out, "--limit", 3) == []


def test_an_extra_of_an_older_version_counts_too(cli, sampled, faces, tmp_path):
    out = tmp_path / "out"
    cli("run", sampled, faces, "-o", out, "--limit", 2)
    record = read_json(out / "face1.png.json")
    del record["extra_files"]
    write_json(out / "face1.png.json", record)
    assert resume(cli, sampled, faces, out, "--limit", 2) == []
    (out / "face1.sample2.png").write_bytes(b"")
    assert resume(cli, sampled, faces, out, "--limit", 2) == ["face1.png"]


def test_a_large_output_damaged_in_its_middle_is_found_by_verify(cli, tmp_path):
    chain, out = tmp_path / "chain.yaml", tmp_path / "out"
    chain.write_text("odekit: 1\nchain:\n  - upsample: {use: resize, scale: 2}\n")
    PIL.Image.fromarray(picture(1, 128, 128)).save(tmp_path / "a.png")
    cli("run", chain, tmp_path / "a.png", "-o", out)
    whole = content(out / "a.png")
    assert len(whole) > 3 * BLOCK
    (out / "a.png").write_bytes(whole[:BLOCK] + bytes(len(whole) - 2 * BLOCK) + whole[-BLOCK:])
    assert resume(cli, chain, tmp_path / "a.png", out) == []
    assert resume(cli, chain, tmp_path / "a.png", out, "--verify") == ["a.png"]
    assert content(out / "a.png") == whole


def test_verify_finds_an_input_that_changed_without_a_trace(cli, exact, faces, tmp_path):
    out = tmp_path / "out"
    cli("run", exact, faces, "-o", out)
    source = faces / "face3.png"
    stat, data = source.stat(), bytearray(content(source))
    data[-20] ^= 1  # in the checksum of the last chunk
    with source.open("r+b") as file:
        file.write(data)
    os.utime(source, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    record = read_json(out / "face3.png.json")  # bytes that a disk changes leave the time of the inode as it is, too
    record["input"]["ctime_ns"] = source.stat().st_ctime_ns
    write_json(out / "face3.png.json", record)
    jobs = json.loads(cli("run", exact, faces, "-o", out, "--resume", "--dry-run", "--json").out)["jobs"]
    assert jobs == []
    jobs = json.loads(cli("run", exact, faces, "-o", out, "--resume", "--verify", "--dry-run", "--json").out)["jobs"]
    assert [Path(job["input"]).name for job in jobs] == ["face3.png"]


def test_another_input_of_equal_name_size_and_time_is_not_taken_for_the_old_one(cli, exact, tmp_path):
    for number, folder in enumerate(("one", "two")):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "face.bmp"
        PIL.Image.fromarray(picture(number)).save(path)
        os.utime(path, ns=(10**18, 10**18))
    assert (tmp_path / "one/face.bmp").stat().st_size == (tmp_path / "two/face.bmp").stat().st_size
    cli("run", exact, tmp_path / "one", "-o", tmp_path / "out")
    assert resume(cli, exact, tmp_path / "two", tmp_path / "out") == ["face.bmp"]


def test_the_same_relative_path_in_another_folder_is_another_input(cli, exact, tmp_path, monkeypatch):
    for number, folder in enumerate(("one", "two")):
        (tmp_path / folder / "in").mkdir(parents=True)
        PIL.Image.fromarray(picture(number)).save(tmp_path / folder / "in" / "face.bmp")
        os.utime(tmp_path / folder / "in" / "face.bmp", ns=(10**18, 10**18))
    monkeypatch.chdir(tmp_path / "one")
    cli("run", exact, "in", "-o", tmp_path / "out")
    monkeypatch.chdir(tmp_path / "two")
    assert resume(cli, exact, "in", tmp_path / "out") == ["face.bmp"]


def test_a_moved_and_a_copied_archive_are_done(cli, exact, faces, tmp_path):
    out = tmp_path / "out"
    cli("run", exact, faces, "-o", out)
    moved = faces.rename(tmp_path / "moved")
    assert resume(cli, exact, moved, out) == []
    shutil.copytree(moved, tmp_path / "copied")
    assert resume(cli, exact, tmp_path / "copied", out) == []


def test_an_output_replaced_by_a_link_a_folder_or_a_pipe_is_not_done(cli, exact, faces, tmp_path):
    out = tmp_path / "out"
    cli("run", exact, faces, "-o", out)
    before = content(out / "face0.png")
    (out / "face0.png").rename(tmp_path / "elsewhere.png")
    (out / "face0.png").symlink_to(tmp_path / "elsewhere.png")
    (out / "face1.png").unlink()
    os.mkfifo(out / "face1.png")
    assert resume(cli, exact, faces, out) == ["face0.png", "face1.png"]
    assert content(out / "face0.png") == before
    assert not Path(out / "face0.png").is_symlink()


def test_a_record_of_another_output_is_not_believed(cli, exact, faces, tmp_path):
    out = tmp_path / "out"
    cli("run", exact, faces, "-o", out)
    record = read_json(out / "face0.png.json")
    record["output"] = read_json(out / "face1.png.json")["output"]
    write_json(out / "face0.png.json", record)
    assert resume(cli, exact, faces, out) == ["face0.png"]


def test_results_of_another_precision_are_restored_again_and_told(cli, exact, faces, tmp_path):
    out = tmp_path / "out"
    cli("run", exact, faces / "face0.png", "-o", out, "--precision", "bfloat16", "--batch-size", 2)
    cli("run", exact, faces / "face1.png", "-o", out, "--precision", "float32", "--batch-size", 2, "--overwrite")
    done = cli("run", exact, faces, "-o", out, "--resume", "--json")
    assert "face0.png" in restored(done)
    assert "face1.png" not in restored(done)
    assert "1 result was made with other settings" in done.err
    assert {read_json(path)["precision"] for path in out.glob("face*.json")} == {"float32"}


def replaced_in_place(path, seed):
    """Put another picture of the same name, size and modification time there, with the inode of the first one."""
    times = path.stat()
    before = (times.st_size, times.st_mtime_ns, times.st_ino)
    pixels = np.random.Generator(np.random.Philox(seed)).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    with path.open("r+b") as file:  # as where a file system gives the inode of a removed file to the next one
        PIL.Image.fromarray(pixels).save(file, "BMP")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    found = path.stat()
    assert (found.st_size, found.st_mtime_ns, found.st_ino) == before


@pytest.mark.parametrize("older", [False, True], ids=["", "a record of an older version"])
def test_another_picture_with_the_same_inode_size_and_time_is_restored(cli, exact, tmp_path, older):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for i in range(3):
        PIL.Image.fromarray(picture(i)).save(folder / f"face{i}.bmp")
    cli("run", exact, folder, "-o", out)
    if older:
        for path in out.glob("*.bmp.json"):
            record = read_json(path)
            del record["input"]["ctime_ns"]
            write_json(path, record)
    replaced_in_place(folder / "face1.bmp", 99)
    assert resume(cli, exact, folder, out) == ["face1.bmp"]
