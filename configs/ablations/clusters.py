"""How fine should the clusters be that triplets are drawn from?

alignet sweep clusters --scale=shapes --out=out/ablations
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Cells of the table; the first is the default."""
  config = ml_collections.ConfigDict()
  config.title = "Number of clusters"
  config.question = (
      "How fine should the clusters be that triplets are drawn from?"
  )
  config.paper = "500 clusters of 1,281,167 images."
  config.cells = (
      dict(name="k = 30", settings=dict(), scales=("shapes",)),
      dict(name="k = 5", settings=dict(k=5), scales=("shapes",)),
      dict(name="k = 10", settings=dict(k=10), scales=("shapes",)),
      dict(name="k = 100", settings=dict(k=100), scales=("shapes",)),
      dict(name="k = 300", settings=dict(k=300), scales=("shapes",)),
      dict(name="k = 100", settings=dict(), scales=("cifar",)),
      dict(name="k = 20", settings=dict(k=20), scales=("cifar",)),
      dict(name="k = 500", settings=dict(k=500), scales=("cifar",)),
      dict(name="k = 500", settings=dict(), scales=("paper",)),
      dict(name="k = 50", settings=dict(k=50), scales=("paper",)),
      dict(name="k = 2000", settings=dict(k=2_000), scales=("paper",)),
  )
  return config
