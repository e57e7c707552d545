"""The projects under plugins/: which are distributions, and which of them have an environment of their own."""

import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent


def about(folder):
    """The content of a project's pyproject.toml."""
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


FOLDERS = sorted(path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml"))
DISTRIBUTIONS = [folder for folder in FOLDERS if "build-system" in about(folder)]
"""What is built and published; a node pack is a folder that its program reads."""
APART = [f for f in DISTRIBUTIONS if (ROOT / f"requirements-{f.name.removeprefix('odekit-')}.txt").is_file()]
"""Their needs clash with the common environment: `make test-NAME` has one of their own."""
TOGETHER = [folder for folder in DISTRIBUTIONS if folder not in APART]
