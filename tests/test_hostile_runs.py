"""Hostile and broken output folders: one line, never a traceback; nothing is written outside, nothing is wrong."""

import json
import os
import time

import pytest

from odekit.core.files import read_json
from odekit.errors import ConfigError
from odekit.runs.faults import start_errors
from odekit.runs.report.run_report import write_run_report

DEEP = "[" * 900 + "]" * 900
NAMES = [f"face{i}.png" for i in range(7)]


def text(path, content):
    path.write_text(content) if isinstance(content, str) else path.write_bytes(content)


def settings(**changes):
    def change(out, outside):
        text(out / "run.json", json.dumps(read_json(out / "run.json") | changes))

    return change


def settings_text(content):
    return lambda out, outside: text(out / "run.json", content)


def record(*keys, value):
    """Put a value at a place of every record."""

    def change(out, outside):
        for path in out.glob("face*.json"):
            content = read_json(path)
            inner = content
            for key in keys[:-1]:
                inner = inner[key]
            inner[keys[-1]] = value
            text(path, json.dumps(content))

    return change


def record_text(content):
    def change(out, outside):
        for path in out.glob("face*.json"):
            text(path, content)

    return change


def log(*lines):
    return lambda out, outside: text(out / "run.jsonl", "\n".join(lines) + "\n")


def failures(content):
    return lambda out, outside: text(out / "failures.json", content)


def replaced(name, make):
    """Replace a file of the folder by something else."""

    def change(out, outside):
        if (out / name).is_file():
            (out / name).unlink()
        make(out / name, outside)

    return change


def folder(path, outside):
    path.mkdir()
    (path / "in it").write_text("x")


def pipe(path, outside):
    os.mkfifo(path)


def link_to_folder(path, outside):
    path.symlink_to(outside)


def link_to_file(path, outside):
    path.symlink_to(outside / "precious.txt")


def link_to_zeros(path, outside):
    path.symlink_to("/dev/zero")


def hard_link(path, outside):
    path.hardlink_to(outside / "precious.txt")


EVENT = '"time": 1000, "event": "begin"'
HOSTILE = {
    "run.json of a list": settings_text("[]"),
    "run.json of nothing": settings_text(""),
    "run.json of zeros": settings_text(bytes(500)),
    "run.json nested": settings_text(f'{{"schema": 1, "chain": {DEEP}}}'),
    "run.json of a huge number": settings_text(f'{{"seed": {"9" * 6000}}}'),
    "run.json that is not Unicode": settings_text(b"\xff\xfe\xfd"),
    "run.json of infinities": settings_text('{"schema": 1, "seed": Infinity, "slots": NaN}'),
    "a chain nested": settings(chain=json.loads("[" * 60 + "]" * 60)),
    "a chain of 5,000 stages": settings(chain={"odekit": 1, "chain": ["restore"] * 5000}),
    "a chain of text": settings(chain="odedit"),
    "1e9 slots": settings(slots=10**9),
    "no threads": settings(threads=0),
    "a truth value as seed": settings(seed=True),
    "a device of a list": settings(device=["cuda"]),
    "an unknown precision": settings(precision="float4"),
    "dependencies of text": settings(depends={"weights": "x", "files": [1], "parts": {"odekit": 3}}),
    "versions of numbers": settings(versions={"odekit": 7, "torch": [1]}),
    "run.json as a folder": replaced("run.json", folder),
    "run.json as a pipe": replaced("run.json", pipe),
    "run.json without end": replaced("run.json", link_to_zeros),
    "run.json as a link": replaced("run.json", link_to_file),
    "records of lists": record_text("[1, 2]"),
    "records nested": record_text(f'{{"schema": 1, "output": {DEEP}}}'),
    "records that are not Unicode": record_text(b'{"schema": 1, "seed": "\xff"}'),
    "a record as a folder": replaced("face1.png.json", folder),
    "a record as a pipe": replaced("face1.png.json", pipe),
    "a record without end": replaced("face1.png.json", link_to_zeros),
    "stages of a number": record("stages", value=5),
    "stages of nothing": record("stages", value=[None, 3, {"faces": 7}]),
    "findings of lists": record("stages", value=[{"stage": ["x"], "faces": [[1], {"strength": {}}], "done": 3}]),
    "an output elsewhere": record("output", "path", value="../../precious.txt"),
    "an output of another name": record("output", "path", value="face0.png"),
    "an output of bytes": record("output", "path", value="face\0.png"),
    "an output of a number": record("output", "path", value=7),
    "extras elsewhere": record("extras", value=["../../precious.txt"]),
    "extras of numbers": record("extras", value=[1, None]),
    "extras without names": record("extra_files", value=[]),
    "an input of nothing": record("input", value=None),
    "files of an input": record("input", "files", value=[1]),
    "memory without end": record("memory", value="ran out with " + "9" * 400 + " slots"),
    "slots of text": record("slots", value="many"),
    "calls of text": record("calls", value={"a": 1}),
    "a surrogate": record("seed", value="\ud800"),
    "events of other types": log(f'{{{EVENT}, "inputs": "x", "done": [], "pid": {{}}}}', '{"time": 1001, "event": "end", "reason": []}'),
    "events of huge numbers": log(f'{{{EVENT}, "inputs": {"9" * 400}, "done": -5}}', f'{{"time": {"9" * 400}, "event": "restored"}}'),
    "an event nested": log(f'{{{EVENT}, "inputs": {DEEP}}}'),
    "a line without end": log("x" * 30_000_000),
    "the log as a folder": replaced("run.jsonl", folder),
    "the log as a pipe": replaced("run.jsonl", pipe),
    "the log as a link": replaced("run.jsonl", link_to_file),
    "the log as a second name": replaced("run.jsonl", hard_link),
    "failures of numbers": failures("[1, null, {}]"),
    "failures nested": failures(DEEP),
    "failures of other types": failures('[{"input": 5, "error": []}]'),
    "failures as a folder": replaced("failures.json", folder),
    "failures as a link": replaced("failures.json", link_to_file),
    "the lock as a folder": replaced("run.lock", folder),
    "the lock as a link": replaced("run.lock", link_to_file),
    "the lock as a pipe": replaced("run.lock", pipe),
    "the lock of a shard as a link": replaced("run-1-of-2.lock", link_to_file),
    "the temporary folder as a file": replaced(".odekit-tmp", lambda path, outside: path.write_text("x")),
    "the temporary folder as a link": replaced(".odekit-tmp", link_to_folder),
    "the temporary folder of a shard as a link": replaced(".odekit-tmp-1-of-2", link_to_folder),
    "stages as a link": replaced("stages", link_to_folder),
    "a result as a link": replaced("face1.png", link_to_file),
    "a result as a folder": replaced("face1.png", folder),
}  # fmt: skip
SAMPLED = 4
"""Every fourth is tried in a short run of the tests, and all that concern links."""


