"""Weights on disk, in our own and in other programs' formats."""
