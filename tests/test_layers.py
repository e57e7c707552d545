"""Layers and circles of `odekit/`, read from the source: imports inside functions and for types count."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from imports import MODULES, PACKAGE, circles, graph, imported

LAYERS = [
    {"errors"},
    {"core"},
    {"images", "plugins", "edit"},
    {"parts"},
    {"chains"},
    {"testing", "runs"},
    {"evaluation"},
    {"training"},
    {"cli"},
]
"""From the bottom up. A module imports from its own package and from layers below."""
KINDS_BEHIND = {"builtin", "installed", "stages"}
"""Of `odekit.parts`: what may import the kinds of parts; the kinds do not import each other."""
REEXPORTS = "odekit.plugins"
"""Names of lower and higher layers for plugin authors, resolved when first used; nothing inside odekit imports them."""


def layer(package):
    return next(i for i, packages in enumerate(LAYERS) if package in packages)


def package_of(module):
    return module.split(".")[1]


@pytest.mark.parametrize("module", [name for name in MODULES if name not in ("odekit", "odekit.__main__")])
def test_a_module_imports_only_from_its_own_package_and_from_layers_below(module):
    for other in imported(MODULES[module]):
        top = other.split(".")[0]
        assert not top.startswith("odekit_") and top not in ("benchmarks", "tests"), f"{module} imports {other}"
        if top == "odekit" and other != "odekit" and package_of(other) != package_of(module):
            assert layer(package_of(other)) < layer(package_of(module)), f"{module} imports {other}"
        assert other not in ("odekit", REEXPORTS), f"{module} imports a name of {other}; import it from its own module"


def test_kinds_of_parts_do_not_import_each_other():
    for module, others in graph().items():
        words = module.split(".")
        if words[:2] != ["odekit", "parts"] or len(words) < 3 or words[2] in KINDS_BEHIND:
            continue
        kinds = {other.split(".")[2] for other in others if other.startswith("odekit.parts.")}
        assert kinds <= {words[2]}, f"{module} imports {kinds - {words[2]}}"


def test_no_file_and_no_package_is_in_a_circle():
    edges = graph()
    assert circles(edges) == []
    packages = {}
    for module, others in edges.items():
        if module != "odekit":
            packages.setdefault(package_of(module), set()).update(package_of(o) for o in others if o != "odekit")
    assert circles({name: others - {name} for name, others in packages.items()}) == []


def test_every_package_has_a_layer_and_the_root_holds_nothing_else():
    names = {package_of(module) for module in MODULES if module != "odekit"}
    assert names <= {name for packages in LAYERS for name in packages} | {"__main__"}
    beside = {"__init__.py", "__init__.pyi", "__main__.py", "py.typed", "assets", "configs", "__pycache__"}
    entries = {path.name for path in PACKAGE.iterdir()} - beside
    assert len(entries) <= 12 and {name.removesuffix(".py") for name in entries} == names - {"__main__"}


def test_import_linter_agrees_with_no_exception():
    contracts = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("[tool.importlinter]")[2]
    assert 'type = "layers"' in contracts and "ignore_imports" not in contracts
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_files_stay_short():
    lengths = sorted(len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES.values())
    assert lengths[len(lengths) // 2] <= 120
    assert sum(length > 300 for length in lengths) <= 0.02 * len(lengths), "hardly any file is longer than 300 lines"


def test_no_ability_of_options_or_parts_is_guessed():
    """`getattr(x, "name", default)` and `hasattr` ask classes of ours nothing: see `odekit.core.abilities`."""
    allowed = {"torch", "picture", "error", "os", "ops", "hashlib", "network", "module", "plugin", "node", "pixels"}
    # torch, the standard library, pictures of Pillow, nodes of YAML and modules of networks
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id == "hasattr" or (node.func.id == "getattr" and len(node.args) == 3):
                subject = ast.unparse(node.args[0]).split(".")[0].split("(")[0]
                assert subject in allowed, f"{module}:{node.lineno}: {ast.unparse(node)}"
