"""Exports an ONNX file with the released models' signature.

Needs the extra `export` (jax2onnx, onnxruntime).
"""

from collections.abc import Mapping
import pathlib
from typing import Any

from alignet import files
from alignet.errors import AlignetError
from alignet.export import card as card_lib
from alignet.export import serving
from alignet.models import checkpoints
from alignet.models.vision_model import VisionModel
import numpy as np

FILE_NAME = "model.onnx"
USAGE = (
    "import onnxruntime\n"
    f'model = onnxruntime.InferenceSession("{FILE_NAME}")\n'
    "features = model.run(['pre_logits'], {'images': images})[0]  # 0 to 1"
)


def to_onnx(
    out: files.Path,
    model: VisionModel,
    params: Mapping[str, Any],
    *,
    overwrite: bool = False,
    **card: Any,
) -> float:
  """Writes a folder: model.onnx and README.md; see `write`.

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
  """Writes `model.onnx` and reads it back with onnxruntime.

  Input `images` float32 [B, h, w, 3] in [0, 1], B free; outputs those of
  `serving.function` without the layers. Weights above 2 GB lie in a file beside
  it.

  Args:
    folder: an existing folder.
    model: the module, its grid stated.
    params: its parameters.

  Returns:
    The largest difference of an output, and a sentence that says it.

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
  heads = {
      "pre_logits": True,
      "triplet_logits": bool(model.triplet_dim),
      "i1k_logits": bool(model.num_classes),
  }
  names = [name for name, present in heads.items() if present]

  def ordered(images):
    outputs = serve(params, images)
    return tuple(outputs[name] for name in names)

  path = folder / FILE_NAME
  jax2onnx.to_onnx(
      ordered,
      [("B", *serving.size(model), 3)],
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

  return serving.check(model, params, again, layers=False)
