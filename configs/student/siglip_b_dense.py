r"""SigLIP-B/16, with the loss over all triplets of a batch of clusters.

As `student/siglip_b`, but a batch is 64 clusters of 8 images instead of 512
triplets: 512 images, a third, and 903,168 triplets. It takes the teacher itself
instead of its answers; `aux.root` and `aux.transform` only name the validation
triplets:

  alignet train --cfg=student/siglip_b_dense \
    --cfg.workdir=out/siglip_b_dense \
    --cfg.aux.clusters=clusters.npz \
    --cfg.aux.representations=representations \
    --cfg.aux.teacher=transform.npz \
    --cfg.aux.root=alignet_release \
    --cfg.aux.data_dir=$TFDS_DATA_DIR \
    --cfg.aux.weights=siglip/model.safetensors

The public release carries no teacher: clusters, representations and transform
are ours (`alignet extract`, `cluster`, `teach`). For another of the models copy
this file and name its config. The control `untransformed` is
`--cfg.aux.teacher=""`.

Expectation: the sparse loss on triplets of cluster_border_500. Batch, rate and
tau are untried at this size.
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
  cfg = config_files.load("student/siglip_b")
  cfg.aux.update(
      {
          "clusters": "",
          "representations": "",
          "teacher": "",
          "groups": 64,
          "group_size": 8,
      }
  )
  cfg.train_ds.data_source = group_batches.GroupBatches(
      clusters=cfg.ref.aux.clusters,
      representations=cfg.ref.aux.representations,
      transform=cfg.ref.aux.teacher,
      images=cfg.ref.aux.images,
      image_size=cfg.ref.aux.image_size,
      data_dir=cfg.ref.aux.data_dir,
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
