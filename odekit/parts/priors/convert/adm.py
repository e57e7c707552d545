"""ADM networks (guided-diffusion and improved-diffusion state dicts) in diffusers' terms.

Architecture: Dhariwal and Nichol, arXiv:2105.05233, appendix; timesteps as [cos, sin] with divisor half, group norms of
32 groups and epsilon 1e-5, residual blocks with up/down inside where trained so, attention over heads.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from odekit.errors import WeightsError
from odekit.parts.priors.convert.renaming import Converted, Renaming, config, time_width

if TYPE_CHECKING:
    from torch import Tensor

RESNET = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection?": "conv_shortcut",
}


def convert_adm(
    tensors: Mapping[str, Tensor],
    *,
    image_size: int,
    num_heads: int | None = None,
    num_head_channels: int | None = None,
    qkv_order: Literal["legacy", "new"] = "legacy",
) -> Converted:
    """An ADM state dict as a `UNet2DModel`.

    Widths, depth, attention places, learned sigma, scale-shift and the kind of resampling are read from the tensors.

    Args:
        tensors: the bare state dict.
        image_size: side of the pictures.
        num_heads: heads of every attention, or
        num_head_channels: channels of every head (wins).
        qkv_order: `legacy` (head by head: q, k, v) or `new` (all q, all k, all v).

    Raises:
        WeightsError: a fact is missing, or the network has parts that UNet2DModel cannot express.
    """
    if "label_emb.weight" in tensors:
        raise WeightsError("this ADM network is conditioned on classes (label_emb); a prior must be unconditional")
    if num_heads is None and num_head_channels is None:
        raise WeightsError("attention heads cannot be read from ADM weights; give num_heads or num_head_channels")
    plan = _plan(tensors)
    move = Renaming(dict(tensors))
    heads = _Heads(num_heads, num_head_channels, qkv_order)
    base = move.shape("input_blocks.0.0.weight")[0]
    into, out = move.shape("input_blocks.0.0.weight")[1], move.shape("out.2.weight")[0]
    emb = move.shape("middle_block.0.emb_layers.1.weight")[0]
    channels = move.shape("middle_block.0.in_layers.2.weight")[0]
    widths = [move.shape(f"{name}.0.in_layers.2.weight")[0] for name in plan.first]
    settings = config(
        widths,
        plan.blocks,
        sample_size=image_size,
        in_channels=into,
        out_channels=out,
        down_block_types=plan.types("Down", plan.attention_down, plan.down),
        up_block_types=plan.types("Up", plan.attention_up, plan.up),
        downsample_type=plan.down,
        upsample_type=plan.up,
        downsample_padding=1,
        flip_sin_to_cos=True,
        freq_shift=0,
        norm_eps=1e-5,
        attn_norm_num_groups=32,
        resnet_time_scale_shift="scale_shift" if emb == 2 * channels else "default",
        **time_width(move, "time_embed.0.weight", base),
    )
    _rename(move, plan, heads)
    per_head, fixed = heads.settled()
    return Converted(settings | {"attention_head_dim": per_head}, move.finish(), fixed)


@dataclass(frozen=True)
class _Plan:
    """Where the levels of a network begin and what each has."""

    blocks: int
    first: list[str]
    """Name of the first input block of each level, fine to coarse."""
    attention_down: list[bool]
    attention_up: list[bool]
    """Coarse to fine."""
    down: Literal["conv", "resnet"]
    up: Literal["conv", "resnet"]

    def types(self, way: Literal["Down", "Up"], attention: list[bool], kind: str) -> list[str]:
        """What diffusers calls the blocks of the levels."""
        plain = f"Resnet{way}sampleBlock2D" if kind == "resnet" else f"{way}Block2D"
        return [f"Attn{way}Block2D" if has else plain for has in attention]


def _plan(tensors: Mapping[str, Tensor]) -> _Plan:
    """Read the levels from the output blocks: each level but the finest ends in an upsampler."""
    inputs, outputs = _modules(tensors, "input_blocks"), _modules(tensors, "output_blocks")
    ends = [i for i, parts in enumerate(outputs) if parts[-1] in ("up", "resnet") and len(parts) > 1]
    levels, count = len(ends) + 1, len(outputs)
    per = (ends[0] + 1) if ends else count
    blocks = per - 1
    regular = ends == [per * (i + 1) - 1 for i in range(levels - 1)] and count == per * levels
    if blocks < 1 or not regular or len(inputs) != levels * per:
        raise WeightsError(
            f"{len(inputs)} input and {count} output blocks with {len(ends)} upsamplers are no ADM network that a "
            "diffusers UNet2DModel can express (its levels must be equally deep and resample with learned layers)"
        )
    starts = [1 + level * per for level in range(levels)]
    turns = {inputs[start - 1][0] for start in starts[1:]}
    ups = {outputs[end][-1] for end in ends}
    return _Plan(
        blocks=blocks,
        first=[f"input_blocks.{start}" for start in starts],
        attention_down=[_attention(inputs[start : start + blocks]) for start in starts],
        attention_up=[_attention(outputs[level * per : (level + 1) * per]) for level in range(levels)],
        down=_kind(turns, "down"),
        up=_kind(ups, "up"),
    )


def _modules(tensors: Mapping[str, Tensor], group: str) -> list[list[str]]:
    """What each block of a group is made of, in order: resnet, attention, up, down or conv."""
    marks = {"in_layers": "resnet", "qkv": "attention", "conv": "up", "op": "down"}
    found: dict[int, dict[int, str]] = {}
    for name in tensors:
        parts = name.split(".")
        if parts[0] == group and len(parts) > 3 and parts[1].isdigit() and parts[2].isdigit():
            mark = marks.get(parts[3]) or ("conv" if parts[3] == "weight" else None)
            if mark:
                found.setdefault(int(parts[1]), {})[int(parts[2])] = mark
    if sorted(found) != list(range(len(found))) or not found:
        raise WeightsError(
            f"{group} are not numbered from 0 without a gap: damaged, or levels are pooled without layers, which a "
            "diffusers UNet2DModel cannot express"
        )
    return [[found[i][j] for j in sorted(found[i])] for i in range(len(found))]


def _attention(blocks: list[list[str]]) -> bool:
    has = {"attention" in parts for parts in blocks}
    if len(has) != 1:
        raise WeightsError("attention in some blocks of a level only; a diffusers UNet2DModel cannot express this")
    return has.pop()


def _kind(marks: set[str], plain: str) -> Literal["conv", "resnet"]:
    if not marks or marks == {plain}:
        return "conv"
    if marks == {"resnet"}:
        return "resnet"
    raise WeightsError(f"levels that resample in different ways ({', '.join(sorted(marks))}) cannot be expressed")


class _Heads:
    """How queries, keys and values are cut into heads."""

    def __init__(self, count: int | None, channels: int | None, order: str) -> None:
        self.count, self.channels, self.order = (None if channels else count), channels, order
        self.widths: set[int] = set()

    def split(self, tensor: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One (3 C, ...) tensor as q, k, v of (C, ...), heads one after the other in each."""
        width = tensor.shape[0] // 3
        heads = self.count or max(1, width // (self.channels or width))
        if width % heads or (self.channels and heads * self.channels != width):
            raise WeightsError(f"an attention of {width} channels does not divide into the heads that were given")
        self.widths.add(width)
        if self.order == "legacy":
            tensor = tensor.reshape(heads, 3, width // heads, -1).transpose(0, 1).reshape(tensor.shape)
        q, k, v = (part.clone() for part in tensor.chunk(3))
        return q, k, v

    def settled(self) -> tuple[int, int | None]:
        """Channels of a head, and the number of heads where heads differ in width from level to level."""
        if self.channels:
            return self.channels, None
        each = {width // (self.count or 1) for width in self.widths}
        # Any common divisor gives layers of the right width; the number of heads is then set when the prior is built.
        return math.gcd(*each), None if len(each) == 1 else self.count


def _rename(move: Renaming, plan: _Plan, heads: _Heads) -> None:
    per, levels = plan.blocks + 1, len(plan.first)
    move.layers("time_embed", "time_embedding", {"0": "linear_1", "2": "linear_2"})
    move.layer("input_blocks.0.0", "conv_in")
    for index in range(1, levels * per):
        level, block = divmod(index - 1, per)
        old, new = f"input_blocks.{index}", f"down_blocks.{level}"
        if block < plan.blocks:
            move.layers(f"{old}.0", f"{new}.resnets.{block}", RESNET)
            if plan.attention_down[level]:
                _rename_attention(move, f"{old}.1", f"{new}.attentions.{block}", heads)
        elif plan.down == "resnet":
            move.layers(f"{old}.0", f"{new}.downsamplers.0", RESNET)
        else:
            move.layer(f"{old}.0.op", f"{new}.downsamplers.0.conv")
    move.layers("middle_block.0", "mid_block.resnets.0", RESNET)
    _rename_attention(move, "middle_block.1", "mid_block.attentions.0", heads)
    move.layers("middle_block.2", "mid_block.resnets.1", RESNET)
    for index in range(levels * per):
        level, block = divmod(index, per)
        old, new = f"output_blocks.{index}", f"up_blocks.{level}"
        move.layers(f"{old}.0", f"{new}.resnets.{block}", RESNET)
        after = 1
        if plan.attention_up[level]:
            _rename_attention(move, f"{old}.1", f"{new}.attentions.{block}", heads)
            after = 2
        if block == plan.blocks and level < levels - 1:
            if plan.up == "resnet":
                move.layers(f"{old}.{after}", f"{new}.upsamplers.0", RESNET)
            else:
                move.layer(f"{old}.{after}.conv", f"{new}.upsamplers.0.conv")
    move.layer("out.0", "conv_norm_out")
    move.layer("out.2", "conv_out")


def _rename_attention(move: Renaming, old: str, new: str, heads: _Heads) -> None:
    move.layer(f"{old}.norm", f"{new}.group_norm")
    for part in ("weight", "bias"):
        whole = move.take(f"{old}.qkv.{part}")
        if whole.ndim > 1:
            whole = whole.flatten(1)
        for name, piece in zip(("to_q", "to_k", "to_v"), heads.split(whole), strict=True):
            move.result[f"{new}.{name}.{part}"] = piece
    move.matrix(f"{old}.proj_out", f"{new}.to_out.0")
