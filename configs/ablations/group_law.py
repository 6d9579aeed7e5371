"""Should each cluster be as likely as each other, or each image?

alignet sweep group_law --scale=shapes --out=out/ablations
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Cells of the table; the first is the default."""
  config = ml_collections.ConfigDict()
  config.title = "What is uniform in the sampling"
  config.question = (
      "Should each cluster be as likely as each other, or each image?"
  )
  config.paper = "clusters, then images in them."
  config.cells = (
      dict(name="clusters", settings=dict()),
      dict(name="images", settings=dict(law="images")),
  )
  return config
