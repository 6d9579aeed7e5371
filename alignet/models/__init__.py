"""Vision transformers, the triplet head, and their weights on disk."""

import importlib

_HOMES = {
    "ViT": "vit",
    "VisionModel": "vision_model",
    "load": "checkpoints",
    "save": "checkpoints",
    "InitFromWeights": "init_transform",
}

__all__ = list(_HOMES)


def __getattr__(name: str):
  if name in _HOMES:
    return getattr(
        importlib.import_module(f"alignet.models.{_HOMES[name]}"), name
    )
  raise AttributeError(f"module 'alignet.models' has no attribute {name!r}")
