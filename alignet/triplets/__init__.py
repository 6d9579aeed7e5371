"""The contract of all stages: triplets of rows, the odd one last."""
