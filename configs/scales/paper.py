"""Ablations at the paper's scale: ImageNet, SigLIP So400m, ViT-B, 10 million.

Nobody ran it with this code yet: `--dry_run` says what it would cost. It takes
what earlier commands made, by path:

  --cfg.paths.images=DIR        ImageNet's training images, `alignet cache`
  --cfg.paths.features=DIR      their representations, `alignet extract
                                --model=so400m-siglip-webli384` (for the table
                                of backbones also features_siglip_b, …, for that
                                of layers features_layer_13, … by `--layer`)
  --cfg.paths.concepts=DIR      those of THINGS' images, with the level concept,
                                by the same model (also concepts_siglip_b, …)
  --cfg.paths.vice=FILE         the embedding, a row a concept
  --cfg.paths.posterior=FILE    vice.npz, mu and sigma, for the cells that take
                                an embedding with its uncertainty
  --cfg.paths.held_out=FILE     (concepts,) bool .npy: concepts for evaluation
  --cfg.paths.weights=FILE      of the student's base model, in our format
                                (`alignet export --to=safetensors`)
  --cfg.paths.test=DIR          image store of the model's size that the trials
                                refer to; where it has no level concept,
                                intervals are over images
  --cfg.paths.trials=DIR        trials, a file a set
  --cfg.paths.train=DIR         image store with labels, and
  --cfg.paths.class_test=DIR    another of the same classes: 10-NN
  --cfg.paths.validation=DIR    responses along the training, in the layout of
                                a release

Each cell is 100,000 steps of 512 triplets, the released recipe; dense ones 512
images a step, a third.
"""

import ml_collections

# What else the teacher may look at: other networks, other layers of So400m.
_OTHERS = ("", "_siglip_b", "_dinov2_b", "_layer_13", "_layer_20")


def get_config() -> ml_collections.ConfigDict:
  """What all cells share, and the settings they start from."""
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.draws_world = False
  config.observers = "the trials that were given"
  config.sets = dict(things="three concepts of THINGS")
  config.levels = dict(concept="concept", classes="subordinate")
  config.paths = {
      name: ""
      for name in (
          "images",
          *(f"features{other}" for other in _OTHERS),
          *(f"concepts{other}" for other in _OTHERS),
          *("vice", "posterior", "held_out", "weights", "test", "trials"),
          *("train", "class_test", "validation"),
      )
  }
  path = config.paths.get_ref
  config.stages = {}
  config.roles = dict(
      train=path("train"),
      test=path("test"),
      trials=path("trials"),
      class_test=path("class_test"),
      base=path("weights"),
      embedding=path("vice"),
      held_out=path("held_out"),
      posterior=path("posterior"),
      images=path("images"),
      validation=path("validation"),
  )
  for kind in ("features", "concepts"):
    name = "features" if kind == "features" else "concept_features"
    config[name] = {
        other.strip("_") or "so400m": path(kind + other) for other in _OTHERS
    }
  config.settings = dict(
      teacher="aligned",
      judgments="embedding",
      distil={},
      features="so400m",
      sampling="cluster_border",
      k=500,
      law="groups",
      triplets=10_000_000,
      student=dict(config="student/vit_b"),
  )
  shared = dict(images="images", weights="base", root="validation")
  config.students = {
      "student/vit_b": dict(
          aux=shared, train_ds=dict(data_source=dict(path="responses"))
      ),
      "student/vit_b:dense": dict(
          aux=dict(
              clusters="clusters",
              representations="features",
              teacher="transform",
              **shared,
          )
      ),
  }
  return config
