"""`odekit plugins`: the installed parts, with the distributions that provide them."""

from __future__ import annotations

from typing import Annotated

import typer


def plugins(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    kind: Annotated[str | None, typer.Option(help="Only parts of this kind, such as solver.")] = None,
) -> None:
    """List all parts with distribution, licence and weights, the available chains, and plugins that failed to load.

    The licence is that of the system that a part implements, for its default options (docs/licences.md).

    Example: odekit plugins --kind solver
    """
    from odekit.chains.requirements import usage_with_defaults
    from odekit.cli.show import print_json, print_line, print_table
    from odekit.core.spelling import nearest
    from odekit.errors import ConfigError
    from odekit.parts.installed import catalog
    from odekit.plugins.catalog import KINDS
    from odekit.plugins.discovery import discover_commands

    if kind is not None and kind not in KINDS:
        raise ConfigError(f"unknown kind '{kind}'{nearest(kind, KINDS)}")
    parts = catalog()
    entries = [entry for entry in parts.all() if kind in (None, entry.kind)]
    terms = [usage_with_defaults(entry, parts) for entry in entries]
    commands = {point.name: dist for dist, point in discover_commands()}
    clashes = {key for key, candidates in parts.entries.items() if len(candidates) > 1}
    if as_json:
        rows = [
            {
                "kind": e.kind,
                "name": e.name,
                "distribution": e.dist,
                "summary": e.summary,
                "licence": e.licence,
                "commercial_use": t.commercial_use,
                "weights": t.weights.split(", ") if t.weights else [],
                "clash": (e.kind, e.name) in clashes,
                "options": {k: str(f.annotation) for k, f in e.options.model_fields.items()},
            }
            for e, t in zip(entries, terms, strict=True)
        ]
        chains = {name: str(path) for name, path in sorted(parts.chains.items())}
        print_json({"parts": rows, "chains": chains, "commands": commands, "failed": parts.broken})
        return
    table = [
        (
            e.kind,
            f"{e.dist}:{e.name}" if (e.kind, e.name) in clashes else e.name,
            e.dist,
            e.licence,
            "yes" if t.commercial_use else "no",
            t.weights or "",
            e.summary,
        )
        for e, t in zip(entries, terms, strict=True)
    ]
    print_table("", ("kind", "name", "from", "licence", "commercial use", "weights", "description"), table)
    print_line()
    print_line(f"chains: {', '.join(sorted(parts.chains))}")
    if commands:
        print_line(f"commands of plugins: {', '.join(f'odekit {name} ({dist})' for name, dist in commands.items())}")
    for dist, reason in parts.broken.items():
        print_line(f"plugin {dist} failed: {reason}")
