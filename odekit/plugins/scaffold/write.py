"""Create a plugin project from the templates in this folder."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from string import Template

from odekit.errors import ConfigError

TEMPLATES = Path(__file__).parent / "templates" / "plugin"


def write_plugin(name: str, folder: Path) -> Path:
    """Create the project `folder/name` and return its path.

    Raises:
        ConfigError: the name is not a valid project name, or the folder exists and is not empty.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", name):
        raise ConfigError(
            f"'{name}' is not a valid project name: use lower-case letters, digits and single hyphens, "
            "such as odekit-mine"
        )
    module = name.replace("-", "_")
    if find_spec(module) is not None:
        raise ConfigError(f"a package '{module}' is installed already; choose another name")
    root = folder / name
    if root.exists() and any(root.iterdir()):
        raise ConfigError(f"{root} exists and is not empty; choose another name or --folder")
    short = name.removeprefix("odekit-")
    names = {"name": name, "module": module, "short": short}
    for template, target in _targets(module).items():
        path = root / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            Template((TEMPLATES / template).read_text(encoding="utf-8")).substitute(names), encoding="utf-8"
        )
    (root / module / "py.typed").touch()
    return root


def _targets(module: str) -> dict[str, str]:
    return {
        "pyproject.toml.tmpl": "pyproject.toml",
        "README.md.tmpl": "README.md",
        "init.py.tmpl": f"{module}/__init__.py",
        "options.py.tmpl": f"{module}/options.py",
        "solver.py.tmpl": f"{module}/solver.py",
        "upsampler.py.tmpl": f"{module}/upsampler.py",
        "test.py.tmpl": f"tests/test_{module}.py",
    }
