"""Evaluations: how human is it, and is it still useful?

`alignet.evals.suite` scores representations by all evaluations that are asked
for; the evaluators do so along a Kauldron training. Names load on first use:
only the evaluators need jax and Kauldron.
"""

from alignet.io import lazy

__getattr__, __dir__, __all__ = lazy.exports(
    __name__,
    {
        "ALL": "suite",
        "ClassesEvaluator": "in_training",
        "Evaluation": "evaluation",
        "LevelsEvaluator": "in_training",
        "RdmEvaluator": "in_training",
        "Scores": "suite",
        "Suite": "suite",
        "TrialsEvaluator": "in_training",
        "evaluate": "suite",
    },
)
