"""All triplets of a batch of clusters, or three images a triplet.

alignet sweep dense --scale=shapes --out=out/ablations

A step of dense sees 64 images, one of sparse 192 (512 and 1,536 at the paper's
scale): with as many steps it is a third of the image passes, with three times
as many the same.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Cells of the table; the first is the default."""
  config = ml_collections.ConfigDict()
  config.title = "Sparse or dense"
  config.question = "Is a batch better used triplet by triplet, or whole?"
  config.paper = "sparse; dense batches are ours."
  dense = dict(config="student/small_dense")
  vit_b = dict(config="student/vit_b_dense")
  config.cells = (
      dict(name="sparse", settings=dict()),
      dict(
          name="dense, a third of the images",
          settings=dict(student=dense),
          scales=("shapes", "cifar"),
      ),
      dict(
          name="dense, as many images",
          settings=dict(student=dict(dense, num_train_steps=900)),
          scales=("shapes",),
      ),
      dict(
          name="dense, as many images",
          settings=dict(student=dict(dense, num_train_steps=3000)),
          scales=("cifar",),
      ),
      dict(
          name="dense, a third of the images",
          settings=dict(student=vit_b),
          scales=("paper",),
      ),
      dict(
          name="dense, as many images",
          settings=dict(student=dict(vit_b, num_train_steps=300_000)),
          scales=("paper",),
      ),
  )
  return config
