import dataclasses
import json

from alignet import models
from alignet.errors import AlignetError
from alignet.errors import OutputExistsError
from alignet.models.export import card
from alignet.models.export import folder
from alignet.models.export import weights as export
from alignet.models.formats import weights
from alignet.models.vit import blocks
from alignet.models.vit import zoo
import flax
import numpy as np
import pytest

_SMALL = dict(width=12, depth=1, num_heads=3, mlp_dim=48)


def _make(name, **heads):
  variant = zoo.find(name)
  variant = dataclasses.replace(
      variant,
      fields={**variant.fields, **_SMALL},
      patch_size=4,
      image_size=10,  # Two pixels that fill no patch, as in So400m.
      served=None,
  )
  model = variant.model(**heads)
  rng = np.random.default_rng(0)
  params = flax.traverse_util.unflatten_dict(
      {
          k: rng.normal(0, 0.5, shape).astype(np.float32)
          for k, shape in weights.shapes(model).items()
      },
      sep="/",
  )
  return variant, model, params


@pytest.mark.parametrize(
    "name", ["siglip-b16", "clip-b16", "vit-b16", "dinov2-b14"]
)
def test_transformers_folder(tmp_path, name):
  variant, model, params = _make(name, triplet_dim=3)
  out = tmp_path / "out"
  difference = folder.export(
      out, export.write_huggingface, model, params, title="mine"
  )
  assert difference == 0
  card = (out / "README.md").read_text()
  assert "tensors were read back" in card and "differ by" not in card
  _, again = weights.load(out, variant)
  wanted = flax.traverse_util.flatten_dict(params["backbone"])
  found = flax.traverse_util.flatten_dict(again["backbone"])
  assert found.keys() == wanted.keys()
  for key, value in wanted.items():
    np.testing.assert_array_equal(found[key], value)
  config = json.loads((out / "config.json").read_text())
  assert config["image_size"] == 10 and config["hidden_size"] == 12
  pixels = json.loads((out / "preprocessor_config.json").read_text())
  if name == "siglip-b16":
    assert pixels["image_mean"] == pixels["image_std"] == [0.5] * 3
  if name == "dinov2-b14":
    assert pixels["image_mean"] == [0.485, 0.456, 0.406]
    assert pixels["image_std"] == [0.229, 0.224, 0.225]


@pytest.mark.parametrize("name", ["siglip-b16", "dinov2-b14"])
def test_positions_for_another_size_than_the_one_served(tmp_path, name):
  _, model, params = _make(name, grid=(5, 5))
  out = tmp_path / "out"
  folder.export(out, export.write_huggingface, model, params, title="mine")
  # Of the grid, for which it has positions.
  assert json.loads((out / "config.json").read_text())["image_size"] == 20
  found = json.loads((out / "preprocessor_config.json").read_text())
  assert found["size"] == {"height": 10, "width": 10}
  card = (out / "README.md").read_text()
  assert "images of 10 pixels meet positions made for 20" in card
  asked = "interpolate_pos_encoding=True" in card
  assert asked == (name == "siglip-b16")  # Dinov2Model always does.


@pytest.mark.parametrize(
    "write", [export.write_huggingface, export.write_safetensors]
)
def test_a_scanned_model_is_exported_with_its_blocks_apart(tmp_path, write):
  _, model, params = _make("siglip-b16", depth=2)
  _, scanned, _ = _make("siglip-b16", depth=2, scan=True, remat=True)
  flat = flax.traverse_util.flatten_dict(params, sep="/")
  stacked = flax.traverse_util.unflatten_dict(blocks.stack(flat), sep="/")
  for name, args in (("a", (model, params)), ("b", (scanned, stacked))):
    folder.export(tmp_path / name, write, *args, title="mine")
  names = sorted(path.name for path in (tmp_path / "a").iterdir())
  assert "README.md" in names
  for name in names:
    a, b = ((tmp_path / out / name).read_bytes() for out in "ab")
    assert a == b, name


