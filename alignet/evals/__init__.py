"""Evaluations: of stored representations, and along Kauldron trainings.

`hierarchy`, `levels`, `rdms`, `stored` and `usefulness` need neither jax nor
Kauldron; `in_training` and `trials` do. Names load on first use.
"""

from alignet.io import lazy

__getattr__, __dir__, __all__ = lazy.exports(
    __name__,
    {
        "ClassesEvaluator": "in_training",
        "LevelsEvaluator": "in_training",
        "RdmEvaluator": "in_training",
        "TrialsEvaluator": "trials",
        "agreement": "trials",
    },
)
