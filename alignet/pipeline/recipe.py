"""The stages of a release, as its configs have them."""

from collections.abc import Sequence

import ml_collections

TRANSFORM = "uncertainty_distillation"
"""Folder of the aligned answers; upstream's name of its main transform."""

_SOURCE = "backbone-layer"  # Shown in paths where a release has several.


def config(
    *,
    k: int,
    samplings: Sequence[str],
    n_train: int,
    n_val: int,
    transforms: Sequence[str] = (),
) -> ml_collections.ConfigDict:
  """A release of one network's layer and one or several transforms.

  Args:
    k: clusters.
    samplings: strategies; the first one's answers are the main set.
    n_train: training triplets of each.
    n_val: validation triplets, none of which is one of the former.
    transforms: names of transforms beside the main one, each a folder of
      answers; their files are `paths.transforms.{name}`.

  Returns:
    A config of `alignet release` with the card's required fields and the paths
    of the representations and the transform left open.
  """
  made = ml_collections.ConfigDict()
  made.seed = 0
  made.n_train = n_train  # Triplets a sampling.
  made.n_val = n_val
  made.class_level = "subordinate"
  made.law = "groups"  # What is uniform: groups, or images.
  # Left out of all triplets: an npy file of image numbers, names of classes.
  made.exclude = dict(images="", classes=())
  # For files that do not say what their numbers and columns are: "as_stored"
  # (exclude.images), "as_given" (a transform of somebody else's).
  made.rows = ""
  made.columns = ""
  made.store = "float32"  # Numbers of the rows that are multiplied.
  made.csv_rows = 10_000  # Rows of the main files that are given as CSV too.
  # What the images come from, such as tfds:imagenet2012:train; TFDS's folder.
  # A few of them are then shown in gallery.png: where their terms allow it.
  made.gallery = dict(images="", data_dir="")
  made.paths = dict(representations="", transform="")
  if transforms:
    made.paths.transforms = dict.fromkeys(transforms, "")
  made.card = card = ml_collections.ConfigDict()
  card.name = "AligNet triplets"
  card.provider = ""
  card.provider_url = ""
  card.url = ""
  card.date = ""
  card.version = "1.0.0"
  card.licence = "https://creativecommons.org/licenses/by/4.0/"
  card.images = ""
  card.images_licence = ""
  card.description = ""
  card.human_data = ""
  card.citation = ""

  field, path = made.get_ref, made.paths.get_ref
  files = dict(representations=path("representations"))
  teachers = {TRANSFORM: path("transform")}
  for name in transforms:
    teachers[name] = made.paths.transforms.get_ref(name)
  stages = made.stages = ml_collections.ConfigDict()
  stages.clusters = dict(
      run="cluster", files=files, params=dict(k=k, seed=field("seed"))
  )
  clusters = dict(clusters="clusters/clusters.npz")
  answers = {}
  for sampling in samplings:
    answers[sampling] = {}
    for split in ("train", "val"):
      # Validation rows repeat no training triplet. Of the same seed, they would
      # begin with all of those.
      other = (
          dict(disjoint_from=f"train_{sampling}/triplets.npz")
          if split == "val"
          else {}
      )
      stages[f"{split}_{sampling}"] = dict(
          run="alignet.pipeline.stages.release.sample",
          inputs=dict(**clusters, **other),
          files=files,
          params=dict(
              strategy=sampling,
              level=field("class_level"),
              n=field(f"n_{split}"),
              seed=field("seed") + (split == "val"),
              law=field("law"),
              exclude_images=made.exclude.get_ref("images"),
              exclude_classes=made.exclude.get_ref("classes"),
              rows=field("rows"),
          ),
      )
      name = f"answers_{split}_{sampling}"
      stages[name] = dict(
          run="alignet.pipeline.stages.release.answer",
          inputs=dict(triplets=f"{split}_{sampling}/triplets.npz", **clusters),
          files=dict(transforms=teachers, **files),
          params=dict(
              matched=TRANSFORM,
              store=field("store"),
              columns=field("columns"),
          ),
      )
      answers[sampling][split] = name
  stages.release = dict(
      run="alignet.pipeline.stages.release.assemble",
      inputs=dict(
          clusters={_SOURCE: "clusters/clusters.npz"},
          answers={_SOURCE: answers},
      ),
      files=dict(
          representations={_SOURCE: path("representations")},
          transforms={_SOURCE: teachers},
      ),
      params=dict(
          card={key: card.get_ref(key) for key in card},
          main=f"{TRANSFORM}/{samplings[0]}",
          class_level=field("class_level"),
          csv_rows=field("csv_rows"),
          gallery={key: made.gallery.get_ref(key) for key in made.gallery},
      ),
  )
  return made
