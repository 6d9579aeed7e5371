"""Scores of classes: k-NN, few-shot, linear probe, retrieval."""
