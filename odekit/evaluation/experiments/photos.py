"""`odekit experiment photos`: chains on faces with the damage of photographs, judged by what people see.

Every face is damaged at each level, and every chain restores all of them. PSNR says little about faces of this size;
LPIPS says how alike two pictures look, the face distance whether they show the same person, NIQE how natural a picture
looks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from odekit.chains.document import parse_yaml
from odekit.core.files import write_atomic
from odekit.core.options import Part
from odekit.errors import ConfigError, PluginError, WeightsError
from odekit.evaluation import panel, tables
from odekit.evaluation.evaluate import open_panel
from odekit.evaluation.experiments import markdown, sheets
from odekit.evaluation.experiments.methods import MethodSpec, RunSettings, compare_methods, run_methods, with_results
from odekit.evaluation.experiments.setting import Setting
from odekit.evaluation.results import Results

KIND = "photo"
"""The corruption."""
METRICS = ("psnr", "lpips", "face-distance", "niqe")
"""The metrics; those whose weights or package are missing are left out unless they are asked for."""


def photos(
    setting: Setting, methods: Sequence[MethodSpec], metrics: Mapping[str, Part], settings: RunSettings, out: Path,
    resume: bool,
) -> Results:  # fmt: skip
    """Damage, restore, measure, and write results.json, rows.csv, photos.csv, photos.md and pictures-LEVEL.png to OUT.

    Raises:
        ConfigError: unknown damage or metric, or a folder of another experiment.
        WeightsError: weights of a metric or chain are absent; raised before anything is run.
        Interrupted: stopped; `resume` continues the run.
    """
    opened, data = run_methods(setting, methods, metrics, settings, out, resume)
    results = compare_methods(
        data, methods, settings, panel=opened, name="photos", title="Faces with the damage of photographs"
    )
    cases = with_results(data, [one.name for one in methods])
    figures = {}
    for level in setting.levels:
        name = f"pictures-{level}.png"
        sheets.contact_sheet(out / name, [case for case in cases if case.kind == level], results.methods)
        figures[level] = name
    results = replace(results, figures=figures)
    write_atomic(tables.summary_csv(results).encode(), out / f"{results.name}.csv")
    write_atomic(markdown.page(results).encode(), out / f"{results.name}.md")
    results.write(out)
    return results


def read_levels(path: Path | None = None) -> dict[str, str]:
    """The levels of a YAML file, or of the shipped one: name -> options of the corruption `photo` as YAML.

    Raises:
        ConfigError: no such file, or no mapping of names to options.
    """
    from odekit.parts.builtin import chain_folder

    path = path or chain_folder() / "damage" / "photos.yaml"
    try:
        document = parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); name a YAML file of levels of damage") from error
    data = document.data
    if not isinstance(data, dict) or not data or not all(isinstance(ranges, dict) for ranges in data.values()):
        raise ConfigError(f"{path}: write levels, such as 'mild: {{blur: [0.6, 1.6], quality: [70, 95]}}'")
    for level in data:
        if not str(level).replace("-", "").replace("_", "").isalnum():
            raise ConfigError(f"{document.where((level,))}: the name of a level has letters, digits, - and _ only")
    return {str(level): json.dumps(ranges) for level, ranges in data.items()}


def available_metrics(device: str, report: Callable[[str], None]) -> dict[str, Part]:
    """Those of `METRICS` that can be measured here; `report` gets a line for each of the others."""
    chosen: dict[str, Part] = {}
    for name in METRICS:
        try:
            part = panel.choose(name)
            open_panel(part, device)
        except (ConfigError, PluginError, WeightsError) as error:
            report(f"without {name}: {error}")
        else:
            chosen |= part
    return chosen
