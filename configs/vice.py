r"""VICE through Kauldron: odd-one-out choices to an embedding, on any device.

  python -m alignet.train --cfg=vice --cfg.workdir=out/vice \
    --cfg.aux.triplets=T.npy --cfg.aux.n_objects=1854

Rows of T are three object numbers, the odd one last (Muttenthaler et al. 2022).
Without it, simulated choices stand in. The result is `out/vice/vice.npz`, the
posterior of the dimensions in use, for `alignet teach --posterior`.

The prior is the paper's default (spike-and-slab, .5, .25, 1), the number of
steps ours. `alignet vice` finds that by itself, when the number of dimensions
is stable, and anneals the prior's weight: prefer it on one machine.
"""

from kauldron import konfig

# pylint: disable=g-import-not-at-top
with konfig.imports():
  from alignet.training import writer
  from kauldron import kd
  import optax
  from uncertainty_distillation import data
  from uncertainty_distillation import model
  from uncertainty_distillation import vice
  from uncertainty_distillation.vice import model as vice_model
# pylint: enable=g-import-not-at-top


def get_config():
  """The experiment."""
  cfg = kd.train.Trainer()
  cfg.seed = 0
  cfg.workdir = ""
  cfg.aux = {
      "triplets": "",
      "probabilities": "",
      "n_objects": 0,
      "batch_size": 4096,
      "learning_rate": 0.03,
      "eval_every": 1000,
  }
  prior = vice.Config(width=100, spike_weight=0.5, spike=0.25, slab=1.0)

  # Data
  choices = vice_model.Choices(
      triplets=cfg.ref.aux.triplets,
      probabilities=cfg.ref.aux.probabilities,
      n_objects=cfg.ref.aux.n_objects,
      seed=cfg.ref.seed,
  )
  cfg.train_ds = kd.data.py.DataSource(
      data_source=data.TeacherBatches(
          data=choices,
          batch_size=cfg.ref.aux.batch_size,
          num_batches=cfg.ref.num_train_steps + 1,
          seed=cfg.ref.seed,
      ),
      shuffle=False,
      batch_size=None,
      num_workers=0,
      shard_by_process=False,  # Each takes its share of every batch.
  )

  # Model
  cfg.model = vice_model.Posterior(choices=choices, config=prior)

  # Training
  cfg.num_train_steps = 10_000
  cfg.train_losses = {
      "kl": model.TripletKL(),
      "divergence": vice_model.Divergence(),
  }
  cfg.log_metrics_every = 100
  cfg.log_summaries_every = 1_000_000
  cfg.writer = writer.JsonlWriter()
  cfg.profiler = None
  cfg.schedules = {
      "learning_rate": optax.linear_schedule(
          init_value=cfg.ref.aux.learning_rate,
          end_value=0.0,
          transition_begin=cfg.ref.num_train_steps * 9 // 10,
          transition_steps=cfg.ref.num_train_steps // 10,
      )
  }
  cfg.optimizer = kd.optim.named_chain(
      **{
          "adam": optax.scale_by_adam(),
          "rate": optax.scale_by_learning_rate(
              cfg.ref.schedules["learning_rate"]
          ),
      }
  )
  cfg.checkpointer = kd.ckpts.Checkpointer(
      save_interval_steps=1000, max_to_keep=1
  )

  # Evaluation and export
  cfg.evals = {
      "posterior": vice_model.PosteriorEvaluator(
          run=kd.evals.EveryNSteps(cfg.ref.aux.eval_every), config=prior
      ),
  }
  return cfg
