"""Error messages without the advice that only a command line can take, for pages and other windows."""

from __future__ import annotations

import re

COMMANDS = (
    "bench", "calibrate", "check", "degrade", "doctor", "eval", "experiment", "explain", "faces", "help", "new-plugin",
    "plugins", "records", "run", "status", "train", "video", "weights", "web",
)  # fmt: skip
CONSOLE = re.compile(
    rf"(?<![\w-])--[a-z]|\bpip (?:install|download)\b|\bodekit (?:{'|'.join(COMMANDS)})\b|\bODEKIT_[A-Z]"
)
OPTION_PATH = re.compile(r"\b(?:set|give|with) [a-z][\w-]*(?:\.[a-z][\w-]*)+|\([a-z][\w-]*(?:\.[a-z][\w-]*)+\)")
"""Advice to set an option of a chain."""
FLAG_IN_FRONT = re.compile(r"(^|: )--(?:set(?::\d+:\d+:)? )?(?=[a-z])")
IN_BRACKETS = re.compile(r" \([^()]*\)")
RUN_CHAIN = re.compile(r"'odekit run ([\w-]+)'")
JOIN = re.compile(r"(,? or,? |, and )")
"""Between the alternatives of a piece of advice."""
LAST_WORDS = re.compile(r": (?:pip|odekit) .*")
"""A command after the colon of what is wrong."""
FEWEST_WORDS = 2
"""An alternative that stays alone has a verb and an object; `auto` of `use --precision float32 or auto` has not."""


def without_console_advice(message: str, settings: bool = False) -> str:
    """A message of an error without commands to type, for people who see a page or a window.

    Messages are clauses between semicolons: what is wrong, then what to do, in alternatives. Those that name a command
    or its flags go; the first clause stays.

    Args:
        message: of an `OdekitError`.
        settings: whether the person can set options of the chain as `path=value`; such advice then stays.
    """
    text = FLAG_IN_FRONT.sub(r"\1", message)
    text = RUN_CHAIN.sub(r"the chain '\1'", text)
    if settings:
        text = text.replace("with --set ", "with ").replace("--set ", "set ")
    text = IN_BRACKETS.sub(lambda found: "" if CONSOLE.search(found[0]) else found[0], text)
    first, *others = re.split(r" ?; (?:or )?", text)
    first = LAST_WORDS.sub("", first)
    kept = [_alternatives(first, settings) or first, *(_alternatives(clause, settings) for clause in others)]
    return "; ".join(clause for clause in kept if clause)


def _alternatives(clause: str, settings: bool) -> str:
    """A clause without the alternatives that need a command line; '' if none stays."""
    if not _needs_console(clause, settings):
        return clause
    pieces = JOIN.split(clause)
    kept = ""
    for number in range(0, len(pieces), 2):
        piece = pieces[number]
        if _needs_console(piece, settings):
            continue
        if kept:
            kept += pieces[number - 1] + piece
        elif number == 0 or len(piece.split()) >= FEWEST_WORDS:
            kept = piece
    return kept


def _needs_console(text: str, settings: bool) -> bool:
    return bool(CONSOLE.search(text) or (not settings and OPTION_PATH.search(text)))
