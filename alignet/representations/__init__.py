"""Representations of images: the store on disk, clusters of them."""

from alignet.io import lazy

__getattr__, __dir__, __all__ = lazy.exports(
    __name__,
    {
        "Representations": "store",
        "open": "store",
    },
)
