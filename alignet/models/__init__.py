"""Vision transformers, the triplet head, and their weights on disk."""

from alignet.io import lazy

__getattr__, __dir__, __all__ = lazy.exports(
    __name__,
    {
        "InitFromWeights": "formats.init_transform",
        "ViT": "vit.vit",
        "VisionModel": "vit.vision_model",
        "load": "formats.checkpoints",
        "save": "formats.checkpoints",
    },
)
