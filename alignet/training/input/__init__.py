"""Batches of a training, and the processes that make them."""
