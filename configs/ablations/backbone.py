"""Does a better teacher network make a better student?

alignet sweep backbone --scale=shapes --out=out/ablations
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Cells of the table; the first is the default."""
  config = ml_collections.ConfigDict()
  config.title = "The teacher's backbone"
  config.question = "Does a better teacher network make a better student?"
  config.paper = "SigLIP So400m."
  config.cells = (
      dict(name="the student's own base", settings=dict(), scales=("shapes",)),
      dict(
          name="a narrower network",
          settings=dict(features="narrower"),
          scales=("shapes",),
      ),
      dict(
          name="an untrained network",
          settings=dict(features="untrained"),
          scales=("shapes",),
      ),
      dict(name="EfficientNet-lite0", settings=dict(), scales=("cifar",)),
      dict(
          name="the student's own base",
          settings=dict(features="base"),
          scales=("cifar",),
      ),
      dict(name="SigLIP So400m", settings=dict(), scales=("paper",)),
      dict(
          name="SigLIP B", settings=dict(features="siglip_b"), scales=("paper",)
      ),
      dict(
          name="DINOv2 B", settings=dict(features="dinov2_b"), scales=("paper",)
      ),
  )
  return config
