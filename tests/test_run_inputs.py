"""What a run reads, what it does not read and says so, and what it reads in part."""

import json
import shutil
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from conftest import picture

from odekit.images.formats import heif

HEIC = Path(__file__).parent / "data" / "heic"
DRAWN_GREY = """\
odekit: 1
chain: [{upsample: {use: resize, scale: 1}}]
"""


@pytest.fixture
def plain(tmp_path):
    """A chain that leaves every picture as it is."""
    path = tmp_path / "plain.yaml"
    path.write_text(DRAWN_GREY)
    return path


@pytest.fixture
def mixed(tmp_path):
    """A folder with two pictures, and files of formats that are not read."""
    folder = tmp_path / "mixed"
    (folder / "sub").mkdir(parents=True)
    for i, name in enumerate(("a.png", "sub/b.jpe")):
        PIL.Image.fromarray(picture(i)).save(folder / name, "PNG" if name.endswith("png") else "JPEG")
    for name in ("a.cr2", "sub/b.DNG", "c.mov", "notes.txt", ".hidden.mov", "d.nef", "e.arw"):
        (folder / name).write_bytes(b"not read")
    return folder


LINE = "odekit: 5 files were not read: a.cr2, d.nef, e.arw and 1 more (camera raw), c.mov (video)\n"


def records(out):
    return {path.name: json.loads(path.read_text()) for path in out.rglob("*.json") if path.name != "run.json"}


def test_pictures_and_videos_that_are_not_read_are_counted_and_named(cli, plain, mixed, tmp_path):
    done = cli("run", plain, mixed, "-o", tmp_path / "out")
    assert (done.code, done.err) == (0, LINE)
    assert [line.split()[-1] for line in done.out.splitlines() if "not read" in line] == ["5"]
    said = json.loads(cli("run", plain, mixed, "-o", tmp_path / "out", "--overwrite", "--json").out)
    assert len(said["restored"]) == 2 and said["failed"] == []
    assert {"input": str(mixed / "sub" / "b.DNG"), "kind": "camera raw"} in said["unread"] and len(said["unread"]) == 5
    assert cli("run", plain, mixed, "-o", tmp_path / "other", "--dry-run").err == LINE


def test_a_glob_counts_them_too_and_a_named_file_fails(cli, plain, mixed, tmp_path):
    done = cli("run", plain, mixed / "[a-e]*", "-o", tmp_path / "out", "--json")
    assert (done.code, len(json.loads(done.out)["restored"]), len(json.loads(done.out)["unread"])) == (0, 1, 4)
    named = cli("run", plain, mixed / "a.png", mixed / "c.mov", "-o", tmp_path / "named", "--json")
    assert named.code == 3 and json.loads(named.out)["unread"] == []
    assert "c.mov: is not a picture" in named.err


def test_nothing_is_said_where_everything_is_read(cli, plain, faces, tmp_path):
    done = cli("run", plain, faces, "-o", tmp_path / "out")
    assert done.err == "" and "not read" not in done.out


def test_a_folder_of_files_that_are_not_read_is_one_line(cli, plain, tmp_path):
    folder = tmp_path / "card"
    folder.mkdir()
    (folder / "a.mov").write_bytes(b"")
    done = cli("run", plain, folder, "-o", tmp_path / "out")
    assert done.code == 2 and not (tmp_path / "out").exists()
    assert done.err.startswith(f"odekit: {folder}: no pictures found, 1 file was not read: a.mov (video); name files")


