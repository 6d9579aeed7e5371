"""Images and their labels: where they come from."""

from alignet.io import lazy

__getattr__, __dir__, __all__ = lazy.exports(
    __name__,
    {
        "ImageStore": "images",
        "Labels": "labels",
    },
)
