"""How the teacher is learned, and whether people matter to it.

alignet sweep transform --scale=shapes --out=out/ablations
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Cells of the table; the first is the default."""
  config = ml_collections.ConfigDict()
  config.title = "The teacher"
  config.question = (
      "Is it the human judgments that help, and how should the transform be"
      " learned?"
  )
  config.paper = (
      "students of untransformed representations (UnAligNet) do not become more"
      " human; figures are not known to us."
  )
  config.cells = (
      dict(name="uncertainty distillation", settings=dict()),
      dict(
          name="glocal",
          settings=dict(distil=dict(optimisation=dict(alpha=0.1, tau=0.1))),
      ),
      dict(
          name="ridge regression",
          settings=dict(distil=dict(start="ridge", steps=0)),
      ),
      dict(name="untransformed", settings=dict(teacher="untransformed")),
      dict(
          name="untransformed, entropy matched",
          settings=dict(teacher="matched"),
      ),
      dict(name="shuffled judgments", settings=dict(teacher="shuffled")),
  )
  return config
