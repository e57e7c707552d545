"""Create a plugin project from the templates in this folder."""

from __future__ import annotations

import datetime
import json
import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from string import Template

from odekit.core.spelling import nearest
from odekit.core.version import __version__
from odekit.errors import ConfigError
from odekit.plugins.catalog import OWN_PARTS, Catalog

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class KindTemplate:
    """What a kind of part needs in a generated project, beside the templates in the folder of its name."""

    factory: str
    options: str
    summary: str
    use: str
    """A command that uses the part, for the README; `$part` is its name."""
    imports: tuple[str, ...] = ()
    """Names of `odekit.plugins` that its options use."""
    more: str = ""
    """Further arguments of its registration."""


KINDS = {
    "solver": KindTemplate(
        "AdamsBashforth2", "SolverOptions", "two-step Adams-Bashforth",
        "odekit run odedit face.png -o out/ --set restore.inverter.solver=$part",
    ),
    "upsampler": KindTemplate(
        "SharpenUpsampler", "SharpenOptions", "bicubic and an unsharp mask",
        "odekit run odedit-plus face.png -o out/ --set upsample=$part",
    ),
    "inverter": KindTemplate(
        "NoisingInverter", "NoisingOptions", "noise, then DDIM",
        "odekit run odedit face.png -o out/ --set restore.inverter=$part --set restore.enhancer=none",
        ("Levels", "NoiseSchedule", "make_grid"),
    ),
    "enhancer": KindTemplate(
        "AscentEnhancer", "AscentOptions", "gradient ascent of the density",
        "odekit run odedit face.png -o out/ --set restore.enhancer=$part", ("Levels",),
    ),
    "stage": KindTemplate(
        "FlipStage", "FlipOptions", "a sub-chain on mirrored images, too",
        "echo '{odekit: 1, chain: [$part]}' > chain.yaml\nodekit explain chain.yaml", ("ChainRef",),
    ),
    "metric": KindTemplate(
        "MeanError", "ErrorOptions", "mean absolute error", "odekit eval out/ --reference originals/ --metrics $part"
    ),
    "prior": KindTemplate(
        "SmoothPrior", "SmoothOptions", "independent Gaussian pixels",
        "odekit run odedit face.png -o out/ --set priors.face=$part", ("NoiseSchedule",),
        ', spec="$module.options:prior_spec"',
    ),
}  # fmt: skip
"""The kinds of parts that a project can start with."""


