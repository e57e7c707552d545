"""Prompt embeddings: OpenCLIP's text encoder runs once, the result is cached on disk, and the encoder is freed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odekit.errors import WeightsError
from odekit.plugins import check_layout
from odekit_diffbir.checkpoint import part
from odekit_diffbir.tokens import LENGTH, tokens

if TYPE_CHECKING:
    from torch import Tensor

HEAD = 64
"""Channels per attention head of OpenCLIP's text encoders."""
UNUSED = ("attn_mask", "text_projection", "logit_scale")
LAYER = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}


def embeddings(
    prompts: Sequence[str], tensors: Callable[[], Mapping[str, Tensor]], digest: str, cache: Path, where: object
) -> list[Tensor]:
    """Each prompt's embedding, float32 (77, width): from the cache, otherwise from the encoder, which is loaded once.

    Args:
        prompts: any texts.
        tensors: reads the file of the text encoder; called if a prompt is not in the cache.
        digest: of that file; part of the cache key.
        cache: the cache folder.
        where: the file, for messages.

    Raises:
        WeightsError: the file holds no OpenCLIP text encoder.
    """
    files = [cache / f"{key(prompt, digest)}.safetensors" for prompt in prompts]
    cached = [_read(file) for file in files]
    if any(embedding is None for embedding in cached):
        encoder = load(tensors(), where)
        for i, (prompt, file) in enumerate(zip(prompts, files, strict=True)):
            if cached[i] is None:
                cached[i] = encode(encoder, prompt)
                _write(file, cached[i])
        del encoder
    return [embedding for embedding in cached if embedding is not None]


def key(prompt: str, digest: str) -> str:
    """The cache key of an embedding: the SHA-256 of the weights' digest and the prompt."""
    return hashlib.sha256(f"openclip-penultimate-1|{digest}|{prompt}".encode()).hexdigest()


def load(tensors: Mapping[str, Tensor], where: object) -> Any:
    """The text encoder without its last block: Stable Diffusion 2 reads the penultimate layer, normalised.

    Raises:
        WeightsError: the file holds no OpenCLIP text encoder, or one with missing or misshapen tensors.
    """
    import torch
    from transformers import CLIPTextConfig, CLIPTextModel

    official = {name: t for name, t in part(tensors, "text", where).items() if name not in UNUSED}
    blocks = {int(name.split(".")[2]) for name in official if name.startswith("transformer.resblocks.")}
    last = f"transformer.resblocks.{max(blocks)}."
    renamed = rename({name: tensor.float() for name, tensor in official.items() if not name.startswith(last)})
    if "embeddings.token_embedding.weight" not in renamed or len(blocks) < 2:
        raise WeightsError(f"{where}: its OpenCLIP text encoder is incomplete; fetch the file again")
    words, width = renamed["embeddings.token_embedding.weight"].shape
    config = CLIPTextConfig(
        vocab_size=words,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=max(blocks),
        num_attention_heads=width // HEAD,
        max_position_embeddings=LENGTH,
        hidden_act="gelu",
    )
    model: Any = CLIPTextModel(config)
    inner = getattr(model, "text_model", model)  # transformers 4 has an additional wrapper
    check_layout({n: tuple(p.shape) for n, p in inner.named_parameters()}, renamed, f"{where} (text encoder)")
    with torch.no_grad():
        for name, parameter in inner.named_parameters():
            parameter.copy_(renamed[name])
    return model.eval().requires_grad_(False)


def rename(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename OpenCLIP tensors to those of transformers and split the joint query-key-value projection."""
    out = {}
    for name, tensor in tensors.items():
        if name.startswith("transformer.resblocks."):
            _, _, block, *rest = name.split(".")
            target, inner = f"encoder.layers.{block}", ".".join(rest)
            if inner.startswith("attn.in_proj_"):
                kind = inner.removeprefix("attn.in_proj_")
                for letter, third in zip("qkv", tensor.chunk(3), strict=True):
                    out[f"{target}.self_attn.{letter}_proj.{kind}"] = third
            else:
                module, _, kind = inner.rpartition(".")
                out[f"{target}.{LAYER.get(module, module)}.{kind}"] = tensor
        else:
            other_names = {
                "token_embedding.weight": "embeddings.token_embedding.weight",
                "positional_embedding": "embeddings.position_embedding.weight",
                "ln_final.weight": "final_layer_norm.weight",
                "ln_final.bias": "final_layer_norm.bias",
            }
            out[other_names.get(name, name)] = tensor
    return out


def encode(encoder: Any, prompt: str) -> Tensor:
    """The embedding of one prompt, float32 (77, width)."""
    import torch

    with torch.inference_mode():
        out: Tensor = encoder(input_ids=torch.tensor([tokens(prompt)])).last_hidden_state[0]
    return out.clone()


def _read(file: Path) -> Tensor | None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        cached: Tensor = load_file(file)["embedding"]
    except (OSError, KeyError, SafetensorError):
        return None
    return cached


def _write(file: Path, embedding: Tensor | None) -> None:
    from safetensors.torch import save

    assert embedding is not None
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}.part")
    partial.write_bytes(save({"embedding": embedding.contiguous()}))
    partial.replace(file)
