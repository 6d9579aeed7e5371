"""An exported model: a folder with what one writer wrote, and a model card."""

from collections.abc import Callable, Mapping
import pathlib
from typing import Any, NamedTuple

from alignet.io import files
from alignet.io import folders
from alignet.models.export import card as card_lib
from alignet.models.formats import checkpoints
from alignet.models.vit import blocks
from alignet.models.vit.vision_model import VisionModel
from alignet.models.vit.vision_model import with_grid
import flax

_CARD = "README.md"

_OTHERS = (
    *("*.safetensors", "config.json", "preprocessor_config.json"),
    *("saved_model.pb", "fingerprint.pb", "variables/variables.*"),
    "model.onnx*",
)
"""What the writers write, whichever it is."""


class Written(NamedTuple):
  """What a writer says of the files it wrote and read back.

  Attributes:
    model: the part of the model that they hold.
    difference: the largest of an output, see `serving.check`, or of a tensor.
    parity: a sentence that says it.
    usage: lines of code that load them.
  """

  model: VisionModel
  difference: float
  parity: str
  usage: str


Writer = Callable[[pathlib.Path, VisionModel, Mapping[str, Any]], Written]
"""Fills an existing folder from a model, whose grid is stated and whose blocks
are apart, and its parameters; an error is raised where what it reads back is
something else."""


def export(
    out: files.Path,
    write: Writer,
    model: VisionModel,
    params: Mapping[str, Any],
    *,
    overwrite: bool = False,
    **card: Any,
) -> float:
  """Writes the folder, whole or not at all.

  Args:
    out: the folder.
    write: the writer: of `weights`, `saved_model` or `onnx`.
    model: the module.
    params: its parameters.
    overwrite: replace an existing folder.
    **card: title, base, data, licence, metrics, training: see `card.card`.

  Returns:
    The largest difference after reading back, see `Written`.

  Raises:
    OutputExistsError: the folder exists.
    AlignetError: it is no export, or holds other files; what the writer
      raises.
  """
  folders.check(out, _CARD, card_lib.PARITY, _OTHERS, overwrite=overwrite)
  model, params = _for_inference(with_grid(model, params), params)
  with files.atomic_directory(out, overwrite=overwrite) as folder:
    written = write(folder, model, params)
    text = card_lib.card(
        config=checkpoints.describe(written.model),
        parity=written.parity,
        usage=written.usage,
        **card,
    )
    with files.atomic_write(folder / _CARD) as f:
      f.write(text.encode())
  return written.difference


def _for_inference(
    model: VisionModel, params: Mapping[str, Any]
) -> tuple[VisionModel, dict[str, Any]]:
  """The same function, without options that only help training."""
  vit = model.backbone.clone(remat=False, scan=False)
  flat = flax.traverse_util.flatten_dict(dict(params), sep="/")
  params = flax.traverse_util.unflatten_dict(blocks.unstack(flat), sep="/")
  return model.clone(backbone=vit), params
