"""`odekit bench`: prints the commands that replaced it. Nothing in the package imports the benchmarks."""

import re

import pytest
from conftest import ROOT


@pytest.mark.parametrize(
    "words, wanted",
    [
        (["table1", "--faces", "x", "--help"], "odekit experiment table1"),
        (["tradeoff"], "odekit experiment tradeoff"),
        (["strength", "--calibrate", "a.json"], "odekit calibrate meter"),
        (["colour", "--limit", "4", "--calibrate", "a.npz"], "odekit calibrate colour"),
        (["enhancers", "--calibrate", "a.json"], "odekit calibrate spectrum"),
        (["strength", "--limit", "4"], "python -m benchmarks strength"),
        (["first-call"], "python -m benchmarks first-call"),
        ([], "python -m benchmarks NAME"),
        (["--help"], "odekit calibrate NAME"),
    ],
)
def test_the_old_command_says_what_replaced_it(cli, words, wanted):
    done = cli("bench", *words)
    assert done.code == 2 and wanted in done.err
    assert len(done.err.splitlines()) <= 2


def test_the_old_command_is_not_listed(cli):
    listed = cli("--help").out
    assert "experiment" in listed and "calibrate" in listed and "bench" not in listed


def test_the_package_does_not_import_the_benchmarks():
    for path in (ROOT / "odekit").rglob("*.py"):
        assert not re.search(r"^\s*(from|import) benchmarks", path.read_text(encoding="utf-8"), re.MULTILINE), path
