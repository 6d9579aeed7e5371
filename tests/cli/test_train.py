"""`alignet train`: what it refuses, in this process."""

import os

from absl import flags
from alignet.cli import main
import pytest


@pytest.fixture(autouse=True, scope="module")
def _parsed_flags():
  yield
  flags.FLAGS.mark_as_parsed()


def _error(capsys, *argv):
  assert main.main(["train", *argv]) == 2
  err = capsys.readouterr().err.strip().splitlines()
  assert err[-1].startswith("alignet train: error: "), err
  return err[-1]


def test_unknown_config(capsys):
  message = _error(capsys, "--cfg=unknown")
  assert "unknown is neither a file nor the name of a config" in message


def test_no_config(capsys):
  assert "expected a config, as --cfg=NAME or a path" in _error(capsys)


def test_missing_workdir(capsys):
  assert "--cfg.workdir=PATH" in _error(capsys, "--cfg=base")


def test_missing_images(capsys, tmp_path):
  message = _error(
      capsys,
      "--cfg=base",
      f"--cfg.workdir={tmp_path}",
      f"--cfg.aux.images={tmp_path / 'nowhere'}",
  )
  assert "nowhere" in message and "does not exist" in message


@pytest.mark.parametrize(
    "override, part",
    [
        ("--cfg.nonsense=3", "nonsense"),
        ("--cfg.num_train_steps=abc", "num_train_steps"),
    ],
)
def test_overrides_that_do_not_fit(capsys, tmp_path, override, part):
  message = _error(capsys, "--cfg=base", f"--cfg.workdir={tmp_path}", override)
  assert part in message


def test_a_config_of_something_else(capsys, tmp_path):
  message = _error(
      capsys,
      "--cfg=response_generation/aligned",
      f"--cfg.workdir={tmp_path}",
  )
  assert "config" in message


def test_a_run(capsys, tmp_path, tiny_world):
  argv = [
      "--cfg=base",
      f"--cfg.workdir={os.path.relpath(tmp_path)}",
      f"--cfg.aux.images={tiny_world['images']}",
      "--cfg.num_train_steps=1",
      "--cfg.model.backbone.width=8",
      "--cfg.model.backbone.depth=1",
      "--cfg.model.backbone.num_heads=2",
  ]
  assert main.main(["train", *argv]) == 0
  path, word, digest = capsys.readouterr().out.split()[-3:]
  assert path == str(tmp_path / "weights.safetensors")
  assert word == "sha256" and len(digest) == 64
  # Overrides do not stick: another run in this process starts afresh.
  assert "--cfg.workdir=PATH" in _error(capsys, "--cfg=base")
