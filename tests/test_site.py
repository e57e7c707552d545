"""The documentation site and its examples: `make site`."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from ruamel.yaml import YAML

from odekit.parts.installed import catalog

sys.path.insert(0, str(ROOT / "docs" / "site"))
import make_site
import notebook

CONFIG = YAML(typ="safe").load((ROOT / "mkdocs.yml").read_text())


def pages(nav):
    for item in nav:
        for value in [item] if isinstance(item, str) else item.values():
            yield from [value] if isinstance(value, str) else pages(value)


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site") / "stage"
    make_site.gather(folder, examples=False)
    return folder


def test_every_page_has_its_place_and_every_place_its_page(stage):
    listed = list(pages(CONFIG["nav"]))
    assert len(listed) == len(set(listed)) and set(listed) == {path.name for path in stage.glob("*.md")}
    assert [next(iter(section)) for section in CONFIG["nav"]] == [
        "Start",
        "Guides",
        "Method",
        "Reference",
        "Results",
        "Decisions",
    ]


def test_links_between_pages_of_the_site_lead_somewhere(stage):
    for page in stage.glob("*.md"):
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text()):
            assert (stage / target).exists() or page.name.startswith("example-"), f"{page.name}: {target}"
        for target in re.findall(rf"\]\({make_site.REPOSITORY}/(?:blob|tree)/main/([^)#\s]+)", page.read_text()):
            assert (ROOT / target).exists(), f"{page.name}: {target}"


def test_the_reference_has_every_command_and_every_public_name(stage):
    import odekit
    from odekit import testing
    from odekit.plugins import stub_names

    commands = (stage / "cli.md").read_text()
    for words in ("run", "doctor", "weights pull", "train prior", "experiment sweep", "calibrate meter"):
        assert f"## odekit {words}\n" in commands and f"Usage: odekit {words}" in commands.replace("\x1b", "")
    named = "".join(path.read_text() for path in stage.glob("api*.md"))
    for name in set(dir(odekit)) - {"Options", "hookimpl"}:
        assert f"::: odekit.{name}\n" in named or f"## odekit.{name}\n" in named
    for module, name in stub_names().values():
        assert f"::: {module}.{name}\n" in named
    for name in set(testing.__all__) - {"Figures"}:
        assert re.search(rf"^::: odekit\.[\w.]+\.{name}$", named, re.MULTILINE), name


def test_every_attribute_of_an_interface_is_explained_where_it_is_declared():
    """The reference leaves out what has no docstring."""
    for name in ("interfaces", "abilities"):
        for kind in ast.parse((ROOT / "odekit" / "core" / f"{name}.py").read_text()).body:
            if isinstance(kind, ast.ClassDef):
                for field, following in zip(kind.body, [*kind.body[1:], None], strict=True):
                    if isinstance(field, ast.AnnAssign):
                        explained = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
                        assert explained, f"{kind.name}.{ast.unparse(field.target)}"


def run_example(name):
    before = {key: list(entries) for key, entries in catalog().entries.items()}
    try:
        return notebook.run(ROOT / "examples" / f"{name}.py")
    finally:
        catalog().entries = before


def test_the_example_of_an_own_solver_runs():
    cells = run_example("own_solver")
    shown = [cell.shown for cell in cells if cell.shown]
    assert "order going up" in shown[0] and "16 calls" in shown[1] and shown[2] == "16 network calls"
    assert sum(cell.picture is not None for cell in cells) == 2
    errors = dict(re.findall(r"'(\w+)': '\d+ calls, mean error ([\d.]+)", shown[1]))
    assert float(errors["midpoint"]) < float(errors["ddim"]), "second order is closer at equal calls"


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "pictures", "last"), [("restore", 3, "stopped after three network calls"), ("compare", 1, "PSNR")]
)
def test_the_other_examples_run(name, pictures, last):
    cells = run_example(name)
    assert sum(cell.picture is not None for cell in cells) == pictures
    assert last in [cell.shown for cell in cells if cell.shown][-1]


def test_examples_are_rendered_with_their_pictures(tmp_path):
    script = tmp_path / "small.py"
    script.write_text(
        "# %% [markdown]\n# # Title\n# text\n\n# %%\nimport odekit, numpy as np\n\n# %%\nodekit.as_image(np.zeros((4, 4, 3), np.uint8))\n\n# %%\n1 + 1\n"
    )
    text = notebook.page(script, tmp_path)
    assert text.startswith("# Title\ntext\n") and "```text\n2\n```" in text and (tmp_path / "small-2.png").is_file()
    assert "![Output of the cell above](small-2.png)" in text


# The built site


@pytest.fixture(scope="module")
def site():
    """The site that `make site` built."""
    place = Path(os.environ.get("SITE_VENV", ROOT / ".venv-site")) / "bin" / "mkdocs"
    program = place if place.is_file() else shutil.which("mkdocs")
    if program is None:
        pytest.skip("make site has not made its environment")
    done = subprocess.run([sys.executable, ROOT / "docs" / "site" / "make_site.py", "--with", program, "--no-examples"], capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return ROOT / "site"


@pytest.mark.long
def test_the_site_builds_strictly_and_asks_nothing_of_other_servers(site):
    assert len(list(site.glob("*.html"))) > 30
    assert make_site.outside_requests(site) == []


@pytest.mark.long
@pytest.mark.browser
@pytest.mark.parametrize("page", ["index.html", "api.html", "cli.html", "plugins.html"])
def test_a_browser_asks_nothing_of_other_servers(site, page):
    from browsing import chromium, requests

    with chromium(1200, 900) as driver:
        driver.get((site / page).as_uri())
        assert driver.find_element("tag name", "h1").text
        asked = requests(driver)
    assert asked and all(url.startswith(("file:", "data:", "blob:", "chrome")) for url in asked), asked
