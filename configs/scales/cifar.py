"""Ablations on CIFAR-100 photographs x THINGS concepts: real human data.

  --cfg.paths.tfds=TFDS_DIR --cfg.paths.model=efficientnet_lite0.onnx
  --cfg.paths.concepts=concepts.tsv --cfg.paths.vice=vice_embedding.npy
  --cfg.paths.posterior=vice.npz   where there is one: mu and sigma, a row a
                                   concept of concepts.tsv (`alignet vice`)

The data, the base model and the first fold of `alignet run cifar100_things`,
and half the steps of its students: about five minutes a cell on two cores.
Seeds change what a cell draws; data and base model stay.
"""

from alignet.io import config_files
import ml_collections

_SHARED = ("data", "features", "base", "trials_fold1")
_MODEL = dict(
    backbone=dict(patch_size=8, width=128, depth=6, num_heads=4, mlp_dim=512)
)


def get_config() -> ml_collections.ConfigDict:
  """What all cells share, and the settings they start from."""
  config = config_files.load("pipeline/cifar100_things")
  for name in [n for n in config.stages if n not in _SHARED]:
    del config.stages[name]
  del config.publish
  config.draws_world = False
  config.observers = "VICE, a model of people's odd-one-out choices"
  config.sets = dict(things="three concepts of THINGS")
  config.levels = dict(concept="concept", classes="subordinate")
  config.student_steps = 1000
  config.paths.posterior = ""
  config.optional = ("posterior",)
  config.stages.features_base = dict(
      run="represent",
      inputs=dict(weights="base/weights.safetensors", train="data/train"),
      params=dict(tap="pre_logits"),
  )
  config.stages.features_logits = dict(
      run="extract",
      inputs=dict(train="data/train"),
      files=dict(model=config.paths.get_ref("model")),
      params=dict(config.stages.features.params, layer="logits"),
  )
  config.roles = dict(
      train="data/train",
      test="data/test",
      trials="trials_fold1",
      base="base/weights.safetensors",
      embedding="data/embedding.npy",
      held_out="data/fold1/held_out.npy",
      posterior=config.paths.get_ref("posterior"),
  )
  config.features = dict(
      feat="features/train",
      logits="features_logits/train",
      base="features_base/train",
  )
  config.settings = dict(
      teacher="aligned",
      judgments="embedding",
      distil={},
      features="feat",
      sampling="cluster_border",
      k=100,
      law="groups",
      triplets=200_000,
      student=dict(
          config="student/small",
          num_train_steps=config.get_ref("student_steps"),
          aux=dict(source="vice", eval_every=500),
          model=_MODEL,
      ),
  )
  # They take what those of the embedded world take.
  config.students = config_files.load("scales/shapes").students
  return config
