"""A release of a handful of ImageNet's images, to see what one looks like.

  alignet release mini_imagenet --out=out/mini \
    --cfg.paths.representations=DIR --cfg.paths.transform=transform.npz \
    --cfg.card.provider=NAME --cfg.card.provider_url=URL \
    --cfg.card.url=URL --cfg.card.date=YYYY-MM-DD

The representations are those of `alignet extract`, with classes at the level
`class_level`; the transform is one for them, of `alignet teach`. Triplets by
clusters and by classes, each answered by the transform and by both controls;
not within_class, of which so few images have too few distinct ones. Seconds for
1,419 images and 20,000 triplets a sampling. With
--cfg.gallery.images=tfds:imagenet2012:train (and --cfg.gallery.data_dir=DIR)
some are shown in gallery.png: for your eyes, ImageNet's terms keep it in.
"""

from alignet.pipeline import recipe
import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """The card and the stages."""
  made = recipe.config(
      k=50,
      samplings=("cluster_border_50", "between_class", "class_border"),
      n_train=20_000,
      n_val=1_000,
  )
  made.card.name = "AligNet triplets of a few images of ImageNet"
  made.card.images = "ImageNet 2012"
  made.card.images_licence = (
      "ImageNet's terms: research only, from https://image-net.org."
  )
  return made
