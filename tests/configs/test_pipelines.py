"""Wiring of the pipeline configs: every argument has a taker."""

import inspect
import pathlib

from alignet.errors import AlignetError
from alignet.io import config_files
from alignet.pipeline import runner
from alignet.pipeline import stages
import pytest

_WITHOUT_TRAINING = {
    *("pipeline/choices", "pipeline/image_folder"),
    *("pipeline/imagenet", "pipeline/mini_imagenet"),
}
_NAMES = [n for n in config_files.names() if n.startswith("pipeline/")]


def _config(name, tmp_path):
  """The config with a file behind each path it leaves open."""
  config = config_files.load(name)
  for key in config.get("paths", {}):
    path = tmp_path / key
    path.write_text(key)
    config.paths[key] = str(path)
  return config


def _arguments(plan):
  inputs = {key: pathlib.Path(source) for key, source, _ in plan["inputs"]}
  inputs |= {key: pathlib.Path(path) for key, path in plan["files"].items()}
  return runner.merge(runner.nest(inputs), plan["params"])


def test_there_are_pipelines():
  assert "pipeline/demo" in _NAMES
  assert "pipeline/cifar100_things" in _NAMES


@pytest.mark.parametrize("name", _NAMES)
def test_arguments_fit_their_stages(name, tmp_path):
  plans = runner.plan(_config(name, tmp_path))
  assert len(plans) >= 5
  for plan in plans.values():
    signature = inspect.signature(plan["function"])
    signature.bind(tmp_path, **_arguments(plan))


@pytest.mark.parametrize("name", _NAMES)
def test_overrides_fit_their_trainings(name, tmp_path):
  plans = runner.plan(_config(name, tmp_path))
  trainings = [p for p in plans.values() if p["function"] is stages.train]
  assert bool(trainings) == (name not in _WITHOUT_TRAINING)
  for plan in trainings:
    fields = _arguments(plan)
    where = fields.pop("config")
    stages.override(config_files.load(where), fields, where)


@pytest.mark.parametrize("name", _NAMES)
def test_what_is_published_comes_from_a_stage(name, tmp_path):
  config = _config(name, tmp_path)
  for source in runner.published(config):
    assert source.partition("/")[0] in config.stages


def test_an_override_without_a_field_is_an_error():
  with pytest.raises(AlignetError, match="no field 'nonsense'"):
    stages.override(config_files.load("base"), dict(nonsense=1), "base")


def test_paths_left_open_are_named():
  config = config_files.load("cifar100_things")
  with pytest.raises(AlignetError, match="needs the path"):
    runner.plan(config)
