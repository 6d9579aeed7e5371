"""Scores of odd-one-out choices and of their probabilities."""
