"""Trainings through Kauldron: launch, step, losses, metrics, input."""
