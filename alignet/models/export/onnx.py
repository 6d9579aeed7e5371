"""Exports an ONNX file with the released models' signature.

Needs the extra `export` (jax2onnx, onnxruntime).
"""

from collections.abc import Mapping
import pathlib
from typing import Any

from alignet.errors import AlignetError
from alignet.models.export import serving
from alignet.models.export.folder import Written
from alignet.models.vit.vision_model import VisionModel
import numpy as np

FILE_NAME = "model.onnx"
USAGE = (
    "import onnxruntime\n"
    f'model = onnxruntime.InferenceSession("{FILE_NAME}")\n'
    "features = model.run(['pre_logits'], {'images': images})[0]  # 0 to 1"
)


def write(
    folder: pathlib.Path, model: VisionModel, params: Mapping[str, Any]
) -> Written:
  """Writes `model.onnx` and reads it back: see `folder.Writer`.

  Input `images` float32 [B, h, w, 3] in [0, 1], B free; outputs those of
  `serving.function` without the layers.

  Raises:
    AlignetError: the extra is not installed, or what was read back computes
      something else.
  """
  try:
    import jax2onnx  # pylint: disable=g-import-not-at-top
    import onnxruntime  # pylint: disable=g-import-not-at-top
  except ImportError as e:
    raise AlignetError(
        f"ONNX export needs {e.name}: pip install 'alignet[export]'"
    ) from e
  serve = serving.function(model, layers=False)
  names = model.outputs

  def ordered(images):
    outputs = serve(params, images)
    return tuple(outputs[name] for name in names)

  path = folder / FILE_NAME
  jax2onnx.to_onnx(
      ordered,
      [("B", *model.size, 3)],
      model_name="alignet",
      return_mode="file",
      output_path=path,
      input_names=["images"],
      output_names=names,
  )
  session = onnxruntime.InferenceSession(
      path, providers=["CPUExecutionProvider"]
  )

  def again(images: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(names, session.run(names, {"images": images})))

  return Written(
      model, *serving.check(model, params, again, layers=False), USAGE
  )
