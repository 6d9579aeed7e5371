"""An ONNX file computes what the model does."""

import alignet
from alignet.cli import main
from alignet.errors import AlignetError
from alignet.models.export import onnx as export
from alignet.models.vit.vision_model import VisionModel
from alignet.models.vit.vit import ViT
import numpy as np
import pytest
from tests.models.export import drawn

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("jax2onnx")

_NAMES = ["pre_logits", "triplet_logits", "i1k_logits"]


def _small(**fields):
  fields = dict(patch_size=8, width=12, depth=2, num_heads=3) | fields
  backbone = ViT(**{"grid": (2, 3), **fields})
  return VisionModel(backbone=backbone, triplet_dim=5, i1k_classes=7)


@pytest.mark.parametrize(
    "model",
    [
        _small(pool="map"),
        _small(pool="gap", final_norm="after_pool", activation="gelu"),
        _small(pool="tok", pre_norm=True, activation="quick_gelu"),
        _small(pool="tok", layer_scale=0.7, activation="gelu"),
        _small(pool="tok", class_position=True, grid=(3, 3)).clone(
            image_size=20  # Positions are resampled, four pixels unused.
        ),
        drawn.full_width(),
    ],
    ids=["map", "gap", "pre_norm", "layer_scale", "resampled", "full width"],
)
def test_values_at_any_batch_size(model, tmp_path):
  params = drawn.params(model)
  written = export.write(tmp_path, model, params)
  print(f"differs by {written.difference:.2g}")
  path = tmp_path / export.FILE_NAME
  session = onnxruntime.InferenceSession(
      path, providers=["CPUExecutionProvider"]
  )
  grey = drawn.grey(model)
  wanted = model.apply({"params": params}, grey)
  for b in (1, 5):
    images = grey[:b] / np.float32(255)
    for name, found in zip(_NAMES, session.run(_NAMES, {"images": images})):
      drawn.assert_near(found, getattr(wanted, name)[:b])
  path.unlink()  # pytest keeps it.


def test_the_command(tmp_path):
  weights = drawn.trained(tmp_path / "weights.safetensors")
  out = tmp_path / "out"
  arguments = [f"--model={weights}", "--to=onnx", f"--out={out}"]
  assert main.main(["export", *arguments]) == 0
  assert "read back after writing" in (out / "README.md").read_text()
  encode = alignet.load_model(
      f"onnx:{out / export.FILE_NAME}", layer="pre_logits", pixel_range="0,1"
  )
  assert encode.encoder.size == 10
  images = np.random.default_rng(2).integers(0, 256, (3, 10, 10, 3), np.uint8)
  drawn.assert_near(encode(images), alignet.load_model(weights)(images))


def test_without_the_extra(tmp_path, monkeypatch):
  monkeypatch.setitem(__import__("sys").modules, "jax2onnx", None)
  with pytest.raises(AlignetError, match=r"jax2onnx: pip .*alignet.export"):
    export.write(tmp_path, None, None)