def test_ours_keeps_the_heads_and_a_card_tells(tmp_path):
  _, model, params = _make("cappa-b16", triplet_dim=3)
  out = tmp_path / "out"
  folder.export(
      out,
      export.write_safetensors,
      model,
      params,
      title="mine",
      base="CapPa",
      licence="MIT",
      metrics={"odd-one-out": 0.6},
  )
  found, again = models.load(out / "weights.safetensors")
  assert found == model
  np.testing.assert_array_equal(
      again["triplet_head"]["kernel"], params["triplet_head"]["kernel"]
  )
  card = (out / "README.md").read_text()
  for part in (
      "# mine",
      "Base model: CapPa",
      "Data: not given",
      "Licence: MIT",
      "differ by at most 0",
      "| odd-one-out | 0.6 |",
      '"patch_size": 4',
  ):
    assert part in card, card
  with pytest.raises(OutputExistsError):
    folder.export(out, export.write_safetensors, model, params, title="mine")


def test_metrics_are_figures_or_scores():
  score = {"mean": 0.5, "n": 3, "low": 0.4, "high": 0.6}
  scores = {"human/things/accuracy": score, "cka/biased": {"mean": None}}
  found = card.metrics_in({"scores": scores, "details": {}, "meta": {}}, "f")
  assert found == {"human/things/accuracy": 0.5}
  assert card.metrics_in({"a": 0.5, "b": "-"}, "f") == {"a": 0.5, "b": "-"}
  for wrong in ([0.5], {"a": {"b": 1}}, {"a": [1]}, 3):
    with pytest.raises(AlignetError, match="f.json: expected one JSON object"):
      card.metrics_in(wrong, "f.json")


def test_only_an_export_is_replaced(tmp_path):
  _, model, params = _make("siglip-b16")

  def write(writer, out):
    folder.export(out, writer, model, params, title="x", overwrite=True)

  out = tmp_path / "out"
  for writer in (export.write_safetensors, export.write_huggingface):
    write(writer, out)
  (tmp_path / "README.md").write_text("my models")
  with pytest.raises(AlignetError, match="README.md of ours; it is not repl"):
    write(export.write_safetensors, tmp_path)
  (out / "notes.txt").touch()
  with pytest.raises(AlignetError, match="holds notes.txt"):
    write(export.write_safetensors, out)
  assert (out / "notes.txt").exists() and (out / "config.json").exists()


@pytest.mark.parametrize(
    "name, fields, message",
    [
        (
            "siglip-b16",
            dict(final_norm="after_pool"),
            "final_norm='after_pool'",
        ),
        ("siglip-b16", dict(patch_bias=False), "patch_bias=False"),
        ("siglip-b16", dict(pre_norm=True), "pre_norm=True"),
        ("vit-b16", dict(class_position=False), "class_position=False"),
        ("vit-b16", dict(pre_norm=True), "patch_bias=True, where it has False"),
        ("clip-b16", dict(layer_scale=1.0), "layer_scale=1.0"),
        ("clip-b16", dict(patch_bias=True), "patch_bias=True"),
        ("dinov2-b14", dict(mlp_dim=20), "mlp_dim=20, .* of the width 12"),
        ("dinov2-b14", dict(pool="gap"), "pool='gap', where it has 'tok'"),
        (
            "siglip-b16",
            dict(grid=(3, 3), resampling="bilinear"),
            "resampling='bilinear' to images of 10 pixels",
        ),
    ],
)
def test_what_transformers_would_compute_differently(
    tmp_path, name, fields, message
):
  _, model, params = _make(name, **fields)
  with pytest.raises(AlignetError, match=message):
    folder.export(
        tmp_path / "out", export.write_huggingface, model, params, title="mine"
    )
  assert not list(tmp_path.iterdir())


def test_what_cannot_be_exported_leaves_nothing(tmp_path):
  _, model, params = _make("cappa-b16")
  with pytest.raises(AlignetError, match="--to=safetensors"):
    folder.export(
        tmp_path / "out", export.write_huggingface, model, params, title="mine"
    )
  _, model, params = _make("siglip-b16")
  params["backbone"]["embedding"]["bias"][0] = np.nan
  with pytest.raises(AlignetError, match="other values"):
    folder.export(
        tmp_path / "out", export.write_safetensors, model, params, title="mine"
    )
  assert not list(tmp_path.iterdir())
