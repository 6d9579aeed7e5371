"""Generates an AligNet npz from a config.

python -m response_generation.main aligned \
      --cfg.representations=DIR --cfg.triplets=triplets.npz \
      --cfg.transform=transform.npz --cfg.out=aligned/train.npz

The config goes by its name, or by a path, also as `--cfg=NAME_OR_PATH`.
"""

from collections.abc import Callable, Sequence
import sys
from typing import Any

from absl import app
from absl import flags
from alignet.errors import AlignetError
from alignet.io import config_files
from alignet.io import identities
import ml_collections
from ml_collections import config_flags
from response_generation import respond

_CONFIG = config_flags.DEFINE_config_file(
    "cfg",
    None,
    "Config of the responses, see configs/response_generation/.",
    lock_config=True,
)


def load(name: str, overrides: Sequence[str]) -> ml_collections.ConfigDict:
  """The config of that name, of `configs/response_generation` or a file.

  Raises:
    AlignetError: no such config, one of something else, an unknown key.
  """
  config = config_files.load(name, overrides)
  if "representations" not in config or "triplets" not in config:
    raise AlignetError(
        f"expected the config of responses, found {name}, which describes"
        " something else; see configs/response_generation"
    )
  return config


def arguments(config: ml_collections.ConfigDict) -> dict[str, Any]:
  """Arguments of `respond.respond` that a config holds.

  Every field but `clusters`, `rows` and `columns` has to be set: a config of
  aligned responses without a transform is an error, never responses without.

  Raises:
    AlignetError: a field that is not set.
  """
  fields = config.to_dict()
  if not fields.get("clusters"):
    fields.pop("clusters", None)
  vouched = {name: fields.pop(name, None) for name in ("rows", "columns")}
  unset = [key for key, value in fields.items() if value in (None, "")]
  if unset:
    raise AlignetError(
        f"the config leaves {', '.join(unset)} open; set"
        f" {' '.join(f'--cfg.{key}=...' for key in unset)}"
    )
  return fields | {"trust": identities.Trust(**vouched)}


def run(config: ml_collections.ConfigDict, **options: Any) -> dict[str, Any]:
  """Responds as a config says; returns the meta of the npz.

  Args:
    config: see `arguments`.
    **options: more arguments of `respond.respond`.

  Raises:
    AlignetError: a field that is not set, and all that `respond` raises.
  """
  return respond.respond(**arguments(config), **options)


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


def command_line(argv: Sequence[str]) -> list[str]:
  """The arguments for absl: the config by its path, keys checked.

  Args:
    argv: NAME or `--cfg=NAME_OR_PATH`, overrides, other flags; what stands
      behind `--` is left as it is.

  Raises:
    AlignetError: no config, one of something else, an unknown key.
  """
  ours, behind = list(argv), []
  if "--" in ours:
    behind = ours[ours.index("--") :]
    ours = ours[: -len(behind)]
  for argument in ours:
    if argument.partition("=")[0].split(".")[0] == "--config":
      raise AlignetError("--config is now called --cfg")
  if any(a.lstrip("-").startswith("help") for a in ours):
    return [*ours, *behind]
  overrides, rest = config_files.split_overrides(ours)
  name, rest = config_files.split_name(rest)
  load(name, overrides)  # Which names what absl would end on with a traceback.
  return [
      f"--cfg={config_files.resolve(name)}",
      *(f"--cfg.{item}" for item in overrides),
      *rest,
      *behind,
  ]


def _fail(error: AlignetError) -> int:
  print(f"response_generation: error: {error}", file=sys.stderr)
  return 2


def start(entry: Callable[[Sequence[str]], int]) -> None:
  """Runs an entry point on the command line of this process."""
  flags.mark_flag_as_required("cfg")
  try:
    # config_flags looks for overrides there.
    sys.argv = [sys.argv[0], *command_line(sys.argv[1:])]
  except AlignetError as e:
    sys.exit(_fail(e))
  app.run(entry)


if __name__ == "__main__":
  start(main)