def write_plugin(
    name: str, folder: Path, parts: Catalog, kinds: Sequence[str] = ("solver", "upsampler"), author: str = "Your Name"
) -> Path:
    """Create the project `folder/name` and return its path.

    Args:
        name: of the project, such as odekit-mine. A single part is named `mine`, several `mine-solver` and so on.
        folder: where the project's folder is created.
        parts: the catalogue of names that exist.
        kinds: of the parts, from `KINDS`.
        author: for the licence and the metadata.

    Raises:
        ConfigError: the name is not a valid project name, or it, its package or one of its parts exists; the folder
            exists and is not empty; an unknown kind.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", name) or keyword.iskeyword(name):
        raise ConfigError(
            f"'{name}' is not a valid project name: use lower-case letters, digits and single hyphens, "
            "such as odekit-mine"
        )
    for kind in kinds:
        if kind not in KINDS:
            raise ConfigError(f"--kind {kind}: there is no template of it{nearest(kind, KINDS)}")
    short = name.removeprefix("odekit-")
    named = {kind: short if len(kinds) == 1 else f"{short}-{kind}" for kind in dict.fromkeys(kinds)}
    _refuse_existing(name, named, parts)
    root = folder / name
    if root.exists() and any(root.iterdir()):
        raise ConfigError(f"{root} exists and is not empty; choose another name or --folder")
    for path, text in project_files(name, named, " ".join(author.split())).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return root


def _refuse_existing(name: str, named: dict[str, str], parts: Catalog) -> None:
    """Raise ConfigError if a package, a distribution or a part of a name exists."""
    module = name.replace("-", "_")
    if find_spec(module) is not None:
        raise ConfigError(f"a package '{module}' is installed already; choose another name")
    try:
        distribution(name)
    except PackageNotFoundError:
        pass
    else:
        raise ConfigError(f"a distribution '{name}' is installed already; choose another name")
    if name in {"odekit", *OWN_PARTS.values()}:
        raise ConfigError(f"'{name}' is one of odekit's own projects; choose another name")
    for kind, part in named.items():
        owners = [entry.dist for entry in parts.entries.get((kind, part), ())]
        owners += [OWN_PARTS[kind, part]] if (kind, part) in OWN_PARTS else []
        if owners:
            raise ConfigError(f"the {kind} '{part}' exists, in {owners[0]}; choose another name")


def project_files(name: str, named: dict[str, str], author: str) -> dict[str, str]:
    """The texts of a project, by path.

    Args:
        name: of the project.
        named: kind -> name of its part.
        author: for the licence and the metadata.
    """
    module = name.replace("-", "_")
    values = {
        "name": name, "module": module, "count": str(len(named)), "version": __version__,
        "author": author, "quoted_author": json.dumps(author, ensure_ascii=False),
        "year": str(datetime.date.today().year), "repository": f"https://github.com/your-name/{name}",
        "summary": _summary(list(named)),
        "parts": "\n\n".join(_readme_of(kind, part) for kind, part in named.items()),
    }  # fmt: skip
    imports = sorted(
        {name for kind in named for name in KINDS[kind].imports} | {"Options"}, key=lambda n: (n[0].islower(), n)
    )
    options = _common("options.py", values).replace("import Options", f"import {', '.join(imports)}")
    if not any("Field(" in _of_kind(kind, "options.py", values) for kind in named):
        options = options.replace("from pydantic import Field\n", "")
    if "prior" in named:
        options = options.replace("annotations\n\n", "annotations\n\nfrom typing import NamedTuple\n\n", 1)
    registration, texts = _common("init.py", values), {}
    tests = _common("test.py", values)
    for kind, part in named.items():
        template, here = KINDS[kind], values | {"part": part}
        more = Template(template.more).substitute(here)
        registration += (
            f'    catalog.{kind}(\n        "{part}",\n        "{module}.{kind}:{template.factory}",\n'
            f'        options.{template.options},\n        "{template.summary}",\n{_argument(more)}    )\n'
        )
        options += "\n\n" + _of_kind(kind, "options.py", here)
        texts[f"{module}/{kind}.py"] = _of_kind(kind, "part.py", here)
        tests += "\n\n" + _of_kind(kind, "test.py", here)
    return texts | {
        "pyproject.toml": _common("pyproject.toml", values), "README.md": _common("README.md", values),
        "LICENSE": _common("LICENSE", values), ".gitignore": _common("gitignore", values),
        ".github/workflows/test.yml": _common("test.yml", values), f"{module}/__init__.py": registration,
        f"{module}/options.py": options.rstrip() + "\n", f"tests/test_{module}.py": _used_imports(tests),
        f"{module}/py.typed": "",
    }  # fmt: skip


def _summary(kinds: list[str]) -> str:
    """`A solver and an upsampler`."""
    words = [f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}" for kind in kinds]
    text = f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]
    return text[0].upper() + text[1:]


def _argument(more: str) -> str:
    """The line of a further argument in a registration."""
    return f"        {more.removeprefix(', ')},\n" if more else ""


def _used_imports(text: str) -> str:
    """A test file without the names that no test uses."""
    body = text.partition("PARTS = ")[2]
    if "StandaloneTools" not in body:
        text = text.replace("import StandaloneTools, ", "import ")
    if "options." not in body:
        text = re.sub(r"from \w+ import options\n", "", text, count=1)
    return text if "odekit." in body.replace("odekit.testing", "") else text.replace("import odekit\n", "", 1)


def _readme_of(kind: str, part: str) -> str:
    """The part's paragraph in the README."""
    use = Template(KINDS[kind].use).substitute(part=part)
    check = f"odekit check --conformance {kind}:{part}"
    return f"The {kind} `{part}`, {KINDS[kind].summary}:\n\n```sh\n{use}\n{check}\n```"


def _common(file: str, values: dict[str, str]) -> str:
    return Template((TEMPLATES / "common" / f"{file}.tmpl").read_text(encoding="utf-8")).substitute(values)


def _of_kind(kind: str, file: str, values: dict[str, str]) -> str:
    text = (TEMPLATES / kind / f"{file}.tmpl").read_text(encoding="utf-8")
    return Template(text).substitute({"part": ""} | values)
