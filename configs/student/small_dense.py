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
are those of `student/small`, not tuned for it. The controls are those of
`student/siglip_b_dense`.
"""

from alignet.io import config_files


def get_config():
  """The experiment."""
  cfg = config_files.load(
      "student/siglip_b_dense", cfg=config_files.load("student/small")
  )
  del cfg.aux.triplets, cfg.aux.batch_size
  cfg.aux.groups = 16
  cfg.aux.group_size = 4
  return cfg
