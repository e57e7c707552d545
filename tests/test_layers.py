"""A module imports only from rows above its own, or from its own package; the core imports no plugin."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "odekit"

ROWS = [
    {
        "errors",
        "version",
        "device",
        "arithmetic",
        "memory",
        "parallel",
        "startup",
        "yamldoc",
        "inputs",
        "names",
        "record",
        "events",
        "lock",
        "stop",
        "channel",
        "workers",
        "status",
    },
    {"image", "formats", "io", "rng", "ahead", "state"},
    {"schedule", "grids"},
    {"interfaces", "slots"},
    {
        "hookspecs",
        "options",
        "entries",
        "registry",
        "goldens",
        "store",
        "weights",
        "systems",
        "safeload",
        "config",
        "settings",
    },
    {"priors", "convert"},
    {"solvers"},
    {"inverters", "enhancers", "upsamplers", "faces", "degrade", "metrics"},
    {"edit"},
    {
        "context",
        "spread",
        "balance",
        "restoring",
        "stages",
        "needs",
        "plan",
        "remembered",
        "guard",
        "autoslots",
        "faces_stage",
        "session",
        "chain",
    },
    {"builtin"},
    {"report", "runner", "sameness", "summary", "work", "engine", "ledger", "room", "flow"},
    {"scaffold", "problems", "testing", "train", "bench"},
    {"cli"},
]
"""From the top of the house down. A name is a module or a package of odekit."""

LATE = {
    ("registry", "builtin"),  # the manager loads the built-in parts through the hook, by name
    ("chain", "session"),
}


def row(name):
    return next(i for i, names in enumerate(ROWS) if name in names)


def imports(path):
    """(room, imported room) of every import of odekit in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] if node.module != "odekit" else [f"odekit.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            if name.startswith("odekit."):
                yield name.split(".")[1]
            elif name.startswith("odekit_"):
                yield name


FILES = [p for p in sorted(PACKAGE.rglob("*.py")) if p.name != "__init__.py" or p.parent != PACKAGE]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_from_above_or_beside(path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for other in imports(path):
        assert not other.startswith("odekit_"), f"the core imports the plugin {other}"
        if other != room and (room, other) not in LATE:
            assert row(other) <= row(room), f"{room} is above {other}"


def test_every_room_has_a_row():
    rooms = {p.relative_to(PACKAGE).parts[0].removesuffix(".py") for p in FILES}
    assert rooms <= {name for names in ROWS for name in names}


def test_files_stay_short():
    lengths = sorted(len(p.read_text(encoding="utf-8").splitlines()) for p in FILES)
    assert lengths[len(lengths) // 2] <= 130
    assert sum(length > 250 for length in lengths) <= 0.05 * len(lengths), "hardly any file is longer than 250 lines"
