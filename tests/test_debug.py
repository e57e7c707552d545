"""An unexpected error names part, plugin, stage and line; `--debug` shows the traceback."""

import json
import textwrap

import pytest
from conftest import EXACT, picture

import odekit
from odekit.parts.installed import catalog


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """A solver in a module of its own that fails at its third step."""
    (tmp_path / "broken_solver.py").write_text(
        textwrap.dedent("""\
        from odekit.plugins import Carry

        class Broken:
            order, nfe_per_step, reversible = 1, 1.0, False
            count = 0

            def start(self, field, y, rho):
                return Carry(y, rho)

            def step(self, field, carry, rho):
                self.count += 1
                if self.count == 3:
                    raise ValueError("no luck")
                return Carry(carry.y + (rho - carry.rho) * field(carry.y, carry.rho), rho)

            def turn(self, carry):
                return carry

            def displace(self, carry, delta):
                return carry
        """)
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delenv("ODEKIT_DEBUG", raising=False)
    import sys

    sys.modules.pop("broken_solver", None)
    from broken_solver import Broken

    before = {key: list(entries) for key, entries in catalog().entries.items()}
    odekit.register("solver", "broken", Broken)
    (tmp_path / "broken.yaml").write_text(EXACT.replace("steps: 10", "steps: 10, solver: broken"))
    import PIL.Image

    PIL.Image.fromarray(picture()).save(tmp_path / "face.png")
    yield tmp_path
    catalog().entries = before


PLACE = "(solver 'broken' of session, stage 'restore', "


def test_the_error_of_a_part_names_part_plugin_stage_and_line(cli, broken):
    done = cli("run", broken / "broken.yaml", broken / "face.png", "-o", broken / "out", "--json")
    assert done.code == 3 and "Traceback" not in done.err
    (failure,) = (
        json.loads(done.out)["failures"]
        if "failures" in json.loads(done.out)
        else json.loads((broken / "out" / "failures.json").read_text())
    )
    assert f"ValueError: no luck {PLACE}" in failure["error"] and "/broken_solver.py:13)" in failure["error"]


@pytest.mark.parametrize("how", ["option", "variable"])
def test_debug_shows_the_traceback(cli, broken, monkeypatch, how):
    if how == "variable":
        monkeypatch.setenv("ODEKIT_DEBUG", "1")
    else:
        monkeypatch.setenv("ODEKIT_DEBUG", "0")  # the option sets it; the test restores it
    options = ["--debug"] if how == "option" else []
    done = cli("run", broken / "broken.yaml", broken / "face.png", "-o", broken / "out", *options)
    assert done.code == 3 and "Traceback (most recent call last)" in done.err
    assert 'raise ValueError("no luck")' in done.err and f"no luck {PLACE}" in done.err


def test_errors_of_commands_show_their_traceback_too(cli, monkeypatch):
    monkeypatch.setenv("ODEKIT_DEBUG", "1")
    done = cli("explain", "odedt")
    assert done.code == 2 and "Traceback" in done.err and "did you mean 'odedit'" in done.err.splitlines()[-1]
    monkeypatch.delenv("ODEKIT_DEBUG")
    assert cli("explain", "odedt").err.count("\n") == 1


def test_a_record_of_python_has_the_place(broken):
    result = odekit.Chain.load(broken / "broken.yaml").run(picture())
    assert isinstance(result.error, ValueError)
    failure = result.record["failure"]
    assert failure["part"] == "solver 'broken'" and failure["line"] == 13 and failure["stage"] == "restore"
