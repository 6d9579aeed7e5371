"""Which rule draws the triplets.

alignet sweep sampling --scale=shapes --out=out/ablations
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Cells of the table; the first is the default."""
  config = ml_collections.ConfigDict()
  config.title = "Sampling of triplets"
  config.question = "Does it matter which rule draws the triplets?"
  config.paper = (
      "clusters of representations without labels (cluster_border) are the"
      " paper's choice; figures of the others are not known to us."
  )
  config.cells = (
      dict(name="cluster_border", settings=dict()),
      *(
          dict(name=name, settings=dict(sampling=name))
          for name in (
              "class_border",
              "between_class",
              "within_class",
              "random",
          )
      ),
  )
  return config
