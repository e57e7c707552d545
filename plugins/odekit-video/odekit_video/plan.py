"""What is done with a video: its frames, the faces in them, and what was decided for each; kept in `plan.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from odekit.core.files import write_atomic
from odekit.core.image import KnownFace
from odekit.errors import InputError

Numbers = tuple[float, ...]


@dataclass
class Plan:
    """The outcome of the first pass."""

    pts: list[int] = field(default_factory=list)
    """Time stamp of each frame, in the video's time base, rising."""
    shots: list[int] = field(default_factory=list)
    """Number of the first frame of each shot."""
    faces: list[list[tuple[int, Numbers, Numbers]]] = field(default_factory=list)
    """For each frame: track, points (x and y of five) and box of each face."""
    lost: list[list[int]] = field(default_factory=list)
    """For each frame: the tracks whose face was not found in it, but before and after it; something may hide it."""
    tracks: dict[int, dict[str, bool]] = field(default_factory=dict)
    """What was decided for each track: `restore` and `detail`."""
    pictures: list[dict[str, bool]] = field(default_factory=list)
    """What was decided for the whole frames of each shot."""
    qualities: list[int] = field(default_factory=list)
    """Quality of the compression of the frames of each shot, as in libjpeg; 0 where it is not known."""
    damaged: list[str] = field(default_factory=list)
    """Why packets could not be decoded."""

    def shot_of(self, frame: int) -> int:
        """Number of the shot of a frame, from 0."""
        return max(i for i, first in enumerate(self.shots) if first <= frame)

    def hidden(self, frame: int, key: str) -> frozenset[str]:
        """The names, as in `known`, of the faces of a frame that something may hide."""
        return frozenset(f"{key} {track}" for track in (self.lost[frame] if self.lost else ()))

    def known(self, frame: int, key: str) -> tuple[KnownFace, ...]:
        """The faces of a frame; `key` names the video."""
        return tuple(
            KnownFace(
                (box[0], box[1], box[2], box[3]),
                tuple((points[i], points[i + 1]) for i in range(0, 10, 2)),
                f"{key} {track}",
                decided=self.tracks.get(track, {}),
            )
            for track, points, box in self.faces[frame]
        )

    def write(self, path: Path, key: Mapping[str, Any]) -> None:
        """Write the plan; `key` tells what it was made from."""
        tree = {
            "key": dict(key), "pts": self.pts, "shots": self.shots, "faces": self.faces,
            "lost": self.lost,
            "tracks": {str(number): decided for number, decided in self.tracks.items()}, "pictures": self.pictures,
            "qualities": self.qualities, "damaged": self.damaged,
        }  # fmt: skip
        write_atomic(json.dumps(tree).encode(), path)

    @classmethod
    def read(cls, path: Path, key: Mapping[str, Any]) -> Plan | None:
        """The plan of an earlier run; None if there is none yet.

        Raises:
            InputError: it was made from another file, chain or seed, or is damaged.
        """
        try:
            tree = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise InputError(f"{path} cannot be read ({error}); --overwrite starts anew") from error
        different = [name for name in key if tree.get("key", {}).get(name) != json.loads(json.dumps(key[name]))]
        if different:
            raise InputError(f"{path.parent}: begun with another {' and '.join(different)}; --overwrite starts anew")
        faces = [[(int(t), tuple(p), tuple(b)) for t, p, b in frame] for frame in tree["faces"]]
        tracks = {int(number): decided for number, decided in tree["tracks"].items()}
        lost = tree.get("lost", [])
        return cls(
            tree["pts"],
            tree["shots"],
            faces,
            lost,
            tracks,
            tree["pictures"],
            tree.get("qualities", []),
            tree["damaged"],
        )
