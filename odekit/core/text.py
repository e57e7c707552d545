r"""Text from file names and records, made safe to look at: control and bidirectional characters are shown as escapes.

A name may hold anything but a slash. On a terminal, `\x1b[2K` deletes the line before it, a line feed begins a line
that odekit seems to have written, and U+202E shows `gnp.exe` as `exe.png`.
"""

from __future__ import annotations

import re

MOST_GIVEN = 80
"""Characters of something given that a message repeats."""
_UNSAFE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufff9-\ufffb"
    r"\U000e0000-\U000e007f]"
)
"""Control characters except tab and line feed, line and paragraph separators, characters that change the direction of
text (Unicode Technical Report 36, "Bidirectional text spoofing"), invisible marks and tags, and lone surrogates (bytes
of undecodable names)."""


def visible(text: str) -> str:
    r"""The text with every unsafe character as an escape such as `\x1b` or `\u202e`."""
    return _UNSAFE.sub(_escape, text)


def visible_line(text: str) -> str:
    """Like `visible`, for a text of one line: tabs and line feeds are escaped, too."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def visible_json(text: str) -> str:
    r"""JSON text of the same meaning, with every unsafe character as an escape of JSON such as `\u202e`."""
    return _UNSAFE.sub(_escape_json, text)


def given(value: object) -> str:
    """What somebody gave, as a message repeats it: at most `MOST_GIVEN` characters."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no numbers of thousands of digits
        return "of thousands of digits"
    return text if len(text) <= MOST_GIVEN else f"{text[: MOST_GIVEN - 4]}...{text[-1]}"


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"


def _escape_json(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 65536:
        return f"\\u{code:04x}"
    code -= 65536
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
