r"""A small student (ViT, 32 px) post-trained on AligNet triplets.

Upstream's recipe (JSD, Adam, warm-up and cosine, decay to the
initial weights, MAP pooling, triplet head on pre_logits, no augmentation) at a
size that trains on two CPU cores. The pipelines `demo` and `cifar100_things`
launch it; by hand:

  alignet train --cfg=student/small \
    --cfg.workdir=out/student \
    --cfg.aux.triplets=aligned.npz \
    --cfg.aux.images=images \
    --cfg.aux.weights=base/weights.safetensors \
    --cfg.aux.trials=trials \
    --cfg.aux.trial_images=test_images

Not upstream's: model, image size, batch size, number of steps and peak rate,
all chosen for small worlds; tau, because this model's pre_logits are longer
and at tau 100 the untrained head's choices are one-hot. As upstream, the
triplet head is pulled to its random start like all else, so the backbone has
to change (`--cfg.aux.decay_exclude="('triplet_head',)"` sets the head free).
"""

from kauldron import konfig

# pylint: disable=g-import-not-at-top
with konfig.imports():
  from alignet import evals
  from alignet import losses
  from alignet import metrics
  from alignet import models
  from alignet import optim
  from alignet import train_step
  from alignet.data import batches
  from kauldron import kd
  import optax
# pylint: enable=g-import-not-at-top


def get_config():
  """The experiment."""
  cfg = kd.train.Trainer()
  cfg.seed = 0
  cfg.workdir = ""
  cfg.aux = {
      "triplets": "",
      "images": "",
      "weights": "",
      "trials": "",
      "trial_images": "",
      "source": "simulated",
      "batch_size": 64,
      "unique_images": 0,
      "peak": 1e-4,
      "tau": 10_000.0,
      "target_tau": 1.0,
      "loss": {"jsd": 1.0, "kl": 0.0, "hard": 0.0},
      "accumulate": 1,
      "ema": 0.0,
      "decay": 1.5,
      "decay_exclude": (),
      "eval_every": 50,
  }

  # Data
  cfg.train_ds = kd.data.py.DataSource(
      data_source=batches.TripletBatches(
          path=cfg.ref.aux.triplets,
          images=cfg.ref.aux.images,
          batch_size=cfg.ref.aux.batch_size,
          unique_images=cfg.ref.aux.unique_images,
          num_batches=cfg.ref.num_train_steps + 1,
          seed=cfg.ref.seed,
      ),
      shuffle=False,
      batch_size=None,
      num_workers=0,
      shard_by_process=False,  # Each takes its share of every batch.
  )

  # Model
  cfg.model = models.VisionModel(
      backbone=models.ViT(
          patch_size=8,
          width=64,
          depth=4,
          num_heads=4,
          mlp_dim=256,
          pool="map",
      ),
      pixel_range=(-1.0, 1.0),
      triplet_dim=1024,
  )
  cfg.init_transform = models.InitFromWeights(path=cfg.ref.aux.weights)

  # Training
  cfg.num_train_steps = 300
  shared = dict(tau=cfg.ref.aux.tau, target_tau=cfg.ref.aux.target_tau)
  cfg.train_losses = {
      "jsd": losses.JSD(weight=cfg.ref.aux.loss.jsd, **shared),
      "kl": losses.KL(weight=cfg.ref.aux.loss.kl, **shared),
      "hard": losses.Contrastive(weight=cfg.ref.aux.loss.hard, **shared),
  }
  cfg.train_metrics = {
      "synthetic_accuracy": metrics.TripletAccuracy(),
      "synthetic_kl": metrics.TripletKL(**shared),
      "drift": metrics.Drift(),
  }
  cfg.log_metrics_every = 50
  cfg.log_summaries_every = 1_000_000
  cfg.writer = metrics.JsonlWriter()
  cfg.profiler = None
  cfg.trainstep = train_step.TrainStep()
  updates = cfg.ref.num_train_steps // cfg.ref.aux.accumulate
  cfg.schedules = {
      "learning_rate": optax.warmup_cosine_decay_schedule(
          init_value=0.0,
          peak_value=cfg.ref.aux.peak,
          warmup_steps=updates // 20,
          decay_steps=updates,
      )
  }
  updater = kd.optim.named_chain(
      **{
          "adam": optax.scale_by_adam(),
          "decay": optim.decay_to_init(
              total=cfg.ref.aux.decay,
              schedule=cfg.ref.schedules["learning_rate"],
              num_steps=updates,
              exclude=cfg.ref.aux.decay_exclude,
          ),
          "rate": optax.scale_by_learning_rate(
              cfg.ref.schedules["learning_rate"]
          ),
          "ema": optim.ema(decay=cfg.ref.aux.ema),
      }
  )
  cfg.optimizer = optim.accumulate(updater, steps=cfg.ref.aux.accumulate)
  cfg.checkpointer = kd.ckpts.Checkpointer(
      save_interval_steps=200, max_to_keep=1
  )

  # Evaluation
  cfg.evals = {
      "observers": evals.TrialsEvaluator(
          run=kd.evals.EveryNSteps(cfg.ref.aux.eval_every),
          images=cfg.ref.aux.trial_images,
          trials=cfg.ref.aux.trials,
          source=cfg.ref.aux.source,
      ),
  }
  return cfg