def test_a_folder_of_damaged_pictures_lists_each_and_writes_none(cli, plain, tmp_path):
    folder = tmp_path / "card"
    folder.mkdir()
    for name in ("a.png", "b.jpg"):
        (folder / name).write_bytes(b"damaged")
    done = cli("run", plain, folder, "-o", tmp_path / "out", "--report")
    assert done.code == 3 and "Traceback" not in done.err
    *failed, report = done.err.splitlines()
    assert [line.split(": ")[1] for line in failed] == [str(folder / "a.png"), str(folder / "b.jpg")]
    assert report == f"odekit: report: {tmp_path / 'out' / 'report.html'}"
    written = ["failures.json", "report.html", "run.json", "run.jsonl"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == written


def test_heic_without_its_package_is_one_line_for_each_file(cli, plain, tmp_path, monkeypatch):
    (tmp_path / "without").mkdir()
    for package in heif.PACKAGES:  # in the process that decodes the file
        (tmp_path / "without" / f"{package}.py").write_text("raise ImportError")
    monkeypatch.syspath_prepend(tmp_path / "without")
    done = cli("run", plain, HEIC / "alpha.heic", "-o", tmp_path / "out")
    assert done.code == 3
    assert done.err == f"odekit: {HEIC / 'alpha.heic'}: is a HEIC picture; to read these, pip install 'odekit[heif]'\n"


def test_degrade_and_faces_tell_them_too(cli, mixed, tmp_path):
    done = cli("degrade", mixed, "-o", tmp_path / "damaged", "--kind", "fog", "--json")
    assert done.err == LINE and len(json.loads(done.out)["unread"]) == 5
    assert LINE in cli("faces", mixed, "-o", tmp_path / "drawn", "--json").err


def test_gif_avif_and_heic_become_png_and_that_is_said(cli, plain, tmp_path):
    pytest.importorskip("pi_heif")
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.gif", "b.avif"):
        PIL.Image.fromarray(picture(1, 16, 16)).save(folder / name)
    PIL.Image.fromarray(picture(2, 16, 16)).save(folder / "a.png")
    shutil.copy(HEIC / "turned-p3.heic", folder / "c.heic")
    done = cli("run", plain, folder, "-o", tmp_path / "out", "--json")
    assert done.code == 0
    names = ["a.gif.png", "a.png", "b.avif.png", "c.heic.png"]
    assert [Path(name).name for name in json.loads(done.out)["restored"]] == names
    assert {PIL.Image.open(tmp_path / "out" / name).format for name in names} == {"PNG"}
    assert PIL.Image.open(tmp_path / "out" / "c.heic.png").size == (48, 64)
    for name, format in (("a.gif", "GIF"), ("b.avif", "AVIF"), ("c.heic", "HEIC")):
        note = f"{format} is read, not written; the result is a PNG"
        assert f"odekit: {folder / name}: {note}\n" in done.err
        assert {"input": str(folder / name), "note": note} in json.loads(done.out)["notes"]
        assert records(tmp_path / "out")[f"{name}.png.json"]["output"]["notes"] == [note]
    assert done.err.count("\n") == 3
    again = json.loads(cli("run", plain, folder, "-o", tmp_path / "out", "--resume", "--json").out)
    assert (len(again["skipped"]), again["restored"]) == (4, [])
    assert cli("run", plain, folder, "-o", tmp_path / "out").code == 2  # the results exist


def test_another_format_may_be_chosen_for_them(cli, plain, tmp_path):
    plain.write_text(DRAWN_GREY.replace("]", ", {save: {format: jpeg}}]"))
    PIL.Image.fromarray(picture(1, 16, 16)).save(tmp_path / "a.gif")
    done = cli("run", plain, tmp_path / "a.gif", "-o", tmp_path / "out")
    assert (done.code, done.err) == (0, "")
    assert PIL.Image.open(tmp_path / "out" / "a.jpg").format == "JPEG"


def test_the_first_frame_of_an_animation_is_restored_with_a_note(cli, plain, tmp_path):
    first, *rest = [PIL.Image.fromarray(picture(i, 16, 16)) for i in range(3)]
    first.save(tmp_path / "a.png", save_all=True, append_images=rest)
    done = cli("run", plain, tmp_path / "a.png", "-o", tmp_path / "out")
    note = "holds 3 frames; only the first was read"
    assert (done.code, done.err) == (0, f"odekit: {tmp_path / 'a.png'}: {note}\n")
    assert records(tmp_path / "out")["a.png.json"]["input"]["notes"] == [note]
    assert np.array_equal(np.asarray(PIL.Image.open(tmp_path / "out" / "a.png")), picture(0, 16, 16))


def test_a_note_that_many_files_have_is_shown_a_few_times(cli, plain, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(6):
        PIL.Image.fromarray(picture(i, 16, 16)).save(folder / f"{i}.gif")
    done = cli("run", plain, folder, "-o", tmp_path / "out", "--json")
    assert len(json.loads(done.out)["notes"]) == 6
    assert done.err.count("\n") == 3
    assert done.err.endswith("the result is a PNG; this is not repeated for further files\n")


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
@pytest.mark.parametrize("workers", [0, 1])
def test_the_readable_part_of_a_truncated_file_is_restored_on_request(cli, plain, tmp_path, format, workers):
    whole = tmp_path / "a.file"
    PIL.Image.fromarray(picture(0, 128, 64)).save(whole, format)
    expected = np.asarray(PIL.Image.open(whole))
    whole.write_bytes(whole.read_bytes()[: int(0.6 * whole.stat().st_size)])
    refused = cli("run", plain, whole, "-o", tmp_path / "out", "--workers", workers)
    assert refused.code == 3 and refused.err.count("\n") == 1
    assert "a.file: is damaged or incomplete" in refused.err and "with --salvage" in refused.err
    done = cli("run", plain, whole, "-o", tmp_path / "out", "--salvage", "--workers", workers)
    (record,) = [r for name, r in records(tmp_path / "out").items() if name != "failures.json"]
    rows = record["input"]["salvaged"]["rows"]
    assert record["input"]["salvaged"] == {"rows": rows, "of": 128, "share": round(rows / 128, 4)} and 48 < rows < 90
    assert done.code == 0
    assert (
        done.err
        == f"odekit: {whole}: is incomplete: {rows} of 128 rows ({rows / 128:.0%}) were readable; the result holds these\n"
    )
    result = np.asarray(PIL.Image.open(record["output"]["path"]))
    assert result.shape == (rows, 64, 3)
    if format == "PNG":
        assert np.array_equal(result, expected[:rows])
