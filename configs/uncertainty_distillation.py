r"""A teacher by uncertainty distillation, launched through Kauldron.

The recipe of `alignet teach`: the same inputs and seed give the same transform,
on CPUs, GPUs and TPUs, on one machine or many. Without inputs it learns from a
small simulated problem in seconds.

  python -m alignet.train uncertainty_distillation --cfg.workdir=out/teacher
  python -m kauldron.main --cfg=configs/uncertainty_distillation.py \
    --cfg.workdir=$PWD/out/teacher

With your own representations (row i of F shows concept C[i] of the posterior,
that of `alignet vice` or `configs/vice.py`):

  python -m alignet.train uncertainty_distillation --cfg.workdir=out/teacher \
    --cfg.aux.features=F.npy --cfg.aux.concepts=C.npy \
    --cfg.aux.posterior=vice.npz --cfg.aux.rows=as_stored

`cfg.aux` has the fields that `alignet teach --help` describes, by the same
names; the seed is `cfg.seed`. Above an alpha of 0 glocal's local term needs
`cfg.aux.local`. The result is `out/teacher/transform.npz`. The papers' own
settings are in `uncertainty_distillation_paper.py` and `glocal.py`.
"""

from kauldron import konfig

# pylint: disable=g-import-not-at-top
with konfig.imports():
  from alignet.training import checkpoints
  from alignet.training import train_step
  from alignet.training import writer
  from kauldron import kd
  from uncertainty_distillation import config
  from uncertainty_distillation import data
  from uncertainty_distillation import export
  from uncertainty_distillation import model
# pylint: enable=g-import-not-at-top

_INPUTS = {
    "features": "",
    "representations": "",
    "level": "concept",
    "concepts": "",
    "concept_list": "",
    "choices": "",
    "choices_format": "things_csv",
    "choices_names": "",
    "triplets": "",
    "probabilities": "",
    "embedding": "",
    "posterior": "",
    "embedding_names": "",
    "embedding_order": "",
    "local": "",
    "blocks": "",
    "odd": "",
    "numbered_from": None,
    "rows": "",
    "columns": "",
    "on_impossible": "error",
    "on_unknown": "error",
    "samples": 50,
    "max_triplets": 1_000_000,
}
_FIT = {
    "input_map": "auto",
    "standardise": "scalar",
    "start": "ridge",
    "width": None,
    "steps": 400,
    "inner_folds": 5,
}
_OPTIMISATION = {
    "regulariser": "identity",
    "regulariser_weight": 0.03,
    "alpha": 0.0,
    "tau": 1.0,
    "local_batch": 1024,
    "learning_rate": 3e-3,
    "batch": 8192,
}


def get_config():
  """The experiment."""
  cfg = kd.train.Trainer()
  cfg.seed = 0
  cfg.workdir = ""
  cfg.aux = _INPUTS | _FIT | _OPTIMISATION
  aux = lambda names: {name: cfg.ref.aux[name] for name in names}

  # Data
  recipe = data.TeacherData(
      config=config.Config(
          seed=cfg.ref.seed,
          optimisation=config.Optimisation(**aux(_OPTIMISATION)),
          **aux(_FIT),
      ),
      **aux(_INPUTS),
  )
  cfg.train_ds = kd.data.py.DataSource(
      data_source=data.TeacherBatches(
          data=recipe,
          num_batches=cfg.ref.num_train_steps + 1,
      ),
      shuffle=False,
      batch_size=None,
      num_workers=0,
      shard_by_process=False,  # Each takes its share of every batch.
  )

  # Model
  cfg.model = model.AffineTransform(data=recipe)

  # Training
  cfg.num_train_steps = cfg.ref.aux.steps
  cfg.train_losses = {
      "kl": model.TripletKL(weight=1 - cfg.ref.aux.alpha),
      "local": model.Locality(tau=cfg.ref.aux.tau, weight=cfg.ref.aux.alpha),
      "regulariser": model.Regulariser(
          kind=cfg.ref.aux.regulariser, weight=cfg.ref.aux.regulariser_weight
      ),
  }
  cfg.log_metrics_every = 100
  cfg.log_summaries_every = 1_000_000
  cfg.writer = writer.JsonlWriter()
  cfg.profiler = None
  cfg.trainstep = train_step.TrainStep(recipe=recipe)
  cfg.optimizer = model.optimizer(data=recipe)
  cfg.checkpointer = checkpoints.Checkpointer(
      save_interval_steps=1000, max_to_keep=1
  )

  # Result
  cfg.evals = {
      "transform": export.TransformResult(
          run=kd.evals.EveryNSteps(n=50), data=recipe
      ),
  }
  return cfg
