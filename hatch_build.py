"""Build hook: the README of the package has absolute links, because a registry shows it without the repository."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


def absolute(text: str, repository: str) -> str:
    """A README whose relative links lead to files of a repository, and whose pictures to their contents.

    Args:
        text: Markdown.
        repository: address on GitHub.
    """
    raw = repository.replace("https://github.com/", "https://raw.githubusercontent.com/") + "/main/"
    text = re.sub(r"(!\[[^\]]*\]\()(?!https?:|#)", rf"\g<1>{raw}", text)
    return re.sub(r"((?<!!)\[[^\]]*\]\()(?!https?:|#)", rf"\g<1>{repository}/blob/main/", text)


class CustomMetadataHook(MetadataHookInterface):
    """Sets the dynamic field `readme`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Read README.md and make its links absolute."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": absolute(text, metadata["urls"]["Repository"]),
        }
