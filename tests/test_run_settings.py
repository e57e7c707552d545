"""run.json: what the results of a folder depend on. It may be damaged or hostile; shards agree on it."""

import json
import os
import threading

import pytest
import torch

from odekit.chains.tuning import batch_size
from odekit.cli.progress import ProgressBar
from odekit.core.device import LARGEST_BATCH_SIZE
from odekit.core.files import exclusive, read_json, write_json
from odekit.runs.lock import lock_output_folder
from odekit.runs.settings import parse_settings, read_settings

DAMAGE = {
    "empty": b"",
    "half": None,
    "zeros": b"\0" * 900,
    "garbage": bytes(range(256)) * 4,
    "list": b"[]",
    "no numbers": b'{"schema": 1, "chain": {}, "seed": "x", "device": 3, "precision": [], "slots": -1, "threads": 1e99}',
    "deep": b'{"schema": 1, "chain": ' + b"[" * 700 + b"]" * 700 + b"}",
    "huge number": b'{"schema": 1, "seed": ' + b"9" * 5000 + b"}",
}


def outputs(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def damage(path, kind):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if DAMAGE[kind] is None else DAMAGE[kind])


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_run_json_does_not_let_another_seed_overwrite_finished_results(cli, exact, faces, tmp_path, kind):
    out = tmp_path / "out"
    cli("run", exact, faces, "-o", out, "--seed", 7, "--limit", 4, "--batch-size", 2)
    before = outputs(out)
    damage(out / "run.json", kind)
    done = cli("run", exact, faces, "-o", out, "--resume")
    assert done.code == 2
    assert "another seed (it was 7 and is now 0)" in done.err
    assert outputs(out) == before
    done = cli("run", exact, faces, "-o", out, "--resume", "--seed", 7, "--json")
    assert (done.code, len(json.loads(done.out)["skipped"])) == (0, 4)
    assert {key: read_json(out / "run.json")[key] for key in ("seed", "slots")} == {"seed": 7, "slots": 2}


def test_a_run_json_that_is_gone_is_found_again_in_the_records(cli, exact, faces, tmp_path):
    out = tmp_path / "out"
    cli("run", exact, faces, "-o", out, "--batch-size", 3)
    stored = read_json(out / "run.json")
    (out / "run.json").unlink()
    assert cli("run", exact, faces, "-o", out, "--resume", "--dry-run").code == 0
    assert not (out / "run.json").exists()
    assert "--batch-size 3" in cli("run", exact, faces, "-o", out, "--resume", "--batch-size", 2).err
    assert cli("run", exact, faces, "-o", out, "--resume").code == 0
    assert read_json(out / "run.json") == stored


def test_records_of_different_runs_do_not_tell_the_settings(cli, exact, faces, tmp_path):
    out = tmp_path / "out"
    cli("run", exact, faces / "face0.png", "-o", out, "--seed", 1)
    cli("run", exact, faces / "face1.png", "-o", out, "--seed", 2, "--overwrite")
    (out / "run.json").write_bytes(b"")
    done = cli("run", exact, faces, "-o", out, "--resume", "--seed", 1)
    assert done.code == 2
    assert "its records are of different runs" in done.err
    assert len(outputs(out)) == 2


def test_a_folder_in_which_nothing_is_finished_may_be_begun_again(cli, exact, faces, tmp_path):
    out = tmp_path / "out"
    cli("run", exact, faces, "-o", out, "--seed", 1)
    for path in out.glob("face*"):
        path.unlink()
    assert cli("run", exact, faces, "-o", out, "--resume", "--seed", 2).code == 0
    assert read_json(out / "run.json")["seed"] == 2


def test_a_pipe_or_a_device_in_place_of_run_json_is_not_read(cli, exact, faces, tmp_path):
    out = tmp_path / "out"
    cli("run", exact, faces, "-o", out, "--limit", 2)
    (out / "run.json").unlink()
    os.mkfifo(out / "run.json")
    assert cli("run", exact, faces, "-o", out, "--resume").code == 0
    (out / "run.json").unlink()
    (out / "run.json").symlink_to("/dev/zero")
    assert cli("run", exact, faces, "-o", out, "--resume").code == 0
    assert (out / "run.json").is_file()


def test_a_run_restored_with_less_memory_keeps_its_first_batch_size(cli, exact, faces, tmp_path):
    out = tmp_path / "out"
    cli("run", exact, faces, "-o", out, "--batch-size", 4)
    for path in out.glob("face*.json"):  # as after memory ran out
        text = path.read_text().replace('"slots": 4', '"slots": 2')
        path.write_text(text.rstrip().removesuffix("}").rstrip() + ',\n "memory": "ran out with 4 slots"\n}')
    (out / "run.json").unlink()
    done = cli("run", exact, faces, "-o", out, "--resume", "--batch-size", 4, "--json")
    assert (done.code, len(json.loads(done.out)["skipped"])) == (0, 7)


