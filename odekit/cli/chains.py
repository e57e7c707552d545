"""`odekit check` and `odekit explain`: validate a chain, and show what it would do.

Neither loads weights or torch, except for `explain --input` and `explain --images`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from odekit.cli.completion import complete_chain

if TYPE_CHECKING:
    from odekit.chains.chain import Chain
    from odekit.chains.forecast import Forecast
    from odekit.chains.plan import Plan
    from odekit.chains.requirements import UsedPart

ChainArgument = Annotated[
    str, typer.Argument(help="A YAML file, or the name of a shipped chain.", autocompletion=complete_chain)
]
Settings = Annotated[list[str] | None, typer.Option("--set", help="Change an option: path=value.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def check(
    chain: Annotated[
        str | None, typer.Argument(help="A YAML file, or the name of a shipped chain.", autocompletion=complete_chain)
    ] = None,
    settings: Settings = None,
    conformance: Annotated[
        str | None, typer.Option(metavar="KIND:NAME", help="Check a registered part instead, such as solver:ddim.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check whether a chain can run; the first error is printed as one line with file:line:column.

    With --conformance, run the checks of odekit.testing on a part of any kind: of a solver order, round trip and
    response to an edit. The first violation is printed as one line, with exit code 3.

    Examples: odekit check my-chain.yaml

    odekit check --conformance solver:my-solver
    """
    from odekit.chains.chain import Chain
    from odekit.chains.packages import require_packages
    from odekit.chains.paths import check_paths
    from odekit.cli import conformance as kit
    from odekit.cli.show import print_json, print_line
    from odekit.errors import ConfigError

    if (chain is None) == (conformance is None):
        raise ConfigError("name either a chain to check, or a part with --conformance KIND:NAME")
    if conformance is not None:
        kit.print_conformance(conformance, settings or [], as_json)
        return
    assert chain is not None
    loaded = Chain.load(chain, settings or [])
    require_packages(loaded.spec, loaded.parts)
    check_paths(loaded.spec)
    plan = loaded.plan()
    if as_json:
        span = {"calls_range": plan.call_span("face" if plan.calls_per_face != 0 else "image")}
        print_json({"ok": True, "calls_per_image": plan.calls, **span, "weights": plan.weights, "chain": loaded.tree()})
        return
    print_line(f"{chain}: ok, {format_calls(plan)}")
    for weights in plan.weights:
        if not weights["here"]:
            print_line(
                f"weights '{weights['name']}' are not on this machine; {weights.get('missing') or 'check the path'}"
            )


