"""Fast versions of `UNet2DModel` blocks: the same computation with fewer passes over memory."""
