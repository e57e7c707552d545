"""Text from file names and records, made safe to look at: control and bidirectional characters are shown as escapes."""

from __future__ import annotations

import re

_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters except tab and line feed, line and paragraph separators, characters that change the direction of
text (Unicode Technical Report 36, "Bidirectional text spoofing"), and lone surrogates (bytes of undecodable names)."""


def visible(text: str) -> str:
    r"""The text with every unsafe character as an escape such as `\x1b` or `\u202e`."""
    return _UNSAFE.sub(_escape, text)


def visible_line(text: str) -> str:
    """Like `visible`, for a text of one line: tabs and line feeds are escaped, too."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
