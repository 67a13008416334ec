"""The whole main job on a laptop, step by step: `make demo`."""
