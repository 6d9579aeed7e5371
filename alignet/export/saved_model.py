"""Exports a TensorFlow SavedModel with the released models' signature."""

from collections.abc import Mapping
import pathlib
from typing import Any

from alignet import files
from alignet.export import card as card_lib
from alignet.export import serving
from alignet.models import checkpoints
from alignet.models.vision_model import VisionModel
import numpy as np

USAGE = (
    "import tensorflow as tf\n"
    'model = tf.saved_model.load("FOLDER").signatures["serving_default"]\n'
    "features = model(images=images)['pre_logits']  # float32, 0 to 1"
)


def to_saved_model(
    out: files.Path,
    model: VisionModel,
    params: Mapping[str, Any],
    *,
    overwrite: bool = False,
    **card: Any,
) -> float:
  """Writes a folder: a TensorFlow SavedModel and README.md; see `write`.

  Args:
    out: the folder.
    model: the module.
    params: its parameters.
    overwrite: replace an existing folder.
    **card: title, base, data, licence, metrics: see `card.card`.

  Returns:
    The largest difference of an output after reading back.

  Raises:
    OutputExistsError: the folder exists.
    AlignetError: what `write` raises.
  """
  model = serving.with_grid(model, params)
  with files.atomic_directory(out, overwrite=overwrite) as folder:
    difference, sentence = write(folder, model, params)
    text = card_lib.card(
        config=checkpoints.describe(model),
        parity=sentence,
        usage=USAGE,
        **card,
    )
    with files.atomic_write(folder / "README.md") as f:
      f.write(text.encode())
  return difference


def write(
    folder: pathlib.Path, model: VisionModel, params: Mapping[str, Any]
) -> tuple[float, str]:
  """Writes the SavedModel and reads it back.

  `serving_default(images float32 [b, h, w, 3] in [0, 1])` has the outputs of
  `serving.function`; b is free.

  Args:
    folder: an existing folder.
    model: the module, its grid stated.
    params: its parameters.

  Returns:
    The largest difference of an output, and a sentence that says it.

  Raises:
    AlignetError: what was read back computes something else.
  """
  import jax  # pylint: disable=g-import-not-at-top
  from jax.experimental import jax2tf  # pylint: disable=g-import-not-at-top
  import tensorflow as tf  # pylint: disable=g-import-not-at-top

  height, width = serving.size(model)
  call = jax2tf.convert(
      serving.function(model),
      polymorphic_shapes=(None, f"(b, {height}, {width}, 3)"),
      with_gradient=False,
      native_serialization_platforms=("cpu", "cuda", "tpu"),
  )
  module = tf.Module()
  module.params = tf.nest.map_structure(
      tf.Variable, jax.tree.map(np.asarray, dict(params))
  )
  signature = tf.TensorSpec((None, height, width, 3), tf.float32, "images")
  module.serve = tf.function(
      lambda images: call(module.params, images),
      input_signature=[signature],
      autograph=False,
  )
  tf.saved_model.save(
      module, str(folder), signatures={"serving_default": module.serve}
  )
  loaded = tf.saved_model.load(str(folder))
  serve = loaded.signatures["serving_default"]

  def again(images):
    return {
        name: value.numpy()
        for name, value in serve(images=tf.constant(images)).items()
    }

  return serving.check(model, params, again)
