"""Names: whatever the files of an archive are called, each has a result of its own, or is listed."""

import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import PIL.Image
import pytest
from conftest import picture

from odekit.chains.chain import Chain
from odekit.runs.inputs import select_jobs
from odekit.runs.runner import Runner
from odekit.runs.summary import RunOptions

PROGRAM = [sys.executable, "-c", "from odekit.cli import main; main()"]


def save(path, seed, form="PNG"):
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(picture(seed)).save(path, form)
    return path


def accounted(cli, chain, inputs, out):
    """Restore, then resume: everything is done, nothing is done again; the results' names."""
    said = json.loads(cli("run", chain, *inputs, "-o", out, "--json").out)
    again = json.loads(cli("run", chain, *inputs, "-o", out, "--json", "--resume").out)
    assert said["failed"] == again["restored"] == again["failed"] == []
    assert len(set(said["restored"])) == len(said["restored"]) == len(again["skipped"])
    assert all(Path(name).is_file() for name in said["restored"])
    records = [json.loads(path.read_text()) for path in out.rglob("*.json") if path.name != "run.json"]
    assert len({record["output"]["path"] for record in records}) == len(said["restored"])
    return sorted(os.path.relpath(name, out) for name in said["restored"])


def test_a_name_that_lies_meets_no_other_file(cli, exact, tmp_path):
    save(tmp_path / "in" / "a.jpg", 1)  # a PNG: its result gets the ending .png
    save(tmp_path / "in" / "a.jpg.png", 2)
    save(tmp_path / "in" / "a.jpg.png.png", 3)
    assert len(accounted(cli, exact, [tmp_path / "in"], tmp_path / "out")) == 3


def test_names_made_to_differ_differ_from_all_others(cli, exact, tmp_path):
    exact.write_text(exact.read_text() + "  - save: {format: png}\n")
    given = [save(tmp_path / name, i) for i, name in enumerate(("a.png.png", "a.bmp", "a.png"))]
    assert len(accounted(cli, exact, given, tmp_path / "out")) == 3


@pytest.mark.parametrize(
    ("one", "other"),
    [("Face.png", "face.PNG"), (unicodedata.normalize("NFC", "é.png"), unicodedata.normalize("NFD", "é.png"))],
    ids=["case", "unicode"],
)
def test_results_stay_apart_on_disks_that_know_no_case_or_one_form_of_unicode(cli, exact, tmp_path, one, other):
    save(tmp_path / "in" / one, 1)
    save(tmp_path / "in" / other, 2)
    if len(list((tmp_path / "in").iterdir())) == 1:
        pytest.skip("this disk itself takes them for one name")
    names = accounted(cli, exact, [tmp_path / "in"], tmp_path / "out")
    assert len({unicodedata.normalize("NFC", name).casefold() for name in names}) == 2


