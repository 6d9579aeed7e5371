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
  cells = [dict(name="sparse", settings=dict())]
  for name, scales in (
      ("student/small:dense", ("shapes", "cifar")),
      ("student/vit_b:dense", ("paper",)),
  ):
    for line, times in (("a third of the images", 1), ("as many images", 3)):
      cells.append(
          dict(
              name=f"dense, {line}",
              settings=dict(student=dict(config=name, times_steps=times)),
              scales=scales,
          )
      )
  config.cells = tuple(cells)
  return config
