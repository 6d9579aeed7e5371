r"""A small base model (ViT, 32 px) trained to name the class of an image.

What AligNet starts from: a network that knows what it sees, trained on labels
alone. The pipelines `demo` and `cifar100_things` launch it; by hand:

  alignet train --cfg=base \
    --cfg.workdir=out/base \
    --cfg.aux.images=images \
    --cfg.aux.level=subordinate \
    --cfg.model.num_classes=108
"""

from kauldron import konfig

# pylint: disable=g-import-not-at-top
with konfig.imports():
  from alignet import models
  from alignet.training import checkpoints
  from alignet.training import train_step
  from alignet.training import writer
  from alignet.training.input import batches
  from alignet.training.input import loader
  from kauldron import kd
  import optax
# pylint: enable=g-import-not-at-top


def get_config():
  """The experiment."""
  cfg = kd.train.Trainer()
  cfg.seed = 0
  cfg.workdir = ""
  cfg.aux = {
      "images": "",
      "level": "subordinate",
      "batch_size": 128,
      "augment": False,
      "peak": 2e-3,
      "weight_decay": 1e-2,
  }

  # Data
  cfg.train_ds = loader.Loader(
      data_source=batches.LabelledBatches(
          path=cfg.ref.aux.images,
          level=cfg.ref.aux.level,
          batch_size=cfg.ref.aux.batch_size,
          augment=cfg.ref.aux.augment,
          num_batches=cfg.ref.num_train_steps + 1,
          seed=cfg.ref.seed,
      ),
      num_workers=0,  # The images lie in memory.
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
      num_classes=108,
  )

  # Training
  cfg.num_train_steps = 1500
  cfg.train_losses = {
      "cross_entropy": kd.losses.SoftmaxCrossEntropyWithIntLabels(
          logits="preds.class_logits", labels="batch.label"
      )
  }
  cfg.train_metrics = {
      "accuracy": kd.metrics.Accuracy(
          logits="preds.class_logits", labels="batch.label"
      )
  }
  cfg.log_metrics_every = 50
  cfg.log_summaries_every = 1_000_000
  cfg.writer = writer.JsonlWriter()
  cfg.profiler = None
  cfg.trainstep = train_step.TrainStep()
  cfg.schedules = {
      "learning_rate": optax.warmup_cosine_decay_schedule(
          init_value=0.0,
          peak_value=cfg.ref.aux.peak,
          warmup_steps=cfg.ref.num_train_steps // 20,
          decay_steps=cfg.ref.num_train_steps,
      )
  }
  cfg.optimizer = kd.optim.named_chain(
      **{
          "clip": optax.clip_by_global_norm(max_norm=1.0),
          "adam": optax.scale_by_adam(),
          "decay": optax.add_decayed_weights(
              weight_decay=cfg.ref.aux.weight_decay
          ),
          "rate": optax.scale_by_learning_rate(
              cfg.ref.schedules["learning_rate"]
          ),
      }
  )
  cfg.checkpointer = checkpoints.Checkpointer(
      save_interval_steps=500, max_to_keep=1
  )
  return cfg
