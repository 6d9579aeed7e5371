"""Weights of `transformers` in several safetensors files, and their index."""

import dataclasses
import pathlib

from alignet.errors import AlignetError
from alignet.io import json_files
from alignet.models.formats import checkpoints
import numpy as np

INDEX = "model.safetensors.index.json"


@dataclasses.dataclass(frozen=True)
class _Index:
  weight_map: dict[str, str]


def read(folder: pathlib.Path) -> dict[str, np.ndarray]:
  """All tensors of a folder with an `INDEX`.

  Raises:
    AlignetError: another index; a file is missing, damaged, or holds other
      tensors than the index says.
  """
  index = folder / INDEX
  again = "get the index again, from where the weights are"
  places = json_files.read(index, _Index, mend=again)["weight_map"]
  # Beside the index: a name that leads elsewhere is not followed.
  if not places or not all(
      pathlib.PurePath(name).name == name and name.isprintable()
      for name in places.values()
  ):
    raise AlignetError(
        f"{index}: expected a weight_map from each tensor to a file beside it;"
        f" {again}"
    )
  tensors = {}
  for name in sorted(set(places.values())):
    found, _ = checkpoints.read(folder / name)
    wanted = {tensor for tensor, file in places.items() if file == name}
    differ = sorted(wanted ^ found.keys())
    if differ:
      raise AlignetError(
          f"{folder / name} holds other tensors than {INDEX} says, of them"
          f" {differ[0]}; get both again, of one version"
      )
    tensors |= found
  return tensors
