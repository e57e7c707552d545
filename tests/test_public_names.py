"""`odekit` as an interpreter, a notebook and mypy see it."""

import inspect
import pydoc
import subprocess
import sys

import pytest
from conftest import ROOT

import odekit
from odekit.core.options import Options
from odekit.parts.installed import catalog
from odekit.plugins.catalog import BUILT_IN

IN_CHAINS = ("prior", "inverter", "solver", "enhancer", "upsampler", "detector", "mask", "stage")
OWN = [entry for entry in catalog().all() if entry.dist == BUILT_IN and entry.kind in IN_CHAINS]


@pytest.mark.parametrize("entry", OWN, ids=lambda entry: f"{entry.kind}-{entry.name}")
def test_the_options_of_every_built_in_part_of_a_chain_are_public(entry):
    assert (
        vars(odekit).get(entry.options.__name__) is entry.options
        or getattr(odekit, entry.options.__name__) is entry.options
    )


def test_dir_lists_public_names_alone():
    assert set(dir(odekit)) == set(odekit.__all__) - {"__version__"}
    for name in dir(odekit):
        value = getattr(odekit, name)
        assert not inspect.ismodule(value) and inspect.getdoc(value), name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Restor", "odekit has no attribute 'Restor'; did you mean 'Restore'?"),
        ("training", "odekit has no attribute 'training'; import odekit.training"),
    ],
)
def test_a_name_that_does_not_exist_is_answered_with_the_nearest_or_its_import(name, said, monkeypatch):
    monkeypatch.delattr(odekit, name, raising=False)
    with pytest.raises(AttributeError) as caught:
        getattr(odekit, name)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    "model", [odekit.Ode, odekit.Restore, odekit.Faces, odekit.Langevin, odekit.Mend], ids=lambda m: m.__name__
)
def test_help_shows_the_options_and_no_machinery(model):
    text = pydoc.render_doc(model, renderer=pydoc.plaintext)
    for name in model.model_fields:
        assert f"{name}: " in text
    for machinery in ("model_dump", "__pydantic", "Annotated", "FieldInfo", "ModelMetaclass", "model_config"):
        assert machinery not in text.replace("pydantic.main.BaseModel", "")
    assert len(text.splitlines()) < 40 + 8 * len(model.model_fields)


def test_help_tells_type_default_and_meaning():
    text = inspect.getdoc(odekit.Ode)
    assert "steps: whole number, at least 2, default 100\n        Levels of the grid" in text
    assert "solver: solver: name, options or object, default 'ddim'" in text
    assert str(inspect.signature(odekit.Ode)).startswith("(*, solver='ddim', steps=100, grid='auto'")


def test_dir_of_options_has_the_options():
    assert {"solver", "steps", "levels"} <= set(dir(odekit.Ode())) and not [
        n for n in dir(odekit.Ode) if "pydantic" in n or n.startswith("model_")
    ]


def test_options_still_are_what_the_kit_needs():
    assert odekit.Ode(steps=5).model_copy(update={"steps": 6}).steps == 6
    assert issubclass(odekit.Ode, Options) and odekit.Ode(steps=5) == odekit.Ode(steps=5)


ODD = (object(), -(10**9), 1e99, float("nan"), "§", [], [object()], {}, {"x": 1}, b"a", True, None)


@pytest.mark.parametrize("entry", OWN, ids=lambda entry: f"{entry.kind}-{entry.name}")
def test_no_odd_value_of_an_option_is_answered_in_the_words_of_a_library(entry):
    for key in entry.options.model_fields:
        for value in ODD:
            given = ({"each": ["restore"]} if entry.name == "faces" else {}) | {key: value}
            said = message_of(entry.options, given)
            for word in ("pydantic", "Input", "should", "validation", "Unable", "instance of", "type=", "\n"):
                assert word not in said, said


def message_of(model, options):
    try:
        model(**options)
    except odekit.OptionError as error:
        return str(error)
    return ""


PROGRAM = """
import numpy as np
import odekit

class Midpoint:
    order: int = 2
    nfe_per_step: float = 2.0
    reversible: bool = False
    def start(self, field: object, y: object, rho: float) -> object: ...
    def step(self, field: object, carry: object, rho: float) -> object: ...
    def turn(self, carry: object) -> object: ...
    def displace(self, carry: object, delta: object) -> object: ...

odekit.Ode(solver=Midpoint(), steps=3)
odekit.Ode(solver="heun")
odekit.Ode(solver={"use": "heun"})
odekit.Restore(inverter=odekit.Ode(), enhancer=odekit.Langevin(iterations=3))
odekit.Faces(each=["restore", odekit.Upsample("resize", scale=2)])
result: odekit.Result = odekit.Chain(["restore"]).run(np.zeros((8, 8, 3)), tell=lambda progress: print(progress.calls))
results: list[odekit.Result] = odekit.Chain(["restore"]).run(["a.png", "b.png"], seed=1)
image: odekit.Image = odekit.restore("a.png")
images: list[odekit.Image] = odekit.restore(["a.png"])
"""
WRONG = {
    "odekit.Ode(stepz=3)": 'Unexpected keyword argument "stepz" for "Ode"',
    "odekit.Ode(steps='3')": 'Argument "steps" to "Ode" has incompatible type "str"',
    "odekit.Ode(solver=3)": 'Argument "solver" to "Ode" has incompatible type "int"',
    "odekit.Restore(enhancer=Midpoint())": 'Argument "enhancer" to "Restore" has incompatible type "Midpoint"',
    "odekit.Ode(grid='uniform')": 'Argument "grid" to "Ode" has incompatible type',
}


@pytest.mark.long
def test_mypy_accepts_what_is_right_and_finds_what_is_wrong(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM + "\n".join(WRONG) + "\n")
    done = subprocess.run([sys.executable, "-m", "mypy", "--config-file", ROOT / "pyproject.toml", program], cwd=ROOT, capture_output=True, text=True)  # fmt: skip
    first = len(PROGRAM.splitlines()) + 1
    found = {
        int(line.split(":")[1]): line
        for line in done.stdout.splitlines()
        if "program.py:" in line and ": error:" in line
    }
    assert sorted(found) == list(range(first, first + len(WRONG))), done.stdout
    for (statement, said), number in zip(WRONG.items(), sorted(found), strict=True):
        assert said in found[number], statement
