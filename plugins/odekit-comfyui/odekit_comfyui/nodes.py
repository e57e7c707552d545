"""The nodes. Interface V3 of ComfyUI: schemas as objects, `execute` as a class method, no state in instances."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from comfy_api.latest import ComfyExtension, io

from .checks import MAX_SEED, STRENGTHS, check_settings, node_errors
from .choices import ALIGNED, PHOTO, ChainChoice, chain_names
from .restoring import checked, restore

CATEGORY = "image/odekit"
LoadedChain = io.Custom("ODEKIT_CHAIN")
"""What *Load Chain* passes on: a `ChainChoice`."""


def progress_bar() -> Callable[[int, int], None]:
    """Moves the progress bar of the node that runs. It raises when the user interrupts."""
    from comfy.utils import ProgressBar

    bars: list[Any] = []

    def move(done: int, total: int) -> None:
        if not bars:
            bars.append(ProgressBar(total))
        bars[0].update_absolute(done, total)

    return move


def chain_inputs(first: str) -> list[Any]:
    """What is done: asked for by all nodes."""
    return [
        io.Combo.Input("chain", options=chain_names(first), default=first, tooltip="What is done; see odekit's docs."),
        io.Combo.Input(
            "strength", options=list(STRENGTHS), default="auto", tooltip="auto measures what each face needs."
        ),
    ]


def restoring_schema(first: str, mask: str, more: Sequence[Any] = (), **names: str) -> Any:
    """The schema of a node that restores pictures; `first` is its usual chain, `mask` what its second output marks."""
    return io.Schema(
        category=CATEGORY,
        inputs=[
            io.Image.Input("image", tooltip="One picture, or a batch of them."),
            *chain_inputs(first),
            io.Int.Input("seed", default=0, min=0, max=MAX_SEED, control_after_generate=True),
            LoadedChain.Input(
                "loaded_chain", optional=True, tooltip="From Load Chain: replaces the chain and strength of this node."
            ),
            *more,
        ],
        outputs=[
            io.Image.Output(display_name="image"),
            io.Mask.Output(display_name=mask),
            io.String.Output(display_name="what was done"),
        ],
        **names,
    )


class RestoreFaces(io.ComfyNode):  # type: ignore[misc]  # ComfyUI is not installed where types are checked
    """*Restore Faces (odekit)*: the faces of photographs are found, restored and pasted back."""

    @classmethod
    def define_schema(cls) -> Any:
        """See `io.Schema`."""
        return restoring_schema(
            PHOTO,
            "faces",
            [io.Mask.Input("scratches", optional=True, tooltip="White is filled, in chains with the stage mend.")],
            node_id="OdekitRestoreFaces",
            display_name="Restore Faces (odekit)",
            description="Finds the faces of photographs, restores what each needs, and pastes them back.",
        )

    @classmethod
    def execute(
        cls, image: Any, chain: str, strength: str, seed: int, loaded_chain: Any = None, scratches: Any = None
    ) -> Any:
        """See `odekit_comfyui.restoring.restore`."""
        with node_errors():
            request = checked(image, chain, strength, seed, loaded_chain, scratches)
            done = restore(request, progress_bar())
        return io.NodeOutput(done.images, done.faces, done.text)


class RestoreAlignedFace(io.ComfyNode):  # type: ignore[misc]
    """*Restore Aligned Face (odekit)*: square pictures of one face with level eyes."""

    @classmethod
    def define_schema(cls) -> Any:
        """See `io.Schema`."""
        return restoring_schema(
            ALIGNED,
            "reliability",
            node_id="OdekitRestoreAlignedFace",
            display_name="Restore Aligned Face (odekit)",
            description="Restores square pictures that one face fills, with level eyes.",
        )

    @classmethod
    def execute(cls, image: Any, chain: str, strength: str, seed: int, loaded_chain: Any = None) -> Any:
        """See `odekit_comfyui.restoring.restore`."""
        with node_errors():
            done = restore(checked(image, chain, strength, seed, loaded_chain, aligned=True), progress_bar())
        return io.NodeOutput(done.images, done.reliability, done.text)


class LoadChain(io.ComfyNode):  # type: ignore[misc]
    """*Load Chain (odekit)*: any chain with changed options, for both other nodes."""

    @classmethod
    def define_schema(cls) -> Any:
        """See `io.Schema`."""
        return io.Schema(
            node_id="OdekitLoadChain",
            display_name="Load Chain (odekit)",
            category=CATEGORY,
            description="A chain by name, with changed options.",
            inputs=[
                *chain_inputs(PHOTO),
                io.String.Input(
                    "settings", multiline=True, default="", tooltip="One path=value a line: faces.paste.detail=0"
                ),
            ],
            outputs=[LoadedChain.Output(display_name="chain")],
        )

    @classmethod
    def execute(cls, chain: str, strength: str, settings: str = "") -> Any:
        """The choice, checked."""
        with node_errors():
            choice = ChainChoice(chain, strength, check_settings(settings))
            choice.load()
        return io.NodeOutput(choice)


class OdekitExtension(ComfyExtension):  # type: ignore[misc]
    """All nodes."""

    async def get_node_list(self) -> list[Any]:
        """The classes of the nodes."""
        return [RestoreFaces, RestoreAlignedFace, LoadChain]
