"""How strongly should the transform be held to the identity?

alignet sweep regulariser --scale=shapes --out=out/ablations
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Cells of the table; the first is the default."""
  config = ml_collections.ConfigDict()
  config.title = "Regulariser of the transform"
  config.question = "How strongly should the transform be held to the identity?"
  config.paper = "identity shrinking; its weight is not public."
  config.cells = (
      dict(name="identity, 0.03", settings=dict()),
      dict(
          name="none",
          settings=dict(distil=dict(optimisation=dict(regulariser_weight=0.0))),
      ),
      dict(
          name="identity, 1",
          settings=dict(distil=dict(optimisation=dict(regulariser_weight=1.0))),
      ),
      dict(
          name="l2, 0.03",
          settings=dict(distil=dict(optimisation=dict(regulariser="l2"))),
      ),
      dict(
          name="l2, 1",
          settings=dict(
              distil=dict(
                  optimisation=dict(regulariser="l2", regulariser_weight=1.0)
              )
          ),
      ),
  )
  return config
