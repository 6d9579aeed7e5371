"""Generates an AligNet npz from a config.

python -m response_generation.main \
      --config=configs/response_generation/aligned.py \
      --config.representations=DIR --config.triplets=triplets.npz \
      --config.transform=transform.npz --config.out=aligned/train.npz
"""

from collections.abc import Callable, Sequence
import sys
from typing import Any

from absl import app
from absl import flags
from alignet.errors import AlignetError
from alignet.io import config_files
import ml_collections
from ml_collections import config_flags
from response_generation import respond

_CONFIG = config_flags.DEFINE_config_file(
    "config",
    None,
    "Config of the responses, see configs/response_generation/.",
    lock_config=True,
)


def run(config: ml_collections.ConfigDict, **options: Any) -> dict[str, Any]:
  """Responds as a config says; returns the meta of the npz.

  Every field but `clusters` has to be set: a config of aligned responses
  without a transform is an error, never responses without one.

  Args:
    config: fields are arguments of `respond.respond`.
    **options: more of them.

  Raises:
    AlignetError: a field that is not set, and all that `respond` raises.
  """
  arguments = config.to_dict()
  if not arguments.get("clusters"):
    arguments.pop("clusters", None)
  unset = [key for key, value in arguments.items() if value in (None, "")]
  if unset:
    raise AlignetError(
        f"the config leaves {', '.join(unset)} open; set"
        f" {' '.join(f'--config.{key}=...' for key in unset)}"
    )
  return respond.respond(**arguments, **options)


def main(argv: Sequence[str], **options: Any) -> int:
  """Entry point; 0 when done, 2 when something given cannot be used.

  Args:
    argv: what absl leaves of the command line.
    **options: arguments of `respond.respond` beside those of the config.
  """
  try:
    if len(argv) > 1:
      raise AlignetError(
          f"unexpected argument {argv[1]!r}; flags begin with --"
      )
    meta = run(_CONFIG.value, **options)
  except AlignetError as e:
    return _fail(e)
  print(respond.summary(_CONFIG.value.out, meta))
  return 0


def find_config(argv: Sequence[str]) -> list[str]:
  """Arguments in which a config's name has become the path of its file."""
  flag = "--config="
  return [
      f"{flag}{config_files.resolve(arg.removeprefix(flag))}"
      if arg.startswith(flag)
      else arg
      for arg in argv
  ]


def _fail(error: AlignetError) -> int:
  print(f"response_generation: error: {error}", file=sys.stderr)
  return 2


def start(entry: Callable[[Sequence[str]], int]) -> None:
  """Runs an entry point on the command line of this process."""
  flags.mark_flag_as_required("config")
  try:
    sys.argv = find_config(sys.argv)  # config_flags looks for overrides there.
  except AlignetError as e:
    sys.exit(_fail(e))
  app.run(entry)


if __name__ == "__main__":
  start(main)
