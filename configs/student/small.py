r"""A small student (ViT, 32 px) post-trained on AligNet triplets.

The recipe of `student/siglip_b` (JSD, Adam, warm-up and cosine, decay to the
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

As `student/small:dense` a batch is 16 clusters of 4 images instead of 64
triplets: a third of the images, and 5,760 triplets instead of 64. It takes the
teacher itself instead of its answers (`aux.clusters`, `aux.representations` and
`aux.teacher` in the place of `aux.triplets`), see `student/siglip_b`. Its
expectation is the sparse loss on triplets of cluster_border_*; rate and tau are
not tuned for it.
"""

from alignet.io import config_files
from kauldron import konfig

# pylint: disable=g-import-not-at-top
with konfig.imports():
  from alignet import evals
  from alignet import models
  from alignet.training.input import batches
  from kauldron import kd
# pylint: enable=g-import-not-at-top

_OF_THE_RELEASE = (
    *("train", "valid", "root", "transform", "sampling", "data_dir"),
    *("image_size", "num_workers", "shard_above_mb", "dtype", "remat"),
    "scan",
)


def get_config(variant=""):
  """The experiment; `variant` as in `student/siglip_b`."""
  cfg = config_files.load("student/siglip_b")
  for name in _OF_THE_RELEASE:
    del cfg.aux[name]
  del cfg.sharding
  cfg.aux.update(
      {
          "triplets": "",
          "images": "",
          "trials": "",
          "trial_images": "",
          "source": "simulated",
          "batch_size": 64,
          "peak": 1e-4,
          "tau": 10_000.0,
          "eval_every": 50,
      }
  )
  cfg.num_train_steps = 300
  cfg.log_metrics_every = 50
  cfg.checkpointer.save_interval_steps = 200
  cfg.checkpointer.max_to_keep = 1
  cfg.train_ds.num_workers = 0
  cfg.train_ds.data_source = batches.TripletBatches(
      path=cfg.ref.aux.triplets,
      images=cfg.ref.aux.images,
      batch_size=cfg.ref.aux.batch_size,
      unique_images=cfg.ref.aux.unique_images,
      num_batches=cfg.ref.num_train_steps + 1,
      seed=cfg.ref.seed,
  )
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
  cfg.evals = {
      "observers": evals.TrialsEvaluator(
          run=kd.evals.EveryNSteps(cfg.ref.aux.eval_every),
          images=cfg.ref.aux.trial_images,
          trials=cfg.ref.aux.trials,
          source=cfg.ref.aux.source,
      ),
  }
  cfg = config_files.load("student/siglip_b", variant=variant, cfg=cfg)
  if variant == "dense":
    del cfg.aux.triplets, cfg.aux.batch_size
    cfg.aux.groups = 16
    cfg.aux.group_size = 4
  return cfg