@pytest.mark.parametrize(
    "other", [["--seed", 1], ["--batch-size", 3], ["--precision", "bfloat16"]], ids=["seed", "batch size", "precision"]
)
def test_shards_with_other_settings_are_refused(cli, exact, faces, tmp_path, other):
    out = tmp_path / "out"
    assert cli("run", exact, faces, "-o", out, "--shard", "1/2", "--batch-size", 2, "--precision", "float32").code == 0
    before = outputs(out)
    for more in ([], ["--overwrite"], ["--resume"]):
        done = cli("run", exact, faces, "-o", out, "--shard", "2/2", *other, *more)
        assert done.code == 2
        assert "was written with" in done.err
    assert outputs(out) == before
    assert cli("run", exact, faces, "-o", out, "--shard", "2/2").code == 0
    assert {read_json(path)["slots"] for path in out.glob("face*.json")} == {2}


def test_a_shard_takes_the_threads_of_the_first_one(cli, exact, faces, tmp_path, monkeypatch):
    out, before = tmp_path / "out", torch.get_num_threads()
    try:
        cli("run", exact, faces, "-o", out, "--shard", "1/2")
        torch.set_num_threads(before + 1)
        cli("run", exact, faces, "-o", out, "--shard", "2/2")
    finally:
        torch.set_num_threads(before)
    assert {read_json(path)["threads"] for path in out.glob("face*.json")} == {before}


def test_a_shard_that_starts_before_the_first_one_has_results_is_bound_to_its_settings(cli, exact, faces, tmp_path):
    out = tmp_path / "out"
    cli("run", exact, faces, "-o", out, "--shard", "1/2", "--seed", 5)
    for path in out.glob("face*"):
        path.unlink()
    with lock_output_folder(out, "1/2"):  # it runs
        assert "another seed" in cli("run", exact, faces, "-o", out, "--shard", "2/2", "--seed", 6).err
    assert cli("run", exact, faces, "-o", out, "--shard", "2/2", "--seed", 6).code == 0, "nobody runs, nothing is done"


def test_a_shard_waits_until_the_first_one_has_settled(cli, exact, faces, tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    held, said = threading.Event(), threading.Event()
    monkeypatch.setattr(ProgressBar, "message", lambda self, text: said.set())

    def settle():
        with exclusive(out / "run.json.lock"):
            held.set()
            assert said.wait(60), "the shard did not say that it waits"

    other = threading.Thread(target=settle)
    other.start()
    held.wait()
    assert cli("run", exact, faces, "-o", out, "--shard", "1/2").code == 0
    other.join()
    assert said.is_set()
    assert not (out / "run.json.lock").exists()


def test_a_failed_start_does_not_bind_later_ones(cli, exact, faces, tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text(exact.read_text().replace("mixture, side: 8", "diffusers, path: nowhere/"))
    out = tmp_path / "out"
    assert cli("run", broken, faces, "-o", out, "--shard", "1/2").code == 2
    assert cli("run", exact, faces, "-o", out, "--shard", "1/2").code == 0


@pytest.mark.parametrize("size", ["65537", "70000", "9" * 5000])
def test_a_batch_size_that_run_json_cannot_hold_is_refused_before_anything_is_written(
    cli, exact, faces, tmp_path, size, monkeypatch
):
    monkeypatch.setattr(batch_size, "available_memory_bytes", lambda: float("inf"))
    done = cli("run", exact, faces, "-o", tmp_path / "out", "--batch-size", size)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert "at most 65,536" in done.err
    assert not list((tmp_path / "out").glob("*"))


def test_the_memory_at_hand_is_never_said_to_hold_more_than_is_accepted(cli, exact, faces, tmp_path):
    done = cli("run", exact, faces, "-o", tmp_path / "out", "--batch-size", 10**12)
    assert done.code == 2
    assert "at most 65,536 fit" in done.err


def test_the_largest_numbers_that_are_written_are_read(cli, exact, faces, tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 10**6)
    monkeypatch.setattr(torch, "set_num_threads", lambda number: None)
    cli("run", exact, faces, "-o", tmp_path / "out", "--limit", 1)
    stored = read_settings(tmp_path / "out")
    assert stored is not None
    assert stored == parse_settings(read_json(tmp_path / "out" / "run.json"))
    assert parse_settings(read_json(tmp_path / "out" / "run.json") | {"slots": LARGEST_BATCH_SIZE}) is not None


def test_a_batch_size_in_run_json_beyond_the_memory_is_one_line(cli, exact, faces, tmp_path, monkeypatch):
    out = tmp_path / "out"
    cli("run", exact, faces, "-o", out, "--limit", 2)
    write_json(out / "run.json", read_json(out / "run.json") | {"slots": LARGEST_BATCH_SIZE})
    monkeypatch.setattr(batch_size, "available_memory_bytes", lambda: 1e8)
    done = cli("run", exact, faces, "-o", out, "--resume")
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert "run.json: --batch-size 65536: this needs about 0.8 GB of memory" in done.err


@pytest.mark.parametrize("name", ["float8", "auto", "", ["float32"]])
def test_an_unknown_precision_in_run_json_is_damage(cli, exact, faces, tmp_path, name):
    out = tmp_path / "out"
    cli("run", exact, faces, "-o", out, "--limit", 2)
    stored = read_json(out / "run.json")
    write_json(out / "run.json", stored | {"precision": name})
    assert len(json.loads(cli("run", exact, faces, "-o", out, "--resume", "--json").out)["skipped"]) == 2
    assert read_json(out / "run.json")["precision"] == stored["precision"]
