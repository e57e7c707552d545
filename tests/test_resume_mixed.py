"""Runs with other settings in a folder that has results: refused, or told, never silent."""

import json
from pathlib import Path

import PIL.Image
import pytest
from conftest import picture

from odekit.core.files import read_json


def restored(done):
    assert done.code == 0, done.err
    return sorted(Path(name).name for name in json.loads(done.out)["restored"])


def outputs(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


@pytest.fixture
def mask(exact, tmp_path):
    """Changes the mask that the chain names."""

    def change(seed):
        PIL.Image.fromarray(picture(seed)).save(tmp_path / "mask.png")

    change(1)
    exact.write_text(exact.read_text() + f"      mask: {tmp_path / 'mask.png'}\n")
    return change


@pytest.mark.parametrize(
    "other, said",
    [
        (["--seed", 5], "another seed (it was 0 and is now 5)"),
        (["--set", "restore.enhancer.iterations=2"], "another chain"),
        (["--precision", "bfloat16"], "--precision float32"),
        (["--batch-size", 3], "--batch-size 4"),
    ],
)
def test_a_run_on_other_files_with_other_settings_is_refused(cli, exact, faces, tmp_path, other, said):
    out = tmp_path / "out"
    cli("run", exact, faces, "-o", out, "--limit", 4, "--precision", "float32")
    stored = read_json(out / "run.json")
    for more in ([], ["--dry-run"]):
        done = cli("run", exact, faces / "face6.png", "-o", out, *other, *more)
        assert (done.code, len(done.err.splitlines())) == (2, 1)
        assert said in done.err
        assert "--overwrite" in done.err
    assert read_json(out / "run.json") == stored
    assert len(outputs(out)) == 4


def test_a_run_on_other_files_takes_the_settings_of_the_folder(cli, exact, faces, tmp_path):
    out = tmp_path / "out"
    cli("run", exact, faces, "-o", out, "--limit", 4)
    assert cli("run", exact, faces / "face6.png", "-o", out).code == 0
    assert {read_json(path)["slots"] for path in out.glob("face*.json")} == {4}
    assert restored(cli("run", exact, faces, "-o", out, "--resume", "--json")) == ["face4.png", "face5.png"]


def test_overwriting_one_of_many_keeps_the_settings_of_the_others(cli, exact, faces, tmp_path):
    out = tmp_path / "out"
    cli("run", exact, faces, "-o", out, "--limit", 5)
    before, stored = outputs(out), read_json(out / "run.json")
    done = cli("run", exact, faces / "face1.png", "-o", out, "--overwrite", "--seed", 5)
    assert done.code == 0
    assert "another seed (it was 0 and is now 5); run.json keeps that for the other results" in done.err
    assert read_json(out / "run.json") == stored
    assert read_json(out / "face1.png.json")["seed"] == 5
    assert outputs(out)["face1.png"] != before["face1.png"]
    done = cli("run", exact, faces, "-o", out, "--resume", "--json")
    assert restored(done) == ["face1.png", "face5.png", "face6.png"]
    assert "1 result was made with other settings" in done.err
    assert before.items() <= outputs(out).items()


def test_overwriting_most_gives_the_folder_the_settings_of_the_run(cli, exact, faces, tmp_path):
    out = tmp_path / "out"
    cli("run", exact, faces, "-o", out)
    (faces / "face0.png").unlink()  # its result stays in the folder
    cli("run", exact, faces, "-o", out, "--overwrite", "--seed", 5)
    assert read_json(out / "run.json")["seed"] == 5
    assert restored(cli("run", exact, faces, "-o", out, "--resume", "--seed", 5, "--json")) == []


def test_overwriting_one_after_a_change_of_a_mask_does_not_settle_the_others(cli, exact, faces, tmp_path, mask):
    out = tmp_path / "out"
    cli("run", exact, faces, "-o", out, "--limit", 5)
    before = outputs(out)
    mask(2)
    done = cli("run", exact, faces / "face1.png", "-o", out, "--overwrite")
    assert (done.code, "mask.png has changed" in done.err) == (0, True)
    assert cli("run", exact, faces / "face6.png", "-o", out).code == 2
    done = cli("run", exact, faces, "-o", out, "--resume")
    assert (done.code, "mask.png has changed" in done.err) == (2, True)
    assert {name: data for name, data in outputs(out).items() if name != "face1.png"} == {
        name: data for name, data in before.items() if name != "face1.png"
    }


def test_overwriting_most_after_a_change_of_a_mask_tells_which_are_left_to_redo(cli, exact, faces, tmp_path, mask):
    out = tmp_path / "out"
    cli("run", exact, faces, "-o", out, "--limit", 5)
    mask(2)
    cli("run", exact, faces, "-o", out, "--overwrite", "--limit", 3)
    done = cli("run", exact, faces, "-o", out, "--resume", "--json")
    assert restored(done) == ["face3.png", "face4.png", "face5.png", "face6.png"]
    assert "2 results were made with other settings, to be restored again" in done.err


def test_results_without_records_are_told_before_they_are_restored_again(cli, exact, faces, tmp_path):
    out = tmp_path / "out"
    cli("run", exact, faces, "-o", out, "--limit", 5)
    for path in out.glob("face*.json"):
        path.unlink()
    done = cli("run", exact, faces, "-o", out, "--resume", "--seed", 7)
    assert done.code == 0
    assert "5 results have no records (NAME.json), to be restored again" in done.err
    (out / "face2.png.json").unlink()
    done = cli("run", exact, faces, "-o", out, "--resume", "--seed", 7)
    assert "1 result has no record (NAME.json), to be restored again" in done.err
    assert "no record" not in cli("run", exact, faces, "-o", out, "--resume", "--seed", 7).err
