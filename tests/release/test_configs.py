"""The release configs: every argument has a taker."""

import inspect
import pathlib

from alignet.errors import AlignetError
from alignet.io import config_files
from alignet.pipeline import runner
import pytest

_NAMES = ("pipeline/imagenet", "pipeline/mini_imagenet")


@pytest.mark.parametrize("name", _NAMES)
def test_arguments_fit_their_stages(name, tmp_path):
  config = config_files.load(name)
  for key in config.paths:
    (tmp_path / key).write_text(key)
    config.paths[key] = str(tmp_path / key)
  plans = runner.plan(config)
  for plan in plans.values():
    inputs = {key: pathlib.Path(source) for key, source, _ in plan["inputs"]}
    inputs |= {key: pathlib.Path(path) for key, path in plan["files"].items()}
    arguments = runner.merge(runner.nest(inputs), plan["params"])
    inspect.signature(plan["function"]).bind(tmp_path, **arguments)
  # An override reaches the stages.
  changed = config_files.load(
      name, [f"paths.{k}={v}" for k, v in config.paths.items()] + ["n_val=7"]
  )
  after = runner.plan(changed)
  assert after["release"]["fingerprint"] != plans["release"]["fingerprint"]


def test_paths_left_open_are_named():
  with pytest.raises(AlignetError, match="needs the path 'representations'"):
    runner.plan(config_files.load("pipeline/imagenet"))
