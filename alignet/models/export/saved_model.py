"""Exports a TensorFlow SavedModel with the released models' signature.

Needs TensorFlow (extra `export`).
"""

from collections.abc import Mapping
import pathlib
from typing import Any

from alignet.models.export import serving
from alignet.models.export.folder import Written
from alignet.models.formats import saved_model as reader
from alignet.models.vit.vision_model import VisionModel
import jax
import numpy as np

USAGE = (
    "import tensorflow as tf\n"
    'model = tf.saved_model.load("FOLDER").signatures["serving_default"]\n'
    "features = model(images=images)['pre_logits']  # float32, 0 to 1"
)


def write(
    folder: pathlib.Path, model: VisionModel, params: Mapping[str, Any]
) -> Written:
  """Writes the SavedModel and reads it back: see `folder.Writer`.

  `serving_default(images float32 [b, h, w, 3] in [0, 1])` has the outputs of
  `serving.function`; b is free.

  Raises:
    AlignetError: TensorFlow is not installed, or what was read back computes
      something else.
  """
  tf = reader.tensorflow()
  # pylint: disable-next=g-import-not-at-top
  from jax.experimental import jax2tf

  height, width = model.size
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
  again = reader.open(folder)
  return Written(model, *serving.check(model, params, again), USAGE)
