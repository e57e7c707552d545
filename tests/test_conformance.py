"""`odekit check --conformance`: figures of registered parts, and the first rule that a part breaks."""

import json
from types import SimpleNamespace

import pytest

from odekit.errors import ConfigError
from odekit.parts import builtin
from odekit.parts.installed import catalog
from odekit.parts.solvers.ddim import Ddim
from odekit.plugins import Options, UpsamplerSpec, hookimpl
from odekit.plugins.discovery import build
from odekit.testing.registered import CHECKS, check_part, find_part

ABSENT = {
    "upsampler": {"codeformer", "diffbir", "e4e", "gfpgan", "realesrgan", "spandrel"},
    "prior": {"diffusers"},
    "detector": {"retinaface"},
    "mask": {"parsenet"},
    "metric": {"fid", "identity", "kid", "lpips"},
}
"""Parts whose weights are not here."""
SETTINGS = {
    "inverter:blind": ["tolerance=0"],
    "stage:upsample": ["upsampler=resize"],
    "stage:faces": ["each=[{upsample: resize}]"],
}
"""Options of the check: `blind` leaves pictures in which it finds no damage as they are, whatever moves its latent."""
PARTS = [f"{e.kind}:{e.name}" for e in catalog().all() if e.kind in CHECKS and e.name not in ABSENT.get(e.kind, ())]


@pytest.mark.parametrize("name", PARTS)
def test_every_registered_part_keeps_the_rules(name):
    figures = check_part(find_part(name, SETTINGS.get(name, ())))
    if name.startswith("solver:") and name != "solver:rk45":
        order = catalog().get("solver", name.removeprefix("solver:")).load()().order
        assert figures["order going up"] == pytest.approx(order, abs=0.15)
        assert figures["order going down"] == pytest.approx(order, abs=0.15)
    if name.startswith("solver:"):
        assert figures["round trip, dB"] > 20 and figures["response to an edit, dB"] > 35


def test_the_command_prints_the_figures(cli):
    told = cli("check", "--conformance", "solver:belm")
    assert told.code == 0
    lines = [" ".join(line.split()) for line in told.out.splitlines()]
    assert lines[0] == "solver 'belm' of odekit: every check passed"
    assert "network calls per step │ 1" in lines
    data = json.loads(cli("check", "--conformance", "solver:odekit:belm", "--json").out)
    assert data["ok"] and data["failure"] is None and data["figures"]["round trip, dB"] > 190


def test_options_are_set_as_for_chains(cli):
    data = json.loads(cli("check", "--conformance", "upsampler:resize", "--set", "scale=3", "--json").out)
    assert data["part"]["scale"] == 3 and data["figures"]["output side of 16 px"] == 48
    part = find_part("inverter:ode", ["solver=heun", "solver.use=ddim", "steps=12"])
    assert (part.options.solver.name, part.options.steps) == ("ddim", 12)


class Swapped(Ddim):
    """Claims second order."""

    order = 2

    def __init__(self, options):
        super().__init__()


class Worse(Swapped):
    """Raises."""

    def step(self, field, carry, rho):
        raise ZeroDivisionError("no\nstep")


class Narrow:
    """Always square."""

    def __init__(self, options, tools):
        self.spec = UpsamplerSpec(scale=1)

    def upsample(self, images, rng):
        return [image.with_pixels(image.pixels[:, :, : image.height]) for image in images]


@pytest.fixture
def broken(monkeypatch):
    def register(catalog):
        catalog.solver("swapped", Swapped)
        catalog.solver("worse", Worse)
        catalog.upsampler("narrow", Narrow)
        catalog.upsampler("needy", Needy, Weighty)

    made = build([("odekit", builtin), ("alpha", SimpleNamespace(odekit_parts=hookimpl(register)))])
    monkeypatch.setattr("odekit.parts.installed.installed_parts", lambda: made)


class Weighty(Options):
    weights: str = "absent"


class Needy(Narrow):
    def __init__(self, options, tools):
        tools.weights(options.weights)


@pytest.mark.parametrize(
    ("part", "line"),
    [
        ("solver:swapped", "solver 'swapped' of alpha: order 1.00 measured in inversion, 2 declared"),
        ("solver:worse", "solver 'worse' of alpha: raised ZeroDivisionError: no step"),
        ("upsampler:narrow", "upsampler 'narrow' of alpha: (16, 16) from 16 x 32 px, (16, 32) expected"),
    ],
)
def test_the_first_rule_that_a_part_breaks_is_one_line_and_code_3(cli, broken, part, line):
    failed = cli("check", "--conformance", part)
    assert (failed.code, failed.out, failed.err) == (3, "", f"odekit: {line}\n")
    data = json.loads(cli("check", "--conformance", part, "--json").out)
    assert not data["ok"] and line.endswith(data["failure"])


def test_absent_weights_are_no_broken_rule(cli, broken):
    failed = cli("check", "--conformance", "upsampler:needy")
    assert failed.code == 2 and "unknown weights 'absent'" in failed.err


@pytest.mark.parametrize(
    ("args", "line"),
    [
        ([], "name either a chain to check, or a part with --conformance KIND:NAME"),
        (["odedit", "--conformance", "solver:ddim"], "name either a chain"),
        (["--conformance", "ddim"], "write KIND:NAME with one of the kinds solver, inverter, enhancer, upsampler"),
        (["--conformance", "slover:ddim"], "did you mean 'solver'?"),
        (["--conformance", "solver:dim"], "unknown solver 'dim'; did you mean 'ddim'?"),
        (
            ["--conformance", "upsampler:resize", "--set", "scal=2"],
            "--set scal=2: unknown option of upsampler 'resize'",
        ),
        (["--conformance", "upsampler:resize", "--set", "scale"], "write it as option=value"),
    ],
)
def test_wrong_calls_are_one_line(cli, args, line):
    failed = cli("check", *args)
    assert failed.code == 2 and line in failed.err and failed.err.count("\n") == 1


def test_a_kind_without_checks_is_refused():
    with pytest.raises(ConfigError, match="--conformance chain:odedit: write KIND:NAME"):
        find_part("chain:odedit")
