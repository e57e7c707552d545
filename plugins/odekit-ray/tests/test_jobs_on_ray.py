"""A job on Ray gives what `odekit run` gives, and goes on where another engine stopped."""

import contextlib
import json
import random
from pathlib import Path

import pytest
from odekit_ray.actor import Restorer, chain_of
from odekit_ray.attempts import Attempts
from odekit_ray.cluster import Cluster
from odekit_ray.driver import RayJob, own_error
from on_ray import odekit, save_face
from poison import Poisonous

from odekit.chains.chain import Chain
from odekit.core.files import read_json
from odekit.errors import ConfigError, OutputError
from odekit.runs.silent import Silent
from odekit.runs.status import find_runs
from odekit.runs.stores import Folder
from odekit.runs.summary import RunOptions

TWO = Cluster(actors=2)


def job(exact, out, source=None, **options):
    made = RayJob(Chain.load(str(exact)), RunOptions(Path(out), batch_size=2, **options), TWO, Silent(), source=source)
    return made


def results(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def test_bytes_and_settings_are_those_of_a_run(ray_here, exact, faces, tmp_path):
    odekit("run", exact, faces, "-o", tmp_path / "whole", "--batch-size", 2)
    summary = job(exact, tmp_path / "out").run([faces])
    assert sorted(summary.restored) == [f"face{number}.png" for number in range(7)]
    assert (summary.stopped, summary.left, summary.failed, summary.calls.pictures) == ("", 0, [], 7)
    assert results(tmp_path / "out") == results(tmp_path / "whole")
    strip = {"threads", "versions"}
    one, other = (read_json(tmp_path / name / "run.json") for name in ("out", "whole"))
    assert {k: v for k, v in one.items() if k not in strip} == {k: v for k, v in other.items() if k not in strip}
    (status,) = find_runs(tmp_path / "out")
    assert (status.state, status.inputs, status.done) == ("finished", 7, 7)
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")] == []


def test_a_folder_goes_on_across_engines(ray_here, exact, faces, tmp_path, monkeypatch):
    out = tmp_path / "out"
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    odekit("run", exact, faces, "-o", out, "--batch-size", 2, "--limit", 2)
    assert read_json(out / "run.json")["threads"] == 2
    with pytest.raises(ConfigError, match="use --resume"):
        job(exact, out).run([faces])
    summary = job(exact, out, resume=True, limit=5).run([faces])
    assert (len(summary.restored), len(summary.skipped)) == (3, 2)
    assert {read_json(path)["threads"] for path in out.glob("face*.json")} == {2}, "Ray gives its workers one"
    back = odekit("run", exact, faces, "-o", out, "--resume")
    assert (len(back["restored"]), len(back["skipped"])) == (2, 5)
    again = job(exact, out, resume=True).run([faces])
    assert (again.restored, len(again.skipped)) == ([], 7)
    assert find_runs(out)[0].done == 7
    with pytest.raises(ConfigError, match="another seed"):
        job(exact, out, resume=True, seed=9).run([faces])


def test_a_poisonous_file_costs_itself_alone(ray_here, exact, faces, tmp_path):
    odekit("run", exact, faces, "-o", tmp_path / "whole", "--batch-size", 2)
    save_face(faces / "face3-poison.png", 99)
    (faces / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nhalf")
    summary = job(exact, tmp_path / "out", source=Poisonous()).run([faces])
    told = {Path(failure["input"]).name: failure["error"] for failure in summary.failed}
    assert set(told) == {"face3-poison.png", "broken.png"}
    assert "ended its worker process 3 times" in told["face3-poison.png"]
    assert results(tmp_path / "out") == results(tmp_path / "whole")
    assert {Path(row["input"]).name for row in read_json(tmp_path / "out" / "failures.json")} == set(told)
    assert summary.left == 0 and summary.stopped == ""


def test_attempts_are_counted_for_exactly_these_files(tmp_path):
    attempts = Attempts(Folder(tmp_path), ".odekit-tmp/run")
    assert attempts.begun(["a", "b"]) is None and attempts.count(["a", "b"]) == 0
    attempts.begin(["a", "b"], ["b"])
    assert attempts.begun(["a", "b"]) == {"b"} and attempts.begun(["b"]) is None
    attempts.begin(["a", "b"], [])
    assert attempts.begun(["a", "b"]) == {"b"} and attempts.count(["a", "b"]) == 2


def killed(exact, tmp_path, faces, names, monkeypatch):
    """What is tried of a batch of these files, each attempt in a new worker, if those with `poison` end their worker."""
    for number, name in enumerate(names):
        save_face(faces / f"{name}.png", number)
    made = job(exact, tmp_path / "out")
    jobs = [one for one in made.book.plan([faces]) if one.name[:-4] in names]
    tried = []

    def run(self, todo):
        tried.append("".join(one.name[0] for one in todo))
        if any("poison" in one.name for one in todo):
            raise KeyboardInterrupt  # as if killed: nothing after it is executed
        return whole(self, todo)

    whole = Restorer.run
    monkeypatch.setattr(Restorer, "run", run)
    with made.book.opened():
        made.book.settlement.write(made.book.settle(jobs))
        while True:
            with contextlib.suppress(KeyboardInterrupt):
                rows = Restorer(made.chain.tree(), made.book.ticket(), made.book.scratch, str(tmp_path)).restore(jobs)
                return tried, {row["name"]: row["state"] for row in rows}


def test_a_batch_that_ends_its_worker_is_halved_until_the_guilty_file_is_alone(exact, faces, tmp_path, monkeypatch):
    names = ["a", "b", "c", "d", "e-poison", "f", "g", "h"]
    tried, states = killed(exact, tmp_path, faces, names, monkeypatch)
    assert tried == ["abcdefgh", "abcd", "efgh", "ef", "e", "e", "e", "f", "gh"]
    assert states.pop("e-poison.png") == "failed" and set(states.values()) == {"restored"} and len(states) == 7


def test_whoever_kills_workers_at_random_condemns_no_file(exact, faces, tmp_path, monkeypatch):
    """A file fails only if it was alone in a worker that ended, three times."""
    made, dice = job(exact, tmp_path / "out"), random.Random(3)
    jobs = made.book.plan([faces])
    whole = Restorer.run

    def run(self, todo):
        if dice.random() < 0.3:
            raise KeyboardInterrupt
        return whole(self, todo)

    monkeypatch.setattr(Restorer, "run", run)
    with made.book.opened():
        made.book.settlement.write(made.book.settle(jobs))
        for repeat in range(10):
            arguments = made.chain.tree(), made.book.ticket(), f"{made.book.scratch}/{repeat}", str(tmp_path)
            for path in (tmp_path / "out").glob("*.png*"):
                path.unlink()
            while True:
                with contextlib.suppress(KeyboardInterrupt):
                    rows = Restorer(*arguments).restore(jobs)
                    break
            assert {row["state"] for row in rows} == {"restored"}


def test_a_batch_that_comes_again_is_told_as_restored_and_not_done_twice(exact, faces, tmp_path):
    """Its worker died between the result and the row that tells of it."""
    made = job(exact, tmp_path / "out")
    jobs = made.book.plan([faces])[:2]
    with made.book.opened():
        made.book.settlement.write(made.book.settle(jobs))
        arguments = made.chain.tree(), made.book.ticket(), made.book.scratch, str(tmp_path)
        first = Restorer(*arguments).restore(jobs)
        stamps = [(tmp_path / "out" / one.name).stat().st_mtime_ns for one in jobs]
        again = Restorer(*arguments).restore(jobs)
        assert [row["state"] for row in first] == [row["state"] for row in again] == ["restored"] * 2
        assert stamps == [(tmp_path / "out" / one.name).stat().st_mtime_ns for one in jobs]


def test_a_worker_with_another_version_of_a_part_is_refused(exact):
    tree = json.loads(json.dumps(Chain.load(str(exact)).tree()))
    assert chain_of(tree).tree() == tree
    tree["chain"][0]["restore"]["inverter"].pop("steps")
    with pytest.raises(ConfigError, match="bring all to one version"):
        chain_of(tree)


def test_the_error_of_odekit_is_found_inside_that_of_ray():
    class Wrapped(Exception):
        cause = OutputError("the disk is full")

    assert str(own_error(Wrapped("task"))) == "the disk is full"
    plain = ValueError("x")
    assert own_error(plain) is plain


def test_impossible_clusters_are_refused():
    for wrong in ({"actors": 0}, {"gpus_per_actor": -1.0}):
        with pytest.raises(ConfigError):
            Cluster(**wrong)
