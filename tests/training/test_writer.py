import json
import math

from alignet.errors import AlignetError
from alignet.training import writer as writer_lib
import numpy as np
import pytest


def _writer(tmp_path):
  return writer_lib.JsonlWriter(workdir=tmp_path, collection="train")


def _path(tmp_path):
  return tmp_path / "scalars" / "train.jsonl"


def test_write_then_read(tmp_path):
  writer = _writer(tmp_path)
  writer.write_scalars(10, {"loss": np.float32(0.5), "accuracy": 1})
  writer.write_scalars(0, {"loss": np.ones((), np.float32)})
  assert writer_lib.read_scalars(_path(tmp_path)) == {
      "loss": {0: 1.0, 10: 0.5},
      "accuracy": {10: 1.0},
  }
  assert list(writer_lib.read_scalars(_path(tmp_path))["loss"]) == [0, 10]


def test_the_last_word_on_a_step_counts(tmp_path):
  writer = _writer(tmp_path)
  for step, loss in [(0, 3.0), (10, 2.0), (20, 1.0), (10, 2.5)]:
    writer.write_scalars(step, {"loss": loss})
  writer.write_scalars(10, {"other": 7.0})  # Says nothing about the loss.
  assert writer_lib.read_scalars(_path(tmp_path)) == {
      "loss": {0: 3.0, 10: 2.5, 20: 1.0},
      "other": {10: 7.0},
  }


def test_every_line_is_json_and_what_is_not_finite_is_left_out(tmp_path):
  writer = _writer(tmp_path)
  writer.write_scalars(1, {"loss": math.nan, "a": math.inf, "b": 2.0})
  (line,) = _path(tmp_path).read_text().splitlines()
  strict = json.loads(line, parse_constant=pytest.fail)
  assert strict == {"step": 1, "loss": None, "a": None, "b": 2.0}
  assert writer_lib.read_scalars(_path(tmp_path)) == {"b": {1: 2.0}}


def test_half_a_line_is_ignored_and_does_not_spoil_the_next(tmp_path):
  writer = _writer(tmp_path)
  writer.write_scalars(0, {"loss": 3.0})
  writer.write_scalars(10, {"loss": 2.0})
  path = _path(tmp_path)
  path.write_bytes(path.read_bytes()[:-8])  # Killed while writing.
  assert writer_lib.read_scalars(path) == {"loss": {0: 3.0}}
  _writer(tmp_path).write_scalars(10, {"loss": 2.5})
  _writer(tmp_path).write_scalars(20, {"loss": 1.5})
  assert writer_lib.read_scalars(path) == {"loss": {0: 3.0, 10: 2.5, 20: 1.5}}


def test_missing_file(tmp_path):
  with pytest.raises(AlignetError, match="does not exist"):
    writer_lib.read_scalars(tmp_path / "train.jsonl")
