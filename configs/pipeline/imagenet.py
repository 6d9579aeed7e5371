"""A release at the scale of the public one, for a teacher of your own.

  alignet release imagenet --out=DIR \
    --cfg.paths.representations=DIR --cfg.paths.transform=transform.npz \
    --cfg.card.provider=NAME --cfg.card.provider_url=URL \
    --cfg.card.url=URL --cfg.card.date=YYYY-MM-DD

500 clusters, 10 million training and 10,000 validation triplets of each of four
samplings, in the layout of the public release: the main set is cluster_border
with 500 clusters. The public release was made by Google DeepMind from SigLIP
So400m representations and a transform that is not public; this is not it.
Never run at its full size here; `docs/scale.md` says what its stages cost.
"""

from alignet.pipeline import recipe
import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """The card and the stages."""
  made = recipe.config(
      k=500,
      samplings=(
          "cluster_border_500",
          "between_class",
          "class_border",
          "within_class",
      ),
      n_train=10_000_000,
      n_val=10_000,
  )
  made.card.name = "AligNet triplets of ImageNet"
  made.card.images = "ImageNet 2012"
  made.card.images_licence = (
      "ImageNet's terms: research only, from https://image-net.org."
  )
  return made
