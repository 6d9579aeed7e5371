"""Scores: how well similarities agree with human judgments, and how surely.

Pure functions on NumPy arrays. Scores of triplets are returned per row, so that
the caller can average them, or resample them with `bootstrap`.
"""
