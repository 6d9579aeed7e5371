"""Ablations: cells of one pipeline, run in turn, and their tables."""
