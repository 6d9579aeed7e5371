"""Evaluations: of features on trials, and along Kauldron trainings."""

from alignet.evals.trials import TrialsEvaluator
from alignet.evals.trials import agreement

__all__ = ["TrialsEvaluator", "agreement"]