def test_names_of_any_bytes_are_restored_and_resumed(cli, exact, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    names = [b"new\nline.png", b"latin-\xe9.png", b"\xff\xfe.png", b'tab\t quote".png', b"-dash.png"]
    for i, name in enumerate(names):
        PIL.Image.fromarray(picture(i)).save(tmp_path / "x.png")
        (tmp_path / "x.png").rename(folder / os.fsdecode(name))
    (folder / os.fsdecode(b"bad-\xe9\n.png")).write_bytes(b"no picture")
    command = [*PROGRAM, "run", exact, folder, "-o", tmp_path / "out", "--workers", 2, "--json", "--report"]
    done = subprocess.run([str(word) for word in command], capture_output=True)
    assert done.returncode == 3, done.stderr
    said = json.loads(done.stdout)
    assert (len(said["restored"]), len(said["failed"]), said["left"]) == (5, 1, 0)
    for name in names:
        assert (tmp_path / "out" / os.fsdecode(name)).is_file()
    progress = (b"odekit: starting", b"pictures done")  # of a slow machine
    failed, report = (line for line in done.stderr.splitlines() if not any(text in line for text in progress))
    assert failed.endswith(b"so convert it to one of these")
    assert report == b"odekit: report: " + os.fsencode(tmp_path / "out" / "report.html")
    again = json.loads(cli("run", exact, folder, "-o", tmp_path / "out", "--resume", "--dry-run", "--json").out)
    assert (len(again["jobs"]), again["done"]) == (1, 5)
    (failure,) = json.loads((tmp_path / "out" / "failures.json").read_text())
    assert os.fsencode(failure["input"]).endswith(b"bad-\xe9\n.png")


def test_a_name_too_long_for_its_record_is_listed_and_leaves_nothing(cli, exact, tmp_path):
    save(tmp_path / "x.png", 1)
    for size in (250, 251, 255):
        save(tmp_path / "in" / ("n" * (size - 4) + ".png"), size)
    done = cli("run", exact, tmp_path / "in", "-o", tmp_path / "out", "--json")
    said = json.loads(done.out)
    assert (len(said["restored"]), len(said["failed"])) == (1, 2)
    assert all("name is too long" in failure["error"] for failure in said["failed"])
    assert len(list((tmp_path / "out").glob("*.png"))) == 1


def test_links_in_circles_end(cli, exact, tmp_path):
    save(tmp_path / "in" / "a.png", 1)
    (tmp_path / "in" / "loop.png").symlink_to(tmp_path / "in" / "loop.png")
    (tmp_path / "in" / "deeper").symlink_to(tmp_path / "in")
    done = cli("run", exact, tmp_path / "in", "-o", tmp_path / "out", "--json")
    said = json.loads(done.out)
    assert (len(said["restored"]), len(said["failed"])) == (1, 1)
    assert "loop.png" in said["failed"][0]["input"]


def test_a_folder_that_cannot_be_listed_is_listed_as_failed(cli, exact, tmp_path, monkeypatch):
    save(tmp_path / "in" / "a.png", 1)
    save(tmp_path / "in" / "sub" / "b.png", 2)
    scan = os.scandir

    def broken(path):
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", broken)
    done = cli("run", exact, tmp_path / "in", "-o", tmp_path / "out", "--json")
    assert done.code == 3
    (failure,) = json.loads(done.out)["failed"]
    assert failure["input"].endswith("sub")
    assert "Permission denied" in failure["error"]


def test_an_output_folder_named_through_a_link_is_no_input(cli, exact, faces, tmp_path):
    (faces / "out").mkdir()
    (tmp_path / "way").symlink_to(faces / "out")
    cli("run", exact, faces, "-o", tmp_path / "way")
    said = json.loads(cli("run", exact, faces, "-o", tmp_path / "way", "--resume", "--json").out)
    assert (len(said["skipped"]), said["restored"]) == (7, [])


def test_an_input_folder_inside_the_output_folder_is_restored_once(cli, exact, faces, tmp_path):
    cli("run", exact, faces, "-o", tmp_path)
    said = json.loads(cli("run", exact, faces, "-o", tmp_path, "--resume", "--json").out)
    assert (len(said["skipped"]), said["restored"]) == (7, [])


def test_a_file_that_appears_between_the_starts_of_two_shards_moves_no_other(exact, faces, tmp_path):
    def names(shard):
        runner = Runner(Chain.load(exact), RunOptions(tmp_path / "out", shard=shard), None)
        return {job.name for job in runner.jobs([faces])}

    every = {f"face{i}.png" for i in range(7)}
    first = names("1/3")
    save(faces / "aaa.png", 50)
    second = names("2/3")
    save(faces / "face00.png", 51)
    third = names("3/3")
    assert every <= first | second | third
    assert not (first & second or first & third or second & third)


def test_shards_are_of_about_equal_size():
    from odekit.runs.inputs import Job

    jobs = [Job(f"{i:05}.png", f"{i // 1000}/{i:05}.png") for i in range(10_000)]
    parts = [select_jobs(jobs, f"{i}/8", None) for i in range(1, 9)]
    assert sorted(job.file for part in parts for job in part) == [job.file for job in jobs]
    assert all(abs(len(part) - 1250) < 150 for part in parts)


def test_samples_and_their_spread_meet_no_other_result(cli, exact, tmp_path):
    """Whichever comes first of a picture and one that is called like its second sample."""
    exact.write_text(exact.read_text() + "  - save: {format: png}\n")
    order = ["a.sample2.png", "a.png", "b.png", "b.sample2.png", "B.SPREAD.PNG", "c.jpg", "c.jpg.spread.png"]
    for i, name in enumerate(order):
        save(tmp_path / "in" / name, i)
    out = tmp_path / "out"
    accounted(cli, exact, [tmp_path / "in" / name for name in order], out)
    run = [*map(str, (tmp_path / "in" / name for name in order)), "-o", str(tmp_path / "many"), "--json"]
    assert not json.loads(cli("run", exact, *run, "--set", "restore.samples=3").out)["failed"]
    records = [json.loads(path.read_text()) for path in (tmp_path / "many").rglob("*.json") if path.name != "run.json"]
    assert len(records) == len(order)
    results = [os.path.relpath(record["output"]["path"], tmp_path / "many") for record in records]
    beside = [extra for record in records for extra in record["extras"]]
    assert len(beside) == 3 * len(order)
    assert len({name.lower() for name in results + beside}) == 4 * len(order)
    for record in records:  # nothing was written over
        path = Path(record["output"]["path"])
        assert record["output"]["bytes"] == path.stat().st_size
    assert len(list((tmp_path / "many").glob("*.[pP][nN][gG]"))) == 4 * len(order)


def results(out):
    """Input of each result, by the name of its record."""
    return {path.name: Path(json.loads(path.read_text())["input"]["path"]).name for path in out.rglob("*.png.json")}


def resumed(cli, chain, *inputs, out):
    done = cli("run", chain, *inputs, "-o", out, "--resume", "--json")
    assert done.code == 0, done.err
    return sorted(Path(name).name for name in json.loads(done.out)["restored"])


@pytest.mark.parametrize("moved", [False, True])
def test_a_file_that_appears_later_takes_no_name_from_an_earlier_result(cli, exact, tmp_path, moved):
    folder, out = tmp_path / "in", tmp_path / "out"
    save(folder / "b.png", 1)
    cli("run", exact, folder, "-o", out)
    before = (out / "b.png").read_bytes()
    if moved:
        folder = folder.rename(tmp_path / "moved")
    save(folder / "B.png", 2)  # is listed first
    assert resumed(cli, exact, folder, out=out) == ["B.png.png.png"]
    assert results(out) == {"b.png.json": "b.png", "B.png.png.png.json": "B.png"}
    assert (out / "b.png").read_bytes() == before
    assert resumed(cli, exact, folder, out=out) == []


def test_a_picture_of_another_format_that_appears_later_takes_no_name(cli, exact, tmp_path):
    exact.write_text(exact.read_text() + "  - save: {format: png}\n")
    folder, out = tmp_path / "in", tmp_path / "out"
    save(folder / "a.png", 1)
    cli("run", exact, folder, "-o", out)
    save(folder / "a.jpg", 2, "JPEG")
    assert resumed(cli, exact, folder, out=out) == ["a.jpg.png"]
    assert results(out) == {"a.png.json": "a.png", "a.jpg.png.json": "a.jpg"}


def test_an_equal_name_in_another_folder_that_appears_later_renames_no_result(cli, exact, tmp_path):
    out = tmp_path / "out"
    for folder, seed in (("one/x", 1), ("one/y", 2)):
        save(tmp_path / f"{folder}.png", seed)
    cli("run", exact, tmp_path / "*" / "*.png", "-o", out)
    save(tmp_path / "two" / "x.png", 3)
    assert resumed(cli, exact, tmp_path / "one", tmp_path / "two", out=out) == ["x.png"]
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.png")) == ["two/x.png", "x.png", "y.png"]


def test_files_that_compete_for_a_name_are_in_one_shard_whenever_it_lists_them(exact, tmp_path):
    for i in range(12):
        save(tmp_path / "in" / f"f{i}.png", i)

    def shards():
        found = {}
        for shard in ("1/3", "2/3", "3/3"):
            runner = Runner(Chain.load(exact), RunOptions(tmp_path / "out", shard=shard), None)
            found |= {Path(job.file).name: shard for job in runner.jobs([tmp_path / "in"])}
        return found

    before = shards()
    for i in range(12):
        save(tmp_path / "in" / f"F{i}.png", i)
    after = shards()
    assert len(after) == 24
    assert {name: after[name] for name in before} == before
    assert all(after[f"F{i}.png"] == after[f"f{i}.png"] for i in range(12))


@pytest.mark.parametrize("length, code", [(243, 0), (244, 3)])
def test_a_name_without_room_for_its_extras_is_listed_before_the_network_runs(
    cli, exact, tmp_path, monkeypatch, length, code
):
    """`.sample2.png` has 12 bytes, and 255 fit; a name is refused by its whole length."""
    text = exact.read_text().replace("rule: variance}", "rule: variance, temperature: 0.5}\n      samples: 2")
    exact.write_text(text + "  - save: {format: png}\n")
    save(tmp_path / "in" / f"{'n' * (length - 4)}.png", 1)
    if code:
        monkeypatch.setattr("odekit.chains.session.Session.run", lambda self, images: pytest.fail("it ran"))
    done = cli("run", exact, tmp_path / "in", "-o", tmp_path / "out")
    assert (done.code, "its name is too long" in done.err) == (code, code == 3)


def test_a_path_that_is_too_long_is_listed_before_the_network_runs(cli, exact, tmp_path, monkeypatch):
    folder = tmp_path / "in"
    save(folder / "a.png", 1)
    monkeypatch.setattr("odekit.runs.output_names.MAX_PATH_BYTES", len(str(tmp_path / "out")) + len("/a.png") + 4)
    monkeypatch.setattr("odekit.chains.session.Session.run", lambda self, images: pytest.fail("it ran"))
    done = cli("run", exact, folder, "-o", tmp_path / "out")
    assert (done.code, "its name is too long" in done.err) == (3, True)