def explain(
    chain: ChainArgument,
    settings: Settings = None,
    picture: Annotated[Path | None, typer.Option("--input", help="Show the automatic decision for this image.")] = None,
    images: Annotated[
        int | None, typer.Option(min=1, help="Estimate time and memory for this number of images on this machine.")
    ] = None,
    batch_size: Annotated[
        str | None, typer.Option(help="With --images: images per network call; auto: the best value, measured.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the stages of a chain, its network calls per image, licences and weights.

    Examples: odekit explain odedit --set restore.enhancer.iterations=heavy

    odekit explain odedit-fast --images 1000

    odekit explain odedit-auto --input face.png
    """
    from dataclasses import asdict

    from odekit.chains.chain import Chain
    from odekit.cli.show import print_json, print_line, print_table

    loaded = Chain.load(chain, settings or [])
    plan = loaded.plan()
    if picture is not None:
        print_decision(loaded, picture, as_json)
        return
    estimate = None if images is None else forecast_job(loaded, images, batch_size)
    if as_json:
        forecast_entry = {} if estimate is None else {"forecast": estimate.tree()}
        print_json(asdict(plan) | {"calls_per_image": plan.calls, "chain": loaded.tree()} | forecast_entry)
        return
    print_table(f"{loaded.spec.name or chain}  {loaded.spec.summary}", STAGE_COLUMNS, stage_rows(plan))
    print_table("", PART_COLUMNS, [part_row(part) for part in plan.parts])
    if weight_rows := [weights_row(weights) for weights in plan.weights]:
        print_table("", WEIGHT_COLUMNS, weight_rows)
    print_line()
    print_line(f"{format_calls(plan)}")
    for line in [] if estimate is None else estimate.lines():
        print_line(line)


STAGE_COLUMNS = ("#", "stage", "description", "calls")
PART_COLUMNS = ("part", "name", "from", "licence", "commercial use", "weights")
WEIGHT_COLUMNS = ("weights", "licence", "commercial use", "present", "how to get them")


def yes_or_no(value: bool) -> str:
    """A truth value as text for a table."""
    return "yes" if value else "no"


def stage_rows(plan: Plan) -> list[tuple[str, str, str, str]]:
    """Table rows of the stages."""
    units = {"face": " per face"}
    calls = (format_count(s.calls, s.span, "depends") + units.get(s.per, "") for s in plan.stages)
    return [(s.place, s.name, s.what, count) for s, count in zip(plan.stages, calls, strict=True)]


def part_row(part: UsedPart) -> tuple[str, str, str, str, str, str]:
    """Table row of a part."""
    return part.kind, part.name, part.dist, part.licence, yes_or_no(part.commercial_use), part.weights or ""


def weights_row(file: Mapping[str, Any]) -> tuple[str, str, str, str, str]:
    """Table row of a weights file."""
    return (
        file["name"],
        file["licence"],
        yes_or_no(file["commercial_use"]),
        yes_or_no(file["here"]),
        file.get("missing", ""),
    )


def forecast_job(chain: Chain, images: int, batch_size: str | None) -> Forecast:
    """Estimate time and memory of a job. Loads the chain's networks and times them."""
    from odekit.chains.forecast import forecast
    from odekit.chains.tuning.batch_size import parse_batch_size

    return forecast(chain, images, parse_batch_size(batch_size))


def format_calls(plan: Plan) -> str:
    """The network calls of a chain, as text."""
    per, unit = ("face", "detected face") if plan.calls_per_face != 0 else ("image", "image")
    count = plan.calls_per_face if per == "face" else plan.calls
    return f"{format_count(count, plan.call_span(per), 'an unknown number of')} network calls per {unit}"


def format_count(count: int | None, span: tuple[int, int] | None, unknown: str) -> str:
    """A number of network calls, or its range, as text."""
    if count is not None:
        return str(count)
    if span is None:
        return unknown
    return str(span[0]) if span[0] == span[1] else f"{span[0]} to {span[1]}"


def print_decision(chain: Chain, picture: Path, as_json: bool) -> None:
    """Print the decision of an automatic enhancer for an image, and its reasons.

    Loads the prior and inverts the image.
    """
    from odekit.cli.show import print_json, print_line, print_table
    from odekit.images.io import read

    result = chain.open(batch_size=1).decide(read(picture))
    if as_json:
        print_json({"input": str(picture), **result})
        return
    found = result.get("blind")
    if found is not None:
        facts = ", ".join(f"{name} {value:g}" for name, value in found.items() if isinstance(value, float))
        action = "left as it is" if found.get("untouched") else "noise and outliers are removed"
        print_line(f"{picture}: {action} ({facts}), {result['calls']} network calls")
    if "strength" not in result:
        return
    levels = ", ".join(f"{level:g}" for level in result["levels"]) or "none"
    rate, temperature = result["rate"], result["temperature"]
    print_line(f"{picture}: strength '{result['strength']}', about {result['calls']} network calls")
    if result["iterations"]:
        print_line(f"levels {levels}; {result['iterations']} updates each, a = {rate:g} sigma^2, T {temperature:g}")
    else:
        print_line("no updates" + ("" if result.get("given") else ": no strength is expected to improve this face"))
    gains = sorted(result["expected_gain"].items(), key=lambda item: -item[1])
    print_table("", ("strength", "expected gain"), [(name, f"{gain:+.2f} dB") for name, gain in gains])
    reasons = list(result["reasons"].items())[:6]
    rows = [(name, f"{result['readings'][name]:+.3f}", f"{gain:+.2f} dB") for name, gain in reasons]
    print_table("", ("reading", "value", f"adds to '{gains[0][0]}'"), rows)
