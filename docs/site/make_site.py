"""Builds the documentation site (`make site`): docs/, the README, examples that are run, `--help`, docstrings.

The pages are gathered in build/site, where links that leave docs/ lead to the repository, and built by mkdocs.
"""

from __future__ import annotations

import argparse
import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))
import notebook

if TYPE_CHECKING:
    import odekit

ROOT = Path(__file__).parent.parent.parent
STAGE = ROOT / "build" / "site"
EXAMPLES = ("restore", "own_solver", "compare")
REPOSITORY = "https://github.com/odekit/odekit"
TEXT_COLUMNS = 76
"""Width of fixed-width text that the site shows without a scroll bar."""
LINK = re.compile(r"(\]\()(?!https?:|#)([^)#\s]+)")


def main() -> None:
    """Gather the pages and build them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--with", dest="program", type=Path, required=True, help="mkdocs")
    parser.add_argument("--no-examples", action="store_true", help="leave the examples out, which takes less time")
    options = parser.parse_args()
    gather(STAGE, examples=not options.no_examples)
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([options.program, "build", "--strict", "--clean"], cwd=ROOT, env=environment)
    if done.returncode:
        raise SystemExit(done.returncode)
    if outside := outside_requests(ROOT / "site"):
        raise SystemExit("pages that ask other servers:\n" + "\n".join(outside))
    print(f"{ROOT / 'site' / 'index.html'}")


def gather(stage: Path, examples: bool = True) -> None:
    """Write all sources of the site into a folder."""
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(parents=True)
    for path in sorted((ROOT / "docs").iterdir()):
        if path.suffix == ".md":
            (stage / path.name).write_text(with_links(path.read_text(encoding="utf-8"), path), encoding="utf-8")
        elif path.suffix in (".png", ".jpg"):
            shutil.copy(path, stage / path.name)
    readme = ROOT / "README.md"
    (stage / "index.md").write_text(with_links(readme.read_text(encoding="utf-8"), readme), encoding="utf-8")
    changes = ROOT / "CHANGELOG.md"
    (stage / "changelog.md").write_text(with_links(changes.read_text(encoding="utf-8"), changes), encoding="utf-8")
    (stage / "cli.md").write_text(command_line(), encoding="utf-8")
    for name, text in api_pages().items():
        (stage / name).write_text(text, encoding="utf-8")
    for name in EXAMPLES:
        source = ROOT / "examples" / f"{name}.py"
        text = notebook.page(source, stage) if examples else f"# {name}\n"
        (stage / f"example-{name.replace('_', '-')}.md").write_text(text, encoding="utf-8")


def outside_requests(site: Path) -> list[str]:
    """What the pages of a site would load from other servers; links that a reader follows are none of it."""
    found = []
    for page in sorted(site.rglob("*.html")):
        text = re.sub(r"<code.*?</code>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        tags = re.findall(r"<(?:script|img|iframe|source|video|audio|embed|object|link)\b[^>]*>", text)
        for tag in tags:
            if re.search(r"""(?:src|srcset|data|href)=["']?(?:https?:)?//""", tag) and 'rel="canonical"' not in tag:
                found.append(f"{page.relative_to(site)}: {tag}")
    for style in sorted(site.rglob("*.css")):
        outside = re.findall(r"""(?:@import|url\()\s*["']?(?:https?:)?//[^)"']+""", style.read_text(encoding="utf-8"))
        found += [f"{style.relative_to(site)}: {text}" for text in outside]
    return found


def with_links(text: str, page: Path) -> str:
    """A page whose links lead to pages of the site, or else to the repository."""

    def target(match: re.Match[str]) -> str:
        path = (page.parent / match[2]).resolve()
        if path.parent == ROOT / "docs" and path.suffix in (".md", ".png", ".jpg"):
            return f"{match[1]}{path.name}"
        if path == ROOT / "CHANGELOG.md":
            return f"{match[1]}changelog.md"
        kind = "tree" if path.is_dir() else "blob"
        return f"{match[1]}{REPOSITORY}/{kind}/main/{path.relative_to(ROOT)}"

    return LINK.sub(target, text)


