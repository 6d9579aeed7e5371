"""A training that starts from given weights."""

import dataclasses

from alignet.models.formats import checkpoints
from alignet.models.formats import weights
import flax
import jax
from kauldron import kd
import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class InitFromWeights(kd.ckpts.InitTransform):
  """Starts training from weights of any known format.

  Runs before the optimizer is made, so `decay_to_init` pulls towards these
  weights.

  Attributes:
    path: a file, or the folder of a checkpoint; see
      `alignet.models.formats.weights`.
    new: top-level modules that the file need not hold and that keep their
      random start.
    unused: top-level modules of the file that the model need not have.
    allow_half: accept float16 and bfloat16; they are converted.
  """

  path: str
  new: tuple[str, ...] = ("triplet_head", "i1k_head")
  unused: tuple[str, ...] = ("class_head", "i1k_head")
  allow_half: bool = False

  def transform(self, state):
    flat = flax.traverse_util.flatten_dict(dict(state.params), sep="/")
    expected = {k: np.shape(v) for k, v in flat.items()}
    tensors = weights.read(self.path, expected, allow_half=self.allow_half)
    checkpoints.check_tree(
        tensors,
        expected,
        self.path,
        may_lack=self.new,
        may_exceed=self.unused,
    )
    loaded = {
        k: jax.device_put(tensors[k].astype(v.dtype), v.sharding)
        if k in tensors
        else v
        for k, v in flat.items()
    }
    params = flax.traverse_util.unflatten_dict(loaded, sep="/")
    return state.replace(params=params)
