"""`odekit check` and `odekit explain`: what a chain says, and what it would do. Neither loads weights or torch."""

from __future__ import annotations

from typing import Annotated

import typer

ChainArgument = Annotated[str, typer.Argument(help="A YAML file, or the name of a shipped chain.")]
Settings = Annotated[list[str] | None, typer.Option("--set", help="Change an option: path=value.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def check(chain: ChainArgument, settings: Settings = None, as_json: AsJson = False) -> None:
    """Read a chain and say whether it can run; the first thing that is wrong gets one line with file:line:column.

    Example: odekit check my-chain.yaml
    """
    from odekit.chain import Chain
    from odekit.cli.show import print_json, say

    loaded = Chain.load(chain, settings or [])
    plan = loaded.plan()
    if as_json:
        print_json({"ok": True, "calls_per_image": plan.calls, "chain": loaded.tree()})
    else:
        say(f"{chain}: ok, {plan.calls if plan.calls is not None else 'an unknown number of'} network calls per image")


def explain(chain: ChainArgument, settings: Settings = None, as_json: AsJson = False) -> None:
    """Show the stages of a chain with network calls per image, licences and weights.

    Example: odekit explain odedit --set restore.enhancer.iterations=heavy
    """
    from dataclasses import asdict

    from odekit.chain import Chain
    from odekit.cli.show import print_json, print_table, say

    loaded = Chain.load(chain, settings or [])
    plan = loaded.plan()
    if as_json:
        print_json(asdict(plan) | {"calls_per_image": plan.calls, "chain": loaded.tree()})
        return
    unknown = "depends"
    rows = [(s.place, s.name, s.what, unknown if s.calls is None else str(s.calls)) for s in plan.stages]
    print_table(f"{loaded.spec.name or chain}  {loaded.spec.summary}", ("#", "stage", "what it does", "calls"), rows)
    parts = [
        (p.kind, p.name, p.dist, p.licence, "yes" if p.commercial_use else "no", p.weights or "") for p in plan.parts
    ]
    print_table("", ("part", "name", "from", "licence", "commercial use", "weights"), parts)
    say(f"\n{unknown if plan.calls is None else plan.calls} network calls per image")