def command_line() -> str:
    """The page of the command line, from `--help` of every command."""
    import typer.main
    from typer.testing import CliRunner

    from odekit.cli import app

    command, lines = typer.main.get_command(app), ["# Command line", "", "What `odekit COMMAND --help` prints.", ""]
    runner = CliRunner(env={"COLUMNS": str(TEXT_COLUMNS), "NO_COLOR": "1", "TERM": "dumb"})

    def add(words: list[str], group: object) -> None:
        shown = runner.invoke(app, [*words, "--help"], prog_name="odekit").output
        text = "\n".join(line.rstrip() for line in shown.strip("\n").splitlines())
        lines.extend([f"## odekit {' '.join(words)}".rstrip(), "", "```text", text, "```", ""])
        for name, inner in sorted(vars(group).get("commands", {}).items()):
            if not inner.hidden:
                add([*words, name], inner)

    add([], command)
    return "\n".join(lines)


def api_pages() -> dict[str, str]:
    """Pages for mkdocstrings, which reads the docstrings without importing odekit."""
    import odekit
    from odekit import testing
    from odekit.plugins import stub_names

    classes = {name: value for name, value in vars_of(odekit).items() if isinstance(value, type)}
    options = {name: model for name, model in classes.items() if issubclass(model, odekit.Options)}
    errors = [name for name, value in classes.items() if issubclass(value, BaseException)]
    rest = [name for name in dir(odekit) if name not in (*options, *errors, "hookimpl", "edit", "catalog")]
    home = {name: f"{module}.{known}" for name, (module, known) in stub_names().items()}
    in_module = {
        module: [path for path in home.values() if path.startswith(f"odekit.core.{module}.")]
        for module in ("interfaces", "abilities")
    }
    helpers = [path for path in home.values() if not any(path in paths for paths in in_module.values())]
    checks = [f"{getattr(testing, name).__module__}.{name}" for name in testing.__all__ if name != "Figures"]
    return {
        "api.md": _api("Python", [f"odekit.{name}" for name in [*rest, "edit", "catalog", *errors]]),
        "api-options.md": option_page({name: model for name, model in options.items() if name != "Options"}),
        "api-plugins.md": _api("Interfaces", in_module["interfaces"]),
        "api-abilities.md": _api("Optional abilities", in_module["abilities"]),
        "api-helpers.md": _api("Helpers for plugins", helpers),
        "api-testing.md": _api("Conformance kit", checks),
    }


def vars_of(module: ModuleType) -> dict[str, object]:
    """The public names of a module and what they are."""
    return {name: getattr(module, name) for name in dir(module)}


def option_page(models: dict[str, type[odekit.Options]]) -> str:
    """Every class of options with a table: option, type, default, meaning; as `help` shows it."""
    from pydantic_core import PydanticUndefined

    from odekit.core.option_docs import field_texts, type_text

    lines = [
        "# Options",
        "",
        "The classes of options of stages and parts, in `odekit`. In chain files they are mappings.",
        "",
    ]
    for name, model in models.items():
        lines += [f"## odekit.{name}", "", inspect.cleandoc(vars(model).get("__doc__") or ""), ""]
        if model.part:
            lines += [f"In chain files: `{model.part}`.", ""]
        texts = field_texts(model)
        rows = []
        for key, info in model.model_fields.items():
            default = "" if info.default is PydanticUndefined else f"`{info.default!r}`"
            cells = [f"`{key}`", type_text(info), default, " ".join(texts.get(key, "").split())]
            rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines += ["| option | type | default | meaning |", "|---|---|---|---|", *rows, ""] if rows else []
    return "\n".join(lines)


def _api(title: str, names: list[str]) -> str:
    return "\n".join([f"# {title}", "", *(f"::: {name}\n" for name in names)])


if __name__ == "__main__":
    main()
