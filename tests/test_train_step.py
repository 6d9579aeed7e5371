"""The training step compiles once, whatever is logged, and after a resume."""

import collections
import logging

from alignet import models
from alignet import train
from alignet import train_step
from alignet.metrics import writer
import jax
from kauldron import konfig
import pytest


@pytest.fixture
def compiled(monkeypatch):
  """Counts the programs that JAX compiles, by name."""
  counts = collections.Counter()

  class Handler(logging.Handler):

    def emit(self, record):
      words = record.getMessage().split()
      if words[0] == "Compiling":
        counts[words[1]] += 1

  logger = logging.getLogger("jax._src.interpreters.pxla")
  handler = Handler()
  logger.addHandler(handler)
  level = logger.level
  with jax.log_compiles():
    yield counts
  logger.removeHandler(handler)
  logger.setLevel(level)


def test_student(compiled, shrunk, tiny_world, tmp_path):
  # Logs at 0, 4 and 8, evaluates and saves at the same steps.
  cfg = shrunk("student/small", tmp_path, overrides=["aux.unique_images=60"])
  cfg.init_transform = None
  cfg.stop_after_steps = 6
  trainer = konfig.resolve(cfg)
  assert isinstance(trainer.trainstep, train_step.TrainStep)
  trainer.train()
  assert compiled["jit(step)"] == 1
  compiled.clear()
  cfg.stop_after_steps = None
  weights = train.train(konfig.resolve(cfg))
  assert compiled["jit(step)"] <= 1
  curves = writer.read_scalars(tmp_path / "scalars" / "train.jsonl")
  assert list(curves["losses/total"]) == [0, 4, 8]
  assert list(curves["metrics/synthetic_accuracy"]) == [0, 4, 8]
  model, _ = models.load(weights)
  assert model.triplet_dim == 6
