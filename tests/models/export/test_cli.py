"""`alignet export`, and what it and others say of weights that are wrong."""

import alignet
from alignet import models
from alignet.cli import main
from alignet.errors import AlignetError
from alignet.models.export import card
from alignet.models.formats import weights
import cv2
import flax
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

_MADE_FROM = {
    "init": {"name": "siglip.safetensors", "sha256": "ab" * 32},
    "data": {
        "path": {"name": "aligned.npz", "sha256": "cd" * 32},
        "images": {"name": "images", "sha256": None},
    },
    "config": {"aux.peak": 3e-05},
    "steps": 7,
}


def _write(path, change=lambda tensors: tensors, **fields):
  """Weights of ours of a small model, as `change` leaves its tensors."""
  model = models.VisionModel(
      backbone=models.ViT(
          patch_size=4, width=12, depth=1, num_heads=3, grid=(2, 2), **fields
      ),
      triplet_dim=5,
  )
  rng = np.random.default_rng(0)
  tensors = {
      k: rng.normal(0, 0.5, shape).astype(np.float32)
      for k, shape in weights.shapes(model).items()
  }
  params = flax.traverse_util.unflatten_dict(tensors, sep="/")
  models.save(path, model, params, meta=_MADE_FROM)
  with safetensors.safe_open(path, "numpy") as f:
    header = f.metadata()
  path.write_bytes(safetensors.numpy.save(change(tensors), header))
  return path


def _without(start):
  return lambda t: {k: v for k, v in t.items() if not k.startswith(start)}


_WRONG = {
    "half": (
        lambda t: {k: v.astype(ml_dtypes.bfloat16) for k, v in t.items()},
        "half precision",
    ),
    "missing tensor": (
        _without("backbone/Transformer/encoder_norm/bias"),
        "missing 1 (backbone/Transformer/encoder_norm/bias)",
    ),
    "missing head": (
        _without("triplet_head/"),
        "missing 2 (triplet_head/bias, triplet_head/kernel)",
    ),
    "wrong shape": (
        lambda t: t | {"triplet_head/bias": np.ones(6, np.float32)},
        "triplet_head/bias: model (5,), file (6,)",
    ),
}


@pytest.mark.parametrize("change, message", _WRONG.values(), ids=_WRONG)
def test_weights_of_ours_that_are_not_what_they_say(
    tmp_path, capsys, change, message
):
  path = _write(tmp_path / "w.safetensors", change)
  with pytest.raises(AlignetError) as error:
    alignet.load_model(path)
  assert message in str(error.value) and str(path) in str(error.value)
  (tmp_path / "images").mkdir()
  cv2.imwrite(str(tmp_path / "images" / "0.png"), np.zeros((8, 8, 3), np.uint8))
  for command in (
      ["extract", f"--source=folder:{tmp_path / 'images'}"],
      ["export", "--to=safetensors"],
  ):
    out = f"--out={tmp_path / 'out'}"
    assert main.main([*command, f"--model={path}", out]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
  if change is not _WRONG["half"][0]:
    return
  images = np.zeros((1, 8, 8, 3), np.uint8)
  features = alignet.load_model(path, allow_half=True)(images)
  assert features.shape == (1, 12) and features.dtype == np.float32


@pytest.mark.parametrize("target", ["safetensors", "huggingface"])
def test_a_card_says_what_the_training_noted(tmp_path, target):
  path, out = _write(tmp_path / "w.safetensors"), tmp_path / "out"

  def export(*more):
    flags = [f"--model={path}", f"--to={target}", f"--out={out}", "--overwrite"]
    assert main.main(["export", *flags, *more]) == 0
    return (out / "README.md").read_text()

  text = export()
  for part in (
      f"- Base model: siglip.safetensors (sha256 {'ab' * 32})\n",
      f"- Data: images (sha256 not given), aligned.npz (sha256 {'cd' * 32})\n",
      "- Licence: not given\n",
      '"aux.peak": 3e-05',
      '"steps": 7',
  ):
    assert part in text, text
  text = export("--base=SigLIP", "--data=AligNet")
  assert "- Base model: SigLIP\n- Data: AligNet\n" in text
  if target == "safetensors":  # What was exported can be exported again.
    assert weights.meta(out / "weights.safetensors") == _MADE_FROM


def test_a_card_of_random_weights_and_of_others(tmp_path):
  assert card.made_from({"init": None, "data": {}}) == {
      "base": "none, random weights"
  }
  assert card.made_from({}) == {}
  (tmp_path / "w.npz").touch()
  assert weights.meta(tmp_path) == weights.meta(tmp_path / "w.npz") == {}
