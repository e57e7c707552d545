"""The fault drill: power cuts, kills and shards that start together. Nothing wrong, nothing lost, nothing twice."""

import contextlib
import json
import os
import random
import re
import shlex
import shutil
import signal
import time
from pathlib import Path

import PIL.Image
import pytest
from conftest import ROOT, picture
from fork_server import ForkServer

from odekit.core.files import read_json

CUTS = {
    "empty": lambda path, data: path.write_bytes(b""),
    "half": lambda path, data: path.write_bytes(data[: len(data) // 2]),
    "gone": lambda path, data: path.unlink(),
    "garbage": lambda path, data: path.write_bytes(random.Random(len(data)).randbytes(len(data))),
    "zeros": lambda path, data: path.write_bytes(bytes(len(data))),
}
"""What a power failure may leave of a file."""
TARGETS = {"record": "face{}.png.json", "output": "face{}.png", "settings": "run.json", "events": "run.jsonl"}


def outputs(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


def listed(done, key):
    return sorted(Path(name).name for name in json.loads(done.out)[key])


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = ForkServer(tmp_path_factory.mktemp("server") / "printed.txt")
    yield server
    server.close()
    assert "Traceback" not in server.printed.read_text()


@pytest.mark.parametrize("count", [20, pytest.param(200, marks=pytest.mark.long)])
def test_after_a_power_cut_a_resume_restores_what_was_lost_and_nothing_else(cli, exact, faces, tmp_path, count):
    whole, out, dice = tmp_path / "whole", tmp_path / "out", random.Random(3)
    cli("run", exact, faces, "-o", whole, "--seed", 5, "--batch-size", 2)
    names, settings = set(outputs(whole)), read_json(whole / "run.json")
    for number in range(count):
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(whole, out)
        expected = set()
        for unfinished in dice.sample(range(7), dice.randrange(4)):
            (out / f"face{unfinished}.png").unlink()
            (out / f"face{unfinished}.png.json").unlink()
            expected.add(f"face{unfinished}.png")
        left = [i for i in range(7) if f"face{i}.png" not in expected]
        first = list(TARGETS)[number // len(CUTS) % len(TARGETS)], list(CUTS)[number % len(CUTS)]
        further = [(dice.choice(list(TARGETS)), dice.choice(list(CUTS))) for _ in range(dice.randrange(3))]
        for target, kind in [first, *(further if number >= len(CUTS) * len(TARGETS) else [])]:
            i = dice.choice(left)
            path = out / TARGETS[target].format(i)
            if path.exists():
                CUTS[kind](path, path.read_bytes())
            if target in ("record", "output"):
                expected.add(f"face{i}.png")
        told = f"cut {number}: {first}, {further}"
        done = cli("run", exact, faces, "-o", out, "--seed", 5, "--resume", "--json")
        assert done.code == 0, f"{told}: {done.err}"
        assert "Traceback" not in done.err, told
        assert set(listed(done, "restored")) == expected, told
        assert set(listed(done, "skipped")) == names - expected, told
        assert outputs(out) == outputs(whole), told
        assert read_json(out / "run.json") == settings, told
        assert cli("status", out).code == 0, told
        assert listed(cli("run", exact, faces, "-o", out, "--seed", 5, "--resume", "--json"), "restored") == [], told


@pytest.mark.parametrize("kills", [8, pytest.param(200, marks=pytest.mark.long)])
def test_after_kills_of_runs_and_of_workers_every_file_is_restored_once_and_equal(server, exact, tmp_path, kills):
    exact.write_text(exact.read_text().replace("side: 8", "side: 32").replace("steps: 10", "steps: 60"))
    folder, dice = tmp_path / "in", random.Random(1)
    folder.mkdir()
    for i in range(24):
        PIL.Image.fromarray(picture(i)).save(folder / f"{i:03}.png")
    common = ["run", exact, folder, "--batch-size", 2, "--json"]
    assert server.run([*common, "-o", tmp_path / "whole", "--workers", 0]) == [0]
    killed, runs = 0, 0
    while killed < kills:
        out, ended_by_itself = tmp_path / f"out{runs}", False
        while killed < kills and not ended_by_itself:
            (process,) = server.start([*common, "-o", out, "--resume", "--workers", 1])
            strike(process, out, dice, workers=killed % 2 == 1)
            (code,) = server.wait()
            assert code in (-signal.SIGKILL, 0)
            ended_by_itself = code == 0
            killed += code != 0
        assert server.run([*common, "-o", out, "--resume", "--workers", 1]) == [0]
        assert outputs(out) == outputs(tmp_path / "whole")
        assert [path.name for path in out.rglob(".*")] == []
        assert not (out / "failures.json").exists()
        lines = [json.loads(line) for line in (out / "run.jsonl").read_text().splitlines() if line.endswith("}")]
        restored = [line["input"] for line in lines if line["event"] == "restored"]
        assert len(restored) == len(set(restored)), "a file was restored twice"
        runs += 1
    assert runs < kills, "most runs ended before they were killed"


def strike(process, out, dice, workers):
    """Kill a run soon after its first result, first its workers on request; it may have ended before."""
    before = len(list(out.glob("*.png.json"))) if out.exists() else 0
    deadline = time.monotonic() + 120
    while len(list(out.glob("*.png.json"))) <= before and not ended(process):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(dice.random() * 0.1)
    if workers:
        for worker in children(process):
            kill(worker)
        time.sleep(dice.random() * 0.1)
    kill(process)


def children(process):
    try:
        return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []


def ended(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def kill(process):
    """Kill a process that may have ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


@pytest.mark.parametrize("pairs", [3, pytest.param(50, marks=pytest.mark.long)])
def test_shards_that_start_together_agree_or_are_refused(server, exact, faces, tmp_path, pairs):
    """Of different settings one wins, and the other one can be run again with those; of equal ones both finish."""
    settings = {1: ["--seed", 1, "--batch-size", 3], 2: ["--seed", 2, "--batch-size", 2]}
    for seed, options in settings.items():
        assert server.run(["run", exact, faces, "-o", tmp_path / f"whole{seed}", *options]) == [0]
    for number in range(pairs):
        out, same = tmp_path / f"out{number}", number % 5 == 0
        codes = server.run(
            *(["run", exact, faces, "-o", out, "--shard", f"{i}/2", *settings[1 if same else i]] for i in (1, 2))
        )
        winner = 1 if same else codes.index(0) + 1
        assert sorted(codes) == ([0, 0] if same else [0, 2])
        assert {(r["seed"], r["slots"]) for r in map(read_json, out.glob("face*.json"))} == {
            (winner, settings[winner][-1])
        }
        for i in (1, 2):
            again = ["run", exact, faces, "-o", out, "--shard", f"{i}/2", "--resume", *settings[winner]]
            assert server.run(again) == [0]
        assert outputs(out) == outputs(tmp_path / f"whole{winner}")
        starts = [path for path in out.iterdir() if path.suffix == ".lock" or path.name.startswith(".")]
        assert starts == []


def test_the_slurm_script_of_the_page_starts_all_its_tasks_at_once(server, exact, faces, tmp_path):
    """What the array runs, eight times together, and once more after a task was pre-empted."""
    page = (ROOT / "docs" / "scale.md").read_text()
    (script,) = (text for text in re.findall(r"^```bash\n(.*?)^```", page, re.MULTILINE | re.DOTALL) if "srun" in text)
    assert "--array=1-8" in script
    (line,) = (line for line in script.splitlines() if line.startswith("srun odekit "))

    def task(number):
        words = shlex.split(line.replace("$SLURM_ARRAY_TASK_ID", str(number)))[2:]
        replaced = {"odedit": exact, "scans/": faces, "out/": tmp_path / "out"}
        return [replaced.get(word, word) for word in words]

    assert server.run(["run", exact, faces, "-o", tmp_path / "whole"]) == [0]
    codes = server.run(*(task(number) for number in range(1, 9)))
    assert codes == [0] * 8
    assert outputs(tmp_path / "out") == outputs(tmp_path / "whole")
    assert read_json(tmp_path / "out" / "run.json")["seed"] == 0
    (tmp_path / "out" / "face3.png.json").unlink()
    assert server.run(*(task(number) for number in range(1, 9))) == [0] * 8
    assert outputs(tmp_path / "out") == outputs(tmp_path / "whole")
    lines = [json.loads(x) for path in (tmp_path / "out").glob("run-*.jsonl") for x in path.read_text().splitlines()]
    restored = [Path(entry["input"]).name for entry in lines if entry["event"] == "restored"]
    assert sorted(restored) == sorted([*(f"face{i}.png" for i in range(7)), "face3.png"])
