r"""The small student, with the loss over all triplets of a batch of clusters.

As `student/small`, but a batch is 16 clusters of 4 images instead of 64
triplets: a third of the images, and 5,760 triplets instead of 64. It takes the
teacher itself instead of its answers:

  alignet train --cfg=student/small_dense \
    --cfg.workdir=out/student_dense \
    --cfg.aux.clusters=clusters.npz \
    --cfg.aux.representations=representations \
    --cfg.aux.teacher=transform.npz \
    --cfg.aux.images=images \
    --cfg.aux.weights=base/weights.safetensors \
    --cfg.aux.trials=trials \
    --cfg.aux.trial_images=test_images

Its expectation is the sparse loss on triplets of cluster_border_*. Rate and tau
are those of `student/small`, not tuned for it. The control `untransformed` is
`--cfg.aux.teacher=""`.
"""

from alignet import config_files
from kauldron import konfig

# pylint: disable=g-import-not-at-top
with konfig.imports():
  from alignet import losses
  from alignet.representations import group_batches
# pylint: enable=g-import-not-at-top


def get_config():
  """The experiment."""
  cfg = config_files.load("student/small")
  del cfg.aux.triplets, cfg.aux.batch_size
  cfg.aux.update(
      {
          "clusters": "",
          "representations": "",
          "teacher": "",
          "groups": 16,
          "group_size": 4,
      }
  )
  cfg.train_ds.data_source = group_batches.GroupBatches(
      clusters=cfg.ref.aux.clusters,
      representations=cfg.ref.aux.representations,
      transform=cfg.ref.aux.teacher,
      images=cfg.ref.aux.images,
      groups=cfg.ref.aux.groups,
      group_size=cfg.ref.aux.group_size,
      num_batches=cfg.ref.num_train_steps + 1,
      seed=cfg.ref.seed,
  )
  cfg.train_losses = {
      name: losses.Dense(of=loss, weight=loss.get_ref("weight"))
      for name, loss in cfg.train_losses.items()
  }
  # Its rows are no triplets in order.
  cfg.train_metrics = {"drift": cfg.train_metrics["drift"]}
  return cfg
