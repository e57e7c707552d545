"""What plugin authors import: `odekit.plugins` and little else; and that every registered part can be loaded."""

import ast
import importlib
import subprocess
import sys

import imports
import pytest
from conftest import ROOT

from odekit import plugins
from odekit.parts.installed import catalog
from odekit.plugins.catalog import resolve

PUBLIC = {"odekit", "odekit.plugins", "odekit.errors", "odekit.testing", "odekit.edit"}
HOSTS = {"odekit-comfyui", "odekit-ray", "odekit-video", "odekit-web"}
"""Programs around odekit that are published with it, and of its version: they may use what no author is promised."""
PROMISED = set(
    """
    hookimpl PluginCatalog Options PriorRef SolverRef InverterRef EnhancerRef UpsamplerRef DetectorRef MaskRef ChainRef
    PriorName Image Metadata Pixels State Prior Field Carry Solver Latent Inverter Pins Enhancer Adaptive Fitted
    UpsamplerSpec Upsampler Face FaceDetector FaceMask Corruption Metric Tools SubChain StageContext Stage Watch Cost
    CostContext Noise Rng BatchNoise ImageNoise ZeroNoise SharedNoise Levels GridName make_grid NoiseSchedule
    load_tensors fit fit_system check_layout system_of other_system weights_file AlignedUpsampler Guarded resample resized
    sha256 is_square precision
""".split()  # noqa: SIM905
)


def authors_files():
    """Every source file that is written against the public interfaces."""
    for pattern in ("plugins/*/odekit_*/**/*.py", "tests/third_party/*/*/*.py", "odekit/plugins/scaffold/**/*.py.tmpl"):
        yield from sorted(path for path in ROOT.glob(pattern) if not HOSTS.intersection(path.parts))


@pytest.mark.parametrize("name", sorted(plugins.stub_names()))
def test_every_name_of_the_stub_is_what_its_module_defines(name):
    module, attribute = plugins.stub_names()[name]
    assert getattr(plugins, name) is getattr(importlib.import_module(module), attribute)


def test_the_promised_names_and_every_interface_are_there():
    from odekit.core import interfaces

    own = {n for n, value in vars(interfaces).items() if getattr(value, "__module__", "") == interfaces.__name__}
    assert PROMISED | own <= set(plugins.stub_names()) == set(plugins.__all__)
    assert set(plugins.__all__) <= set(dir(plugins))


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Solvr'"):
        plugins.Solvr  # noqa: B018


def test_the_stub_writes_absolute_imports_under_their_own_names():
    tree = ast.parse((ROOT / "odekit" / "plugins" / "__init__.pyi").read_text())
    for node in tree.body:
        assert isinstance(node, ast.ImportFrom) and node.level == 0 and node.module.startswith("odekit.")
        assert all(alias.asname == alias.name for alias in node.names)


def test_importing_it_loads_neither_torch_nor_numpy():
    code = "import odekit.plugins, sys; odekit.plugins.hookimpl; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "odekit.plugins.hooks" in loaded and not {"torch", "numpy", "pydantic"} & set(loaded)


def test_options_and_a_registration_load_no_torch():
    code = "from odekit.plugins import Image, Options, PluginCatalog, SolverRef, Tools, hookimpl; import sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "torch" not in loaded


def test_nothing_inside_odekit_imports_these_names_from_here():
    for name, path in imports.MODULES.items():
        assert "odekit.plugins" not in set(imports.imported(path)), name


@pytest.mark.parametrize("path", authors_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_plugins_and_templates_use_the_public_modules_alone(path):
    text = path.read_text().replace("$", "")
    used = {name for name in imports_of(text) if name.split(".")[0] == "odekit"}
    assert used <= PUBLIC


def imports_of(text):
    """Modules that a source text imports."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            inner = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in imports.MODULES else node.module for name in inner)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


ENTRIES = catalog().all()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.kind}-{entry.dist}-{entry.name}")
def test_every_registered_factory_can_be_loaded(entry):
    assert callable(entry.load())
    if entry.spec is not None:
        assert callable(resolve(entry.spec, f"the spec of the {entry.kind} '{entry.name}'"))


def test_the_parts_of_our_plugins_are_among_them():
    assert len({entry.dist for entry in ENTRIES}) == 9, "odekit and its eight plugins are installed"
