"""Folders of files: names, records, resume, failures."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import PIL.Image
import pytest
from conftest import picture
from drawn_run import parse, sections

import odekit
from odekit.cli.progress import ProgressBar
from odekit.core.image import Metadata
from odekit.runs.settings import RunSettings
from odekit.runs.settle import Settlement
from odekit.runs.summary import RunOptions


def test_results_lie_under_the_same_names_with_a_record_beside_each(cli, exact, faces, tmp_path):
    done = cli("run", exact, faces, "-o", tmp_path / "out")
    assert done.code == 0, done.err
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == sorted(
        [*(f"face{i}.png" for i in range(7)), *(f"face{i}.png.json" for i in range(7)), "run.json", "run.jsonl"]
    )


def test_the_record_holds_what_it_takes_to_make_the_picture_again(cli, exact, faces, tmp_path):
    cli("run", exact, faces / "face3.png", "-o", tmp_path / "out", "--seed", 9)
    record = json.loads((tmp_path / "out" / "face3.png.json").read_text())
    assert record["seed"] == 9
    assert record["calls"] == 28
    assert record["input"]["sha256"] == hashlib.sha256((faces / "face3.png").read_bytes()).hexdigest()
    assert record["output"]["sha256"] == hashlib.sha256((tmp_path / "out" / "face3.png").read_bytes()).hexdigest()
    assert record["chain"]["chain"][0]["restore"]["enhancer"]["temperature"] == 0.5
    assert record["stages"][0]["stage"] == "restore"
    assert record["stages"][0]["seconds"] > 0
    assert {"device", "precision", "slots", "threads", "versions", "weights"} <= set(record)
    (tmp_path / "again.yaml").write_text(json.dumps(record["chain"]))
    again = cli("run", tmp_path / "again.yaml", faces / "face3.png", "-o", tmp_path / "again", "--seed", record["seed"])
    assert again.code == 0, again.err
    assert (tmp_path / "again" / "face3.png").read_bytes() == (tmp_path / "out" / "face3.png").read_bytes()


def outputs(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def test_after_a_resume_the_bytes_are_those_of_an_undisturbed_run(cli, exact, faces, tmp_path):
    cli("run", exact, faces, "-o", tmp_path / "whole")
    cli("run", exact, faces, "-o", tmp_path / "part", "--limit", 3, "--batch-size", 7)
    assert len(outputs(tmp_path / "part")) == 3
    (tmp_path / "part" / "face1.png.json").unlink()
    before = (tmp_path / "part" / "face0.png").stat().st_mtime_ns
    done = cli("run", exact, faces, "-o", tmp_path / "part", "--resume", "--json")
    assert done.code == 0, done.err
    assert len(json.loads(done.out)["skipped"]) == 2
    assert outputs(tmp_path / "part") == outputs(tmp_path / "whole")
    assert (tmp_path / "part" / "face0.png").stat().st_mtime_ns == before


@pytest.mark.parametrize("change", ["input", "output", "record"])
def test_resume_believes_only_what_the_record_proves(cli, exact, faces, tmp_path, change):
    cli("run", exact, faces, "-o", tmp_path / "out")
    if change == "input":
        PIL.Image.fromarray(picture(99)).save(faces / "face0.png")
    elif change == "output":
        (tmp_path / "out" / "face0.png").write_bytes(b"cut")
    else:
        (tmp_path / "out" / "face0.png.json").write_text("{")
    done = cli("run", exact, faces, "-o", tmp_path / "out", "--resume", "--json")
    assert [path.rpartition("/")[2] for path in json.loads(done.out)["restored"]] == ["face0.png"]


def test_a_touched_but_equal_input_is_still_done(cli, exact, faces, tmp_path):
    cli("run", exact, faces, "-o", tmp_path / "out")
    (faces / "face0.png").touch()
    assert json.loads(cli("run", exact, faces, "-o", tmp_path / "out", "--resume", "--json").out)["restored"] == []


def test_resume_with_another_chain_or_seed_is_refused(cli, exact, faces, tmp_path):
    cli("run", exact, faces, "-o", tmp_path / "out")
    assert "another seed" in cli("run", exact, faces, "-o", tmp_path / "out", "--resume", "--seed", 5).err
    done = cli("run", exact, faces, "-o", tmp_path / "out", "--resume", "--set", "restore.repeats=2")
    assert done.code == 2
    assert "another chain" in done.err


def test_slots_are_kept_by_resume(cli, exact, faces, tmp_path):
    cli("run", exact, faces, "-o", tmp_path / "out", "--limit", 2, "--batch-size", 5)
    assert json.loads(cli("run", exact, faces, "-o", tmp_path / "out", "--resume", "--json").out)["slots"] == 5
    assert "--batch-size 5" in cli("run", exact, faces, "-o", tmp_path / "out", "--resume", "--batch-size", 4).err


def test_a_resume_keeps_precision_and_kind_of_device(cli, exact, faces, tmp_path):
    cli("run", exact, faces, "-o", tmp_path / "out", "--limit", 2, "--precision", "float32", "--device", "cpu")
    for wrong in (["--precision", "bfloat16"], ["--device", "cuda"]):
        done = cli("run", exact, faces, "-o", tmp_path / "out", "--resume", *wrong)
        assert done.code == 2
        assert "was written with --" in done.err
    assert cli("run", exact, faces, "-o", tmp_path / "out", "--resume", "--device", "cpu").code == 0


def test_a_resume_may_use_another_gpu_of_the_same_kind(exact, tmp_path):
    chain = odekit.Chain.load(exact)
    machine = {"device": "cuda:0", "precision": "float32", "slots": 4, "threads": 1}
    (tmp_path / "face.png.json").write_text("{}")  # a result of the first run
    RunSettings(chain.tree(), 0, **machine).write(tmp_path)
    for asked, taken in (("auto", "cuda:0"), ("cuda:1", "cuda:1")):
        options = RunOptions(tmp_path, device=asked, resume=True)
        assert Settlement(chain, options, ProgressBar(quiet=True)).settle(9).machine == machine | {"device": taken}


def test_a_dry_run_of_a_resume_says_what_is_left_and_writes_nothing(cli, exact, faces, tmp_path):
    cli("run", exact, faces, "-o", tmp_path / "out", "--limit", 3)
    before = sorted(path.name for path in (tmp_path / "out").iterdir())
    said = json.loads(cli("run", exact, faces, "-o", tmp_path / "out", "--resume", "--dry-run", "--json").out)
    assert (len(said["jobs"]), said["done"]) == (4, 3)
    assert "3 more already done" in cli("run", exact, faces, "-o", tmp_path / "out", "--resume", "--dry-run").out
    assert "--resume to continue" in cli("run", exact, faces, "-o", tmp_path / "out", "--dry-run").err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == before


def test_a_run_that_restores_nothing_says_no_rates(cli, exact, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bad.png").write_bytes(b"no picture")
    done = cli("run", exact, tmp_path / "in", "-o", tmp_path / "out")
    assert done.code == 3
    assert "0%" not in done.out
    assert "per image" not in done.out


def test_what_exists_is_not_replaced_unasked(cli, exact, faces, tmp_path):
    cli("run", exact, faces, "-o", tmp_path / "out")
    refused = cli("run", exact, faces, "-o", tmp_path / "out")
    assert refused.code == 2
    assert "--resume" in refused.err
    assert "--overwrite" in refused.err
    assert cli("run", exact, faces, "-o", tmp_path / "out", "--overwrite").code == 0


def test_folders_keep_their_structure_and_equal_names_do_not_collide(cli, exact, tmp_path):
    for place in ("a/deep", "b"):
        (tmp_path / "in" / place).mkdir(parents=True)
        PIL.Image.fromarray(picture(1)).save(tmp_path / "in" / place / "x.png")
    cli("run", exact, tmp_path / "in", "-o", tmp_path / "tree")
    assert (tmp_path / "tree" / "a" / "deep" / "x.png").exists()
    cli("run", exact, tmp_path / "in/a/deep/x.png", tmp_path / "in/b/x.png", "-o", tmp_path / "flat")
    assert (tmp_path / "flat" / "a" / "deep" / "x.png").exists()
    assert (tmp_path / "flat" / "b" / "x.png").exists()


def test_files_that_differ_in_their_ending_alone_stay_apart(cli, exact, tmp_path):
    (tmp_path / "in").mkdir()
    for ending in ("bmp", "png"):
        PIL.Image.fromarray(picture(1)).save(tmp_path / "in" / f"x.{ending}")
    exact.write_text(exact.read_text() + "  - save: {format: png}\n")
    cli("run", exact, tmp_path / "in", "-o", tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").glob("*.png")) == ["x.png", "x.png.png"]


def test_globs_shards_and_dry_runs(cli, exact, faces, tmp_path):
    found = []
    for shard in ("1/2", "2/2"):
        asked = (faces / "face[0-4].png", "-o", tmp_path / "out", "--shard", shard, "--dry-run", "--json")
        jobs = json.loads(cli("run", exact, *asked).out)["jobs"]
        assert 0 < len(jobs) < 5
        found += [job["input"].rpartition("/")[2] for job in jobs]
    assert sorted(found) == [f"face{i}.png" for i in range(5)]
    assert not (tmp_path / "out").exists()


def test_one_bad_file_is_listed_and_the_others_are_restored(cli, exact, faces, tmp_path):
    (faces / "face2.png").write_bytes(b"no picture")
    PIL.Image.fromarray(picture(1, 8, 40)).save(faces / "wide.png")
    done = cli("run", exact, faces, tmp_path / "missing.png", "-o", tmp_path / "out")
    assert done.code == 3
    failures = json.loads((tmp_path / "out" / "failures.json").read_text())
    assert sorted(row["input"].rpartition("/")[2] for row in failures) == ["face2.png", "missing.png", "wide.png"]
    assert len(outputs(tmp_path / "out")) == 6
    assert "Traceback" not in done.err
    (faces / "face2.png").unlink()
    (faces / "wide.png").unlink()
    assert cli("run", exact, faces, "-o", tmp_path / "out", "--resume").code == 0
    assert not (tmp_path / "out" / "failures.json").exists()


def test_keep_stages_writes_input_latent_each_stage_and_a_sheet(cli, exact, faces, tmp_path):
    exact.write_text(exact.read_text() + "  - upsample: {use: resize, scale: 2}\n")
    assert cli("run", exact, faces / "face0.png", "-o", tmp_path / "out", "--keep-stages").code == 0
    made = sorted(p.name for p in (tmp_path / "out" / "stages" / "face0.png").iterdir())
    assert made == ["0-input.png", "1-latent.png", "2-restore.png", "3-upsample.png", "sheet.png"]


@pytest.mark.parametrize("form", ["png", "jpeg", "webp", "tiff", "bmp"])
def test_save_says_the_format(cli, exact, faces, tmp_path, form):
    exact.write_text(exact.read_text() + f"  - save: {{format: {form}}}\n")
    cli("run", exact, faces / "face0.png", "-o", tmp_path / "out")
    (path,) = (p for p in (tmp_path / "out").iterdir() if not p.suffix.startswith(".json"))
    assert PIL.Image.open(path).format == form.upper()


def test_quality_and_metadata_of_save_have_an_effect(cli, exact, tmp_path):
    exif = PIL.Image.Exif()
    exif[0x010E] = "grandmother"
    source = tmp_path / "a.jpg"
    PIL.Image.fromarray(picture(1, 8, 8)).save(source, exif=exif)
    sizes, texts = [], []
    for i, options in enumerate(("{quality: 20}", "{quality: 98}", "{keep_metadata: false}")):
        chain = tmp_path / f"{i}.yaml"
        chain.write_text(exact.read_text() + f"  - save: {options}\n")
        cli("run", chain, source, "-o", tmp_path / f"out{i}")
        out = tmp_path / f"out{i}" / "a.jpg"
        sizes.append(out.stat().st_size)
        texts.append(PIL.Image.open(out).getexif().get(0x010E))
    assert sizes[0] < sizes[1]
    assert texts == ["grandmother", "grandmother", None]


def test_sixteen_bits_stay_sixteen_bits(cli, exact, tmp_path):
    deep = np.random.Generator(np.random.Philox(1)).random((3, 8, 8), dtype=np.float32)
    odekit.write(odekit.Image(deep, meta=Metadata(bits=16)), tmp_path / "deep.png", format="png")
    cli("run", exact, tmp_path / "deep.png", "-o", tmp_path / "out")
    assert odekit.read(tmp_path / "out" / "deep.png").meta.bits == 16


def test_non_ascii_names_work(cli, exact, faces, tmp_path):
    shutil.copy(faces / "face0.png", tmp_path / "Großmutter 祖母.png")
    assert cli("run", exact, tmp_path / "Großmutter 祖母.png", "-o", tmp_path / "öut").code == 0
    assert (tmp_path / "öut" / "Großmutter 祖母.png").exists()


def test_the_output_folder_inside_the_input_folder_is_no_input(cli, exact, faces):
    cli("run", exact, faces, "-o", faces / "out")
    assert len(json.loads(cli("run", exact, faces, "-o", faces / "out", "--resume", "--json").out)["skipped"]) == 7


def test_ctrl_c_keeps_what_is_finished_and_resume_goes_on(cli, exact, faces, tmp_path):
    slow = exact.read_text().replace("side: 8", "side: 64").replace("steps: 10", "steps: 400")
    exact.write_text(slow)
    command = [
        sys.executable,
        "-c",
        "from odekit.cli import main; main()",
        "run",
        exact,
        faces,
        "-o",
        tmp_path / "out",
        "--batch-size",
        1,
    ]
    process = subprocess.Popen(
        [str(word) for word in command], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not list((tmp_path / "out").glob("*.png.json")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    *lines, last = err.strip().splitlines()
    assert "odekit: stopping; finished results are kept; press Ctrl-C again to stop at once" in lines
    finished = len(list((tmp_path / "out").glob("*.png.json")))
    assert 1 <= finished < 7
    left = f"{7 - finished} remaining; continue with --resume"
    assert last == f"odekit: interrupted; finished results are in {tmp_path / 'out'}, {left}"
    assert not list((tmp_path / "out").glob(".*"))
    done = cli("run", exact, faces, "-o", tmp_path / "out", "--resume", "--json")
    assert len(json.loads(done.out)["skipped"]) == finished
    assert len(outputs(tmp_path / "out")) == 7


def test_a_file_whose_name_lies_about_its_format_gets_a_true_ending(cli, exact, tmp_path):
    (tmp_path / "in").mkdir()
    PIL.Image.fromarray(picture(1)).save(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "a.png").rename(tmp_path / "in" / "a.jpg")
    PIL.Image.fromarray(picture(2)).save(tmp_path / "in" / "a.png")
    assert cli("run", exact, tmp_path / "in", "-o", tmp_path / "out").code == 0
    assert sorted(outputs(tmp_path / "out")) == ["a.jpg.png", "a.png"]
    assert (
        len(json.loads(cli("run", exact, tmp_path / "in", "-o", tmp_path / "out", "--resume", "--json").out)["skipped"])
        == 2
    )


def test_a_chain_stored_before_an_option_existed_is_the_same_chain(cli, exact, faces, tmp_path):
    cli("run", exact, faces, "-o", tmp_path / "out")
    for path in (tmp_path / "out").glob("*.json"):
        stored = json.loads(path.read_text())
        del stored["chain"]["chain"][0]["restore"]["repeats"]  # 1 by default
        path.write_text(json.dumps(stored, indent=1))
    said = json.loads(cli("run", exact, faces, "-o", tmp_path / "out", "--resume", "--json").out)
    assert (len(said["skipped"]), said["restored"]) == (7, [])


def test_a_refused_resume_says_which_option_differs(cli, exact, faces, tmp_path):
    cli("run", exact, faces, "-o", tmp_path / "out", "--limit", 1)
    done = cli("run", exact, faces, "-o", tmp_path / "out", "--resume", "--set", "restore.inverter.steps=12")
    assert done.code == 2
    assert "restore.inverter.steps was 10 and is now 12" in done.err


def test_records_of_a_killed_run_and_of_names_that_lie_are_on_the_page(cli, exact, tmp_path):
    (tmp_path / "in").mkdir()
    PIL.Image.fromarray(picture(1)).save(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "a.png").rename(tmp_path / "in" / "lies.jpg")
    PIL.Image.fromarray(picture(2)).save(tmp_path / "in" / "b.png")
    cli("run", exact, tmp_path / "in", "-o", tmp_path / "out")
    (tmp_path / "out" / "run.jsonl").write_text("")
    assert cli("run", exact, tmp_path / "in", "-o", tmp_path / "out", "--resume", "--report").code == 0
    page = parse((tmp_path / "out" / "report.html").read_text())
    assert set(sections(page)) == {"b.png", "lies.jpg.png"}


def test_a_picture_that_was_not_changed_is_written_as_the_file_that_it_was(cli, tmp_path):
    chain = tmp_path / "resize.yaml"
    chain.write_text("odekit: 1\nchain: [{upsample: {use: resize, scale: 1.0}}]\n")
    source = tmp_path / "in.jpg"
    PIL.Image.effect_noise((40, 30), 60).convert("RGB").save(source, quality=71)
    assert cli("run", chain, source, "-o", tmp_path / "out").code == 0
    assert (tmp_path / "out" / "in.jpg").read_bytes() == source.read_bytes()
    chain.write_text("odekit: 1\nchain: [{upsample: {use: resize, scale: 1.0}}, {save: {keep_metadata: false}}]\n")
    assert cli("run", chain, source, "-o", tmp_path / "anew").code == 0
    assert (tmp_path / "anew" / "in.jpg").read_bytes() != source.read_bytes()
