"""The sum of what a run did to its pictures, for the summary and `--json`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from odekit.runs.findings import SAME_PERSON, Findings, kinds


@dataclass
class FindingsTally:
    """The sum of the findings of many pictures."""

    pictures: int = 0
    faces: int = 0
    restored: Counter[str] = field(default_factory=Counter)
    """Strength -> faces."""
    left: Counter[str] = field(default_factory=Counter)
    """Reason -> faces."""
    without_faces: int = 0
    """Photographs in which no face was found."""
    nothing_done: int = 0
    """Pictures in which nothing was done."""
    different: int = 0
    """Restored faces that may be another person: see `Findings.different`."""

    def add(self, findings: Findings) -> None:
        """Count one picture."""
        self.pictures += 1
        self.faces += findings.faces or 0
        if findings.faces:  # else there is nothing to count
            self.restored.update(findings.restored)
            self.left.update(findings.left)
        self.without_faces += findings.faces == 0
        self.nothing_done += findings.nothing_done
        self.different += findings.different

    def rows(self) -> list[tuple[str, str]]:
        """Rows of a table: faces, and what became of them; empty if no stage treats faces."""
        if not self.faces and not self.without_faces:
            return []
        rows = [("faces", str(self.faces))]
        for name, groups in (("faces restored", self.restored), ("faces left", self.left)):
            if groups:
                rows.append((name, f"{groups.total()}{kinds(groups)}"))
        if self.different:
            rows.append(("faces to compare", f"{self.different} (face distance over {SAME_PERSON:g})"))
        return [*rows, *([("without a face", str(self.without_faces))] if self.without_faces else [])]

    def tree(self) -> dict[str, Any]:
        """The sums as plain data, for --json."""
        return {
            "found": self.faces, "restored": dict(self.restored.most_common()), "left": dict(self.left.most_common()),
            "pictures_without": self.without_faces, "different": self.different,
        }  # fmt: skip
