"""Aligned responses: dot products of the teacher's transform, AligNet itself.

  python -m response_generation.main \
      --cfg=configs/response_generation/aligned.py \
      --cfg.representations=DIR --cfg.triplets=triplets.npz \
      --cfg.transform=transform.npz --cfg.out=aligned/train_SAMPLING.npz

The paper answers 10 M train and 10 k val triplets sampled between 500 clusters
of ImageNet images. Cost: one pass over the representations and three dot
products a triplet. Killed, the same command goes on where it was.
"""

import ml_collections
from ml_collections import config_dict


def get_config() -> ml_collections.ConfigDict:
  config = ml_collections.ConfigDict()
  # Directory of representations, as `alignet.representations.store` writes it.
  config.representations = config_dict.placeholder(str)
  # triplets.npz, sampled over the images of the representations.
  config.triplets = config_dict.placeholder(str)
  # transform.npz of the teacher, from uncertainty distillation; one of gLocal's
  # published transforms does as well.
  config.transform = config_dict.placeholder(str)
  # "dot" is what the teacher was trained with; "cosine" is the alternative.
  config.similarity = "dot"
  # Numbers of the transformed rows; "float16" and "bfloat16" take half the disk
  # and time, and their error is measured.
  config.store = "float32"
  # clusters.npz, may stay empty: answer in the order of clusters, for
  # representations beyond the memory. The result does not depend on it.
  config.clusters = ""
  # "jax" answers on JAX's default device, which has to hold all rows.
  config.device = "cpu"
  # The AligNet npz to write: {root}/aligned/{train|val}_{sampling}.npz.
  config.out = config_dict.placeholder(str)
  # For inputs that do not say what their rows and columns are: "as_stored",
  # "as_given".
  config.rows = ""
  config.columns = ""
  # Replace an existing output.
  config.overwrite = False
  return config
