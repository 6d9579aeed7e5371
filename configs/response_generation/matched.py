"""Entropy-matched responses: raw dot products divided by one temperature.

  python -m response_generation.main \
      --cfg=configs/response_generation/matched.py \
      --cfg.representations=DIR --cfg.triplets=triplets.npz \
      --cfg.temperature_from=aligned/train_SAMPLING.npz \
      --cfg.out=untransformed-matched/train_SAMPLING.npz

The control that differs from the aligned responses in what the targets say
alone: the mean entropy of softmax(similarities / T) is that of the aligned
file. T is found by root search and recorded in the file's meta. This control
is not in the paper.
"""

import ml_collections
from ml_collections import config_dict


def get_config() -> ml_collections.ConfigDict:
  config = ml_collections.ConfigDict()
  # Directory of representations, as `alignet.representations.store` writes it.
  config.representations = config_dict.placeholder(str)
  # triplets.npz, sampled over the images of the representations.
  config.triplets = config_dict.placeholder(str)
  # AligNet npz whose mean target entropy is to be met: the aligned responses.
  config.temperature_from = config_dict.placeholder(str)
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
  # The AligNet npz to write:
  # {root}/untransformed-matched/{train|val}_{sampling}.npz.
  config.out = config_dict.placeholder(str)
  # For inputs that do not say what their rows and columns are: "as_stored",
  # "as_given".
  config.rows = ""
  config.columns = ""
  # Replace an existing output.
  config.overwrite = False
  return config
