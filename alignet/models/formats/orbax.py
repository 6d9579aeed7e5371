"""Weights of a Kauldron training, whose checkpoints are Orbax's."""

import pathlib

from alignet.errors import AlignetError
import flax
import jax
import numpy as np


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Flat parameters of a training's last checkpoint.

  Args:
    path: a workdir, its folder `checkpoints`, or one checkpoint.

  Raises:
    AlignetError: no checkpoint there.
  """
  import orbax.checkpoint as ocp  # pylint: disable=g-import-not-at-top

  folder = path / "checkpoints" if (path / "checkpoints").is_dir() else path
  steps = [
      (int(p.name.removeprefix("ckpt_")), p)
      for p in folder.glob("ckpt_*")
      if p.name.removeprefix("ckpt_").isdigit()
  ]
  step = max(steps)[1] if steps else folder
  if (step / "default").is_dir():
    step = step / "default"
  checkpointer = ocp.Checkpointer(ocp.PyTreeCheckpointHandler())
  try:
    metadata = checkpointer.metadata(step.absolute()).item_metadata
    if metadata is None:
      raise ValueError("no checkpoint")
    # The parameters alone: the optimizer's state is twice as large.
    wanted = {"params": metadata.tree["params"]}
    # Without a sharding of its own each array goes to one device.
    args = ocp.args.PyTreeRestore(
        item=wanted,
        restore_args=jax.tree.map(
            lambda _: ocp.RestoreArgs(restore_type=np.ndarray), wanted
        ),
        partial_restore=True,
    )
    params = checkpointer.restore(step.absolute(), args=args)["params"]
  except (ValueError, OSError, KeyError) as e:
    reason = (str(e).strip().splitlines() or [type(e).__name__])[0]
    raise AlignetError(
        f"{path} holds no checkpoint of a training: expected ckpt_N folders, a"
        f" single one of them, or a model.safetensors ({reason})"
    ) from e
  return flax.traverse_util.flatten_dict(params, sep="/")
