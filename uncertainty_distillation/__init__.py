"""Human judgments + representations -> an affine transform, the teacher."""

from alignet.io import lazy

__getattr__, __dir__, __all__ = lazy.exports(
    __name__,
    {
        "Config": "config",
        "Optimisation": "config",
    },
)
