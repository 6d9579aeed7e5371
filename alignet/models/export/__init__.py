"""Models out: files that other programs load, each with a model card."""
