"""Which layer's representations should the transform take?

alignet sweep layer --scale=shapes --out=out/ablations
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """Cells of the table; the first is the default."""
  config = ml_collections.ConfigDict()
  config.title = "The teacher's layer"
  config.question = "Which layer's representations should the transform take?"
  config.cells = (
      dict(name="pre_logits", settings=dict(), scales=("shapes",)),
      dict(
          name="block 0", settings=dict(features="layer_0"), scales=("shapes",)
      ),
      dict(
          name="block 1", settings=dict(features="layer_1"), scales=("shapes",)
      ),
      dict(
          name="block 2", settings=dict(features="layer_2"), scales=("shapes",)
      ),
      dict(name="feat", settings=dict(), scales=("cifar",)),
      dict(name="logits", settings=dict(features="logits"), scales=("cifar",)),
      dict(name="pre_logits", settings=dict(), scales=("paper",)),
      *(
          dict(
              name=f"block {k} of 27",
              settings=dict(features=f"layer_{k}"),
              scales=("paper",),
          )
          for k in (13, 20)
      ),
  )
  return config
