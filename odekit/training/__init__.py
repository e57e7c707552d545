"""The training loop for priors, upsamplers and the networks of whole photographs."""
