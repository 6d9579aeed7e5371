"""What people said: choices, dissimilarities, and where to get them."""

from alignet.io import lazy

__getattr__, __dir__, __all__ = lazy.exports(
    __name__,
    {
        "Judgments": "judgments",
        "from_choices": "judgments",
        "from_embedding": "judgments",
    },
)
