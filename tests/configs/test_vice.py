"""VICE's Kauldron config: one shrunk training, and what it refuses."""

from absl import flags
from alignet.errors import AlignetError
from alignet.io import config_files
import jax
from kauldron import konfig
import numpy as np
import pytest
from uncertainty_distillation import vice
from uncertainty_distillation.vice import objective
from uncertainty_distillation.vice import train

if not flags.FLAGS.is_parsed():
  flags.FLAGS.mark_as_parsed()


def _config(workdir, *overrides):
  cfg = config_files.load("vice", [f"workdir={workdir}", *overrides])
  cfg.checkpointer = None
  return cfg


def test_training_finds_the_dimensions_of_simulated_choices(tmp_path):
  trainer = konfig.resolve(
      _config(
          tmp_path,
          "num_train_steps=1500",
          "aux.eval_every=1500",
          "aux.batch_size=1024",
          "model.config.width=20",
          "evals.posterior.config.width=20",
      )
  )
  trainer.train()
  found = vice.load(tmp_path / "vice.npz")
  # Six made the choices; some of the other fourteen are gone.
  assert found.mu.shape[0] == 40 and 6 <= found.mu.shape[1] < 18
  judgments = trainer.model.choices.training
  p, _ = vice.posterior_predictive(
      found.mu, found.sigma, judgments.triplets, samples=20, seed=0
  )
  # Choices put the chosen pair first.
  assert -np.log(p[:, 0]).mean() < np.log(3) - 0.15


def test_the_losses_add_up_to_the_objective(tmp_path):
  trainer = konfig.resolve(_config(tmp_path))
  model, judgments = trainer.model, trainer.model.choices.training
  params = train.initial(judgments.n_concepts, model.config)
  triplets, targets = judgments.triplets[:50], judgments.probabilities[:50]
  noise = {}

  def normal(key, shape):
    noise["eps"] = 0.1 * np.ones(shape, np.float32)
    return noise["eps"]

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(jax.random, "normal", normal)
    preds = model.apply(
        {"params": params}, triplets, rngs={"default": jax.random.key(0)}
    )
  losses = trainer.train_losses
  got = losses["kl"].get_values(preds["similarities"], targets).mean()
  got += losses["divergence"].get_values(preds["divergence"])
  expected = objective.loss(
      params,
      noise["eps"],
      triplets,
      targets,
      n=len(judgments),
      config=model.config,
  )
  np.testing.assert_allclose(got, expected, rtol=1e-5)


@pytest.mark.parametrize(
    "given, missing",
    [
        ("aux.triplets=T.npy", "n_objects"),
        ("aux.probabilities=P.npy", "triplets"),
        ("aux.n_objects=9", "triplets"),
    ],
)
def test_half_of_what_is_needed(given, missing, tmp_path):
  cfg = _config(tmp_path, given)
  with pytest.raises(AlignetError, match=f"--cfg.aux.{missing}="):
    konfig.resolve(cfg).train_ds.data_source[0]
