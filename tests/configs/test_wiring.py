"""Every key of a training config finds what it names."""

import jax
from kauldron import konfig
import pytest

_LOSSES = {"base": {"cross_entropy"}, "student/small": {"jsd", "kl", "hard"}}

_METRICS = {
    "base": {"accuracy"},
    "student/small": {"synthetic_accuracy", "synthetic_kl", "drift"},
}


@pytest.mark.parametrize("name", _LOSSES)
def test_context_specs(name, shrunk, tmp_path):
  weights = [] if name == "base" else ["aux.loss.kl=1.0", "aux.loss.hard=1.0"]
  trainer = konfig.resolve(shrunk(name, tmp_path, overrides=weights))
  context = trainer.context_specs
  assert set(context.loss_states) == _LOSSES[name]
  assert set(trainer.train_metrics) == _METRICS[name]
  for metric in trainer.train_metrics.values():
    jax.eval_shape(metric.get_state_from_context, context)
  predictions, batch = context.preds, context.batch
  assert predictions.pre_logits.shape[-1] == 8
  if name == "base":
    assert batch["images"].shape == (16, 8, 8, 3)
    assert predictions.class_logits.shape[0] == 16
    assert predictions.triplet_logits is None
  else:
    assert batch["images"].shape == (16, 3, 8, 8, 3)
    assert predictions.triplet_logits.shape == (16, 3, 6)
    assert predictions.class_logits is None
  assert all(
      x.dtype == "float32" for x in jax.tree.leaves(context.params["backbone"])
  )


@pytest.mark.parametrize("name", _LOSSES)
def test_shared_values_are_said_once(name, shrunk, tmp_path):
  cfg = shrunk(name, tmp_path, steps=40, overrides=["seed=5", "aux.peak=0.25"])
  trainer = konfig.resolve(cfg)
  source = trainer.train_ds.data_source
  assert source.seed == trainer.seed == 5
  # N steps are N + 1 updates, and each takes a batch.
  assert len(source) == 41
  schedule = trainer.schedules["learning_rate"]
  rates = [float(schedule(step)) for step in range(41)]
  assert max(rates) == pytest.approx(0.25)
  assert rates[0] == 0 and rates[-1] == pytest.approx(0, abs=1e-6)
