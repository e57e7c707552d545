"""`python -m benchmarks figures`: what runs again after a stop and after new weights."""

import json
import shlex
import sys

import pytest
from typer.testing import CliRunner

from benchmarks import __main__ as benchmarks
from benchmarks import figures
from odekit.core.files import ASSETS
from odekit.errors import ConfigError


@pytest.fixture
def assets(tmp_path):
    """A package's folder with weights, a calibration and a card."""
    folder = tmp_path / "assets" / "net"
    folder.mkdir(parents=True)
    for name in ("model.safetensors", "decision.json", "README.md"):
        (folder / name).write_text("1")
    return folder


def test_a_calibration_depends_on_the_weights_and_not_on_the_file_that_it_writes(assets):
    step = figures.Step("fit", "odekit calibrate", ("net",), writes="odekit/assets/net/decision.json")
    other = figures.Step("show", "odekit calibrate", ("net",))
    before = step.digest(assets.parent), other.digest(assets.parent)
    (assets / "decision.json").write_text("2")
    assert step.digest(assets.parent) == before[0]
    assert other.digest(assets.parent) != before[1]
    (assets / "model.safetensors").write_text("2")
    assert step.digest(assets.parent) != before[0]


def test_a_card_changes_no_figure(assets):
    step = figures.Step("fit", "odekit calibrate", ("net",))
    before = step.digest(assets.parent)
    (assets / "README.md").write_text("other words")
    assert step.digest(assets.parent) == before


def test_places_are_filled_in_and_yaml_stays():
    step = figures.Step("table", "python -m benchmarks nfe --data {data}/a.npz --solver '{use: deis, order: 3}'")
    assert step.words({"data": "/my faces"})[1:] == [
        "-m", "benchmarks", "nfe", "--data", "/my faces/a.npz", "--solver", "{use: deis, order: 3}",
    ]  # fmt: skip
    assert figures.Step("run", "odekit check x").words({}) == [sys.executable, "-m", "odekit", "check", "x"]


@pytest.fixture
def steps(monkeypatch):
    """Three steps of their own: one prints, one fails until a file is there, one prints."""
    listed = [
        figures.Step("one", 'python -c "print(1)"'),
        figures.Step("two", "python -c \"import sys; sys.exit(not __import__('os').path.exists('{data}/ready'))\""),
        figures.Step("three", 'python -c "print(3)"'),
    ]
    monkeypatch.setattr(figures, "read_steps", lambda kind: listed)
    return listed


def run(tmp_path, *more):
    return CliRunner().invoke(benchmarks.app, ["figures", "--data", str(tmp_path), "-o", str(tmp_path / "out"), *more])


def test_a_step_that_fails_is_told_and_runs_again_while_the_others_are_kept(tmp_path, steps):
    result = run(tmp_path)
    assert result.exit_code == 3
    assert "two" in result.stdout and "FAILED with exit code 1" in result.stdout
    assert (tmp_path / "out" / "three.txt").read_text() == "3\n"
    assert sorted(json.loads((tmp_path / "out" / "figures.json").read_text())) == ["one", "three"]
    (tmp_path / "ready").touch()
    again = run(tmp_path)
    assert again.exit_code == 0
    assert again.stdout.count("was done") == 2


def test_a_dry_run_starts_nothing(tmp_path, steps):
    assert "to do" in run(tmp_path, "--dry-run").stdout
    assert not (tmp_path / "out").exists()


def test_an_unknown_step_is_named(steps):
    with pytest.raises(ConfigError, match="--only four: no such step; there are one, two, three"):
        figures.chosen(steps, ["four"])


@pytest.mark.parametrize("kind", ["full", "quick"])
def test_every_step_is_a_command_that_is_there_and_names_folders_that_are(kind, tmp_path):
    from odekit.cli import app

    steps, shown = figures.read_steps(kind), {}
    assert len({step.name for step in steps}) == len(steps)
    for step in steps:
        assert step.of
        assert all((ASSETS / folder).is_dir() for folder in step.of)
        assert not step.writes or (figures.ROOT / step.writes).is_file()
        places = figures.places_of(steps, step, tmp_path, tmp_path)
        words = step.words(places)[2:]
        assert not [word for word in words if word.startswith("{") and ":" not in word]
        program, *arguments = words
        names = [word for word in arguments if not word.startswith("-")][: 1 if program == "benchmarks" else 2]
        names = names if program == "benchmarks" or names[0] in ("calibrate", "experiment") else names[:1]
        command = (program, *names)
        if command not in shown:
            help_page = CliRunner().invoke(benchmarks.app if program == "benchmarks" else app, [*names, "--help"])
            assert help_page.exit_code == 0, shlex.join(words)
            shown[command] = help_page.stdout
        for option in (word for word in arguments if word.startswith("--")):
            assert option in shown[command], f"{step.name}: {option}"
