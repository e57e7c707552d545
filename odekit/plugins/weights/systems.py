"""Recognise the published network that a set of named tensors belongs to, so that errors can name a wrong file."""

from __future__ import annotations

from collections.abc import Container, Mapping

SYSTEMS: dict[str, tuple[str, ...]] = {
    "CodeFormer": ("position_emb", "idx_pred_layer.1.weight", "quantize.embedding.weight"),
    "GFPGAN v1 in its first form": ("conv_body_first.0.weight", "stylegan_decoder.style_mlp.1.weight"),
    "GFPGAN": ("toRGB.0.weight", "conv_body_first.weight", "stylegan_decoder.style_mlp.1.weight"),
    "RestoreFormer": ("quantize.embedding.weight", "encoder.conv_in.weight", "decoder.conv_in.weight"),
    "encoder4editing": ("encoder.latlayer1.weight", "encoder.styles.0.linear.weight"),
    "StyleGAN2": ("input.input", "conv1.conv.modulation.weight", "to_rgb1.conv.weight"),
    "Real-ESRGAN (RRDBNet)": ("conv_first.weight", "body.0.rdb1.conv1.weight", "conv_up1.weight"),
    "BSRNet or ESRGAN (RRDBNet, old names)": ("conv_first.weight", "RRDB_trunk.0.RDB1.conv1.weight"),
    "SwinIR": ("patch_embed.norm.weight", "layers.0.residual_group.blocks.0.attn.relative_position_bias_table"),
    "SCUNet": ("m_head.0.weight", "m_body.0.trans_block.msa.embedding_layer.weight"),
    "RetinaFace": ("BboxHead.0.conv1x1.weight", "LandmarkHead.0.conv1x1.weight"),
    "ParseNet": ("out_mask_conv.conv2d.weight", "out_img_conv.conv2d.weight"),
    "a ControlNet of DiffBIR": ("input_blocks.0.0.weight", "zero_convs.0.0.weight"),
    "Stable Diffusion (a whole model)": ("model.diffusion_model.input_blocks.0.0.weight",),
    "a Stable Diffusion UNet": ("input_blocks.0.0.weight", "middle_block.1.transformer_blocks.0.norm1.weight"),
    "a Stable Diffusion VAE": ("post_quant_conv.weight", "decoder.conv_in.weight"),
    "a guided-diffusion prior": ("input_blocks.0.0.weight", "time_embed.0.weight", "out.2.weight"),
    "a DDIM prior": ("conv_in.weight", "temb.dense.0.weight"),
    "a diffusers UNet": ("conv_in.weight", "time_embedding.linear_1.weight"),
}
"""Names of tensors that identify each system; the first match is used."""


def system_from_names(names: Container[str]) -> str | None:
    """The system with these tensor names according to `SYSTEMS`; None if unknown."""
    for system, required in SYSTEMS.items():
        if all(name in names for name in required):
            return system
    return None


def system_of(tensors: Mapping[str, object]) -> str | None:
    """The system with these tensors according to `SYSTEMS`, or else to spandrel if installed; None if unknown."""
    system = system_from_names(tensors)
    if system is not None:
        return system
    try:
        from spandrel import MAIN_REGISTRY
    except ImportError:
        return None
    for support in MAIN_REGISTRY.architectures("detection"):
        if support.detect(dict(tensors)):
            return str(support.architecture.name)
    return None
