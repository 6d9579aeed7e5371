"""Trainings through Kauldron: launch, step, losses, metrics, input.

What is listed here is loaded on first use. Each student's loss has its line.
"""

from alignet.io import lazy

__getattr__, __dir__, __all__ = lazy.exports(
    __name__,
    {
        "Contrastive": "losses",
        "Dense": "losses",
        "JSD": "losses",
        "KL": "losses",
        "TripletLoss": "losses",
    },
)
