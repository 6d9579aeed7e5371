"""An ONNX file computes what the model does."""

from alignet.errors import AlignetError
from alignet.export import onnx as export
from alignet.models.vision_model import VisionModel
from alignet.models.vit import ViT
import jax
import numpy as np
import pytest

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("jax2onnx")


@pytest.mark.parametrize(
    "fields",
    [
        dict(pool="map"),
        dict(pool="gap", final_norm="after_pool", activation="gelu"),
        dict(pool="tok", pre_norm=True, activation="quick_gelu"),
        dict(pool="tok", layer_scale=0.7, activation="gelu"),
    ],
)
def test_values_at_any_batch_size(fields, tmp_path):
  backbone = ViT(
      patch_size=8, width=12, depth=2, num_heads=3, grid=(2, 3), **fields
  )
  model = VisionModel(backbone=backbone, triplet_dim=5, i1k_classes=7)
  grey = np.random.default_rng(1).integers(0, 256, (5, 16, 24, 3), np.uint8)
  params = model.init(jax.random.key(0), grey)["params"]
  written = export.write(tmp_path, model, params)
  print(f"{fields}: {written.difference:.2g}")
  session = onnxruntime.InferenceSession(
      tmp_path / export.FILE_NAME, providers=["CPUExecutionProvider"]
  )
  wanted = model.apply({"params": params}, grey)
  for b in (1, 5):
    images = grey[:b] / np.float32(255)
    names = ["pre_logits", "triplet_logits", "i1k_logits"]
    for name, found in zip(names, session.run(names, {"images": images})):
      values = getattr(wanted, name)[:b]
      np.testing.assert_allclose(found, values, atol=1e-4)


def test_without_the_extra(tmp_path, monkeypatch):
  monkeypatch.setitem(__import__("sys").modules, "jax2onnx", None)
  with pytest.raises(AlignetError, match=r"jax2onnx: pip .*alignet.export"):
    export.write(tmp_path, None, None)
