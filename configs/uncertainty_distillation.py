r"""A teacher by uncertainty distillation, launched through Kauldron.

The objective and setting of the paper where they are known; needs no file:
without features it trains on a small simulated problem in seconds.

  python -m alignet.train --cfg=configs/uncertainty_distillation.py \
    --cfg.workdir=out/teacher
  python -m kauldron.main --cfg=configs/uncertainty_distillation.py \
    --cfg.workdir=$PWD/out/teacher

With your own representations (row i of F shows concept C[i] of the posterior,
that of `alignet vice` or `configs/vice.py`):

  python -m alignet.train --cfg=configs/uncertainty_distillation.py \
    --cfg.workdir=out/teacher --cfg.aux.features=F.npy \
    --cfg.aux.posterior=vice.npz --cfg.aux.concepts=C.npy

or, where only a point embedding is known, with `--cfg.aux.embedding=V.npy`
(`soft_point`: no posterior uncertainty), or, for judgments, with
`--cfg.aux.triplets=T.npy` (odd one last) and perhaps
`--cfg.aux.probabilities=P.npy`. An embedding or posterior whose row i is not
concept i needs `aux.concept_list` and `aux.embedding_names`; one of the 1,854
concepts of THINGS those, or `aux.embedding_order=things`. The result is
`out/teacher/transform.npz`: the transform with the smallest cross-entropy on
the held-out fold of the concepts. That fold chose the step, so its scores,
under `selection`, flatter; `alignet teach --cross_validate` scores a teacher.

Known (Muttenthaler et al. 2023, their code): scalar standardisation, W and b
start at 1e-3 I and 1e-3, Adam, gradient clipping 1.0, 256 triplets a batch,
identity shrinking with lambda .1, 4 object-disjoint folds. Not public for the
AligNet teacher: its learning rate (gLocal's is here), lambda, number of steps
(100 epochs with early stopping in gLocal) and the Monte-Carlo samples M of its
targets (`aux.samples`).

For few concepts this setting overfits, whatever lambda: `alignet teach` starts
from a cross-fitted ridge regression, see `uncertainty_distillation.fit`. To go
on from that, or from any transform, on any device:

  alignet teach --steps=0 --inner_folds=0 --input_map=none --out=ridge.npz …
  python -m alignet.train … --cfg.aux.start=ridge.npz --cfg.aux.folds=0 \
    --cfg.train_losses.regulariser.kind=l2

The start has seen all concepts, so no fold can choose the step; and identity
shrinking has no meaning for a map to the embedding's few dimensions.
"""

from kauldron import konfig

# pylint: disable=g-import-not-at-top
with konfig.imports():
  from alignet.training import writer
  from kauldron import kd
  import optax
  from uncertainty_distillation import data
  from uncertainty_distillation import export
  from uncertainty_distillation import model
# pylint: enable=g-import-not-at-top


def get_config():
  """The experiment."""
  cfg = kd.train.Trainer()
  cfg.seed = 0
  cfg.workdir = ""
  cfg.aux = {
      "features": "",
      "embedding": "",
      "posterior": "",
      "samples": 50,
      "concept_list": "",
      "embedding_names": "",
      "embedding_order": "",
      "concepts": "",
      "triplets": "",
      "probabilities": "",
      "start": "",
      "input_map": "none",
      "standardise": "scalar",
      "folds": 4,
      "fold": 0,
      "batch_size": 256,
      "learning_rate": 1e-3,
      "eval_every": 500,
  }

  # Data
  judged = data.TeacherData(
      features=cfg.ref.aux.features,
      embedding=cfg.ref.aux.embedding,
      posterior=cfg.ref.aux.posterior,
      samples=cfg.ref.aux.samples,
      concept_list=cfg.ref.aux.concept_list,
      embedding_names=cfg.ref.aux.embedding_names,
      embedding_order=cfg.ref.aux.embedding_order,
      concepts=cfg.ref.aux.concepts,
      triplets=cfg.ref.aux.triplets,
      probabilities=cfg.ref.aux.probabilities,
      start=cfg.ref.aux.start,
      input_map=cfg.ref.aux.input_map,
      standardise=cfg.ref.aux.standardise,
      folds=cfg.ref.aux.folds,
      fold=cfg.ref.aux.fold,
      seed=cfg.ref.seed,
  )
  cfg.train_ds = kd.data.py.DataSource(
      data_source=data.TeacherBatches(
          data=judged,
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
  cfg.model = model.AffineTransform(
      data=judged, width=None, scale=1e-3, bias=1e-3
  )

  # Training
  cfg.num_train_steps = 3000
  cfg.train_losses = {
      "kl": model.TripletKL(),
      "regulariser": model.Regulariser(kind="identity", weight=0.1),
  }
  cfg.log_metrics_every = 100
  cfg.log_summaries_every = 1_000_000
  cfg.writer = writer.JsonlWriter()
  cfg.profiler = None
  cfg.optimizer = kd.optim.named_chain(
      **{
          "clip": optax.clip_by_global_norm(max_norm=1.0),
          "adam": optax.scale_by_adam(),
          "rate": optax.scale_by_learning_rate(
              learning_rate=cfg.ref.aux.learning_rate
          ),
      }
  )
  cfg.checkpointer = kd.ckpts.Checkpointer(
      save_interval_steps=1000, max_to_keep=1
  )

  # Evaluation and export
  cfg.evals = {
      "transform": export.TransformEvaluator(
          run=kd.evals.EveryNSteps(cfg.ref.aux.eval_every),
          data=judged,
      ),
  }
  return cfg
