"""Draws example_workflows/restore-photograph.json as a picture: python draw_workflow.py OUT.png."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

FILE = Path(__file__).parent / "example_workflows" / "restore-photograph.json"
TITLES = {
    "OdekitRestoreFaces": "Restore Faces (odekit)", "OdekitLoadChain": "Load Chain (odekit)", "LoadImage": "Load Image",
    "SaveImage": "Save Image", "MaskToImage": "Convert Mask to Image", "PreviewImage": "Preview Image",
}  # fmt: skip
COLOURS = {"IMAGE": "#4b8fd6", "MASK": "#5bb37a", "ODEKIT_CHAIN": "#d68f4b", "STRING": "#9a9a9a"}
ROW, TOP = 22, 34


def socket(node: dict[str, Any], number: int, output: bool) -> tuple[float, float]:
    """Where a wire ends."""
    x, y = node["pos"]
    return x + (node["size"][0] if output else 0), y + TOP + ROW * number + ROW / 2


def draw(workflow: dict[str, Any]) -> PIL.Image.Image:
    """Nodes as boxes with their sockets and widgets, links as lines."""
    nodes = {node["id"]: node for node in workflow["nodes"]}
    width = max(node["pos"][0] + node["size"][0] for node in nodes.values()) + 40
    height = max(node["pos"][1] + node["size"][1] for node in nodes.values()) + 40
    picture = PIL.Image.new("RGB", (round(width), round(height)), "#f4f4f2")
    pen, font = PIL.ImageDraw.Draw(picture), PIL.ImageFont.load_default(14)
    for node in nodes.values():
        (x, y), (w, h) = node["pos"], node["size"]
        own = node["type"].startswith("Odekit")
        pen.rounded_rectangle((x, y, x + w, y + h), 8, fill="white", outline="#d68f4b" if own else "#8a8a8a", width=2)
        pen.text((x + 12, y + 8), TITLES[node["type"]], fill="black", font=font)
        for output, slots in ((False, node["inputs"]), (True, node["outputs"])):
            for number, slot in enumerate(slots):
                sx, sy = socket(node, number, output)
                pen.ellipse((sx - 5, sy - 5, sx + 5, sy + 5), fill=COLOURS[slot["type"]])
                length = pen.textlength(slot["name"], font)
                pen.text((sx - 12 - length if output else sx + 12, sy - 9), slot["name"], fill="#404040", font=font)
        below = y + TOP + ROW * max(len(node["inputs"]), len(node["outputs"])) + 6
        for number, value in enumerate(node["widgets_values"]):
            pen.text((x + 12, below + ROW * number), str(value), fill="#707070", font=font)
    for _, source, output, target, entry, kind in workflow["links"]:
        start, end = socket(nodes[source], output, True), socket(nodes[target], entry, False)
        pen.line((start, end), fill=COLOURS[kind], width=3)
    return picture


if __name__ == "__main__":
    draw(json.loads(FILE.read_text(encoding="utf-8"))).save(sys.argv[1], optimize=True)