def marked(number, name):
    return name if number % SAMPLED == 0 or "link" in name else pytest.param(name, marks=pytest.mark.long)


def outputs(folder):
    return {path.name: path.read_bytes() for path in folder.glob("face*.png") if path.is_file()}


@pytest.mark.parametrize("name", [marked(number, name) for number, name in enumerate(HOSTILE)])
def test_a_hostile_folder_is_one_line_or_a_right_result(cli, exact, faces, tmp_path, name):
    out, outside = tmp_path / "out", tmp_path / "outside"
    outside.mkdir()
    (outside / "precious.txt").write_text("precious")
    cli("run", exact, faces, "-o", out, "--batch-size", 2, "--limit", 5)
    cli("run", exact, faces, "-o", tmp_path / "whole", "--batch-size", 2)
    HOSTILE[name](out, outside)
    started = time.monotonic()
    commands = [
        ["status", out],
        ["run", exact, faces, "-o", out, "--resume", "--dry-run"],
        ["run", exact, faces, "-o", out, "--resume", "--keep-stages"],
        ["run", exact, faces, "-o", out, "--resume", "--changed", "redo", "--verify"],
        ["run", exact, faces, "-o", out, "--shard", "1/2", "--resume"],
        ["status", out],
        ["run", exact, faces, "-o", out, "--overwrite", "--batch-size", 2],
    ]
    for command in commands:
        done = cli(*command)  # an exception other than the end of the program fails the test
        assert done.code in (0, 2, 3, 4), done.err
        if done.code == 2:
            assert len(done.err.splitlines()) == 1, done.err
        if done.code == 0 and command[0] == "run" and "--dry-run" not in command and "--shard" not in command:
            slots = {read_json(path)["slots"] for path in out.glob("face*.png.json")}
            assert len(slots) == 1
            if slots == {2}:
                assert outputs(out) == outputs(tmp_path / "whole")
    write_run_report(out, [faces])
    assert time.monotonic() - started < 60
    assert [path.name for path in outside.iterdir()] == ["precious.txt"]
    assert (outside / "precious.txt").read_text() == "precious"


@pytest.mark.parametrize(
    "name, make",
    [
        ("run.json", folder),
        ("run.lock", folder),
        ("run.lock", pipe),
        ("run.jsonl", folder),
        ("run.jsonl", pipe),
        (".odekit-tmp", lambda path, outside: path.write_text("x")),
    ],
)
def test_what_stands_in_place_of_a_file_of_the_run_is_named(cli, exact, faces, tmp_path, name, make):
    out = tmp_path / "out"
    cli("run", exact, faces, "-o", out, "--limit", 2)
    replaced(name, make)(out, tmp_path)
    before = outputs(out)
    for more in (["--resume"], ["--overwrite"]):
        done = cli("run", exact, faces, "-o", out, *more)
        assert (done.code, len(done.err.splitlines())) == (2, 1)
        assert f"{out / name} is " in done.err
    assert outputs(out) == before


def test_a_file_of_the_run_that_may_not_be_written_is_named(tmp_path):
    told = r"the output folder .*out cannot be written: Permission denied \(run\.jsonl\)"
    with pytest.raises(ConfigError, match=told), start_errors(tmp_path / "out"):
        raise PermissionError(13, "Permission denied", str(tmp_path / "out" / "run.jsonl"))
