r"""VICE through Kauldron: odd-one-out choices to an embedding, on any device.

  python -m alignet.train vice --cfg.workdir=out/vice \
    --cfg.aux.triplets=T.npy --cfg.aux.n_objects=1854

Rows of T are three object numbers, the odd one last (Muttenthaler et al. 2022).
Without it, simulated choices stand in. The recipe is that of `alignet vice`:
the same choices and seed give the same embedding. `cfg.aux` has the fields that
`alignet vice --help` describes, by the same names; the seed is `cfg.seed`. The
result is `out/vice/vice.npz`, the posterior of the dimensions in use, for
`alignet teach --posterior`; it is written when their number is stable and the
learning rate has fallen to zero.
"""

from kauldron import konfig

# pylint: disable=g-import-not-at-top
with konfig.imports():
  from alignet.training import checkpoints
  from alignet.training import train_step
  from alignet.training import writer
  from kauldron import kd
  from uncertainty_distillation import data
  from uncertainty_distillation import vice
  from uncertainty_distillation.vice import model
  from uncertainty_distillation.vice import train
# pylint: enable=g-import-not-at-top

_FIT = {
    "width": 100,
    "spike_weight": 0.5,
    "spike": 0.25,
    "slab": 1.0,
    "learning_rate": 0.03,
    "batch": 4096,
    "anneal_from": 10.0,
    "anneal": 3000,
    "steps": 20_000,
    "check": 250,
    "window": 4,
    "decay": 1000,
    "alpha": 0.05,
    "min_objects": 5,
    "validation": 0.1,
    "samples": 50,
}


def get_config():
  """The experiment."""
  cfg = kd.train.Trainer()
  cfg.seed = 0
  cfg.workdir = ""
  cfg.aux = {"triplets": "", "probabilities": "", "n_objects": 0, **_FIT}
  how = vice.Config(
      seed=cfg.ref.seed, **{name: cfg.ref.aux[name] for name in _FIT}
  )

  # Data
  choices = model.Choices(
      config=how,
      triplets=cfg.ref.aux.triplets,
      probabilities=cfg.ref.aux.probabilities,
      n_objects=cfg.ref.aux.n_objects,
  )
  cfg.train_ds = kd.data.py.DataSource(
      data_source=data.TeacherBatches(
          data=choices,
          num_batches=cfg.ref.num_train_steps + 1,
      ),
      shuffle=False,
      batch_size=None,
      num_workers=0,
      shard_by_process=False,  # Each takes its share of every batch.
  )

  # Model
  cfg.model = model.Posterior(choices=choices)

  # Training: at most so many steps.
  cfg.num_train_steps = cfg.ref.aux.steps + cfg.ref.aux.decay
  cfg.train_losses = {
      "cross_entropy": model.Term(values="preds.cross_entropy"),
      "divergence": model.Term(values="preds.divergence"),
  }
  cfg.log_metrics_every = 100
  cfg.log_summaries_every = 1_000_000
  cfg.writer = writer.JsonlWriter()
  cfg.profiler = None
  cfg.trainstep = train_step.TrainStep(recipe=choices)
  cfg.optimizer = train.optimizer(config=how)
  cfg.checkpointer = checkpoints.Checkpointer(
      save_interval_steps=1000, max_to_keep=1
  )

  # Result
  cfg.evals = {
      "posterior": model.PosteriorResult(
          run=kd.evals.EveryNSteps(n=cfg.ref.aux.check), choices=choices
      ),
  }
  return cfg
