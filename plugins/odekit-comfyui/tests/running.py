"""Runs a node."""

import torch


def batch(number=2, side=8, seed=0):
    return torch.rand(number, side, side, 3, generator=torch.Generator().manual_seed(seed))


def run(node, image, chain, strength="auto", seed=0, **more):
    return node.execute(image=image, chain=chain, strength=strength, seed=seed, **more).values
