"""Ablations on CIFAR-100 photographs x THINGS concepts: real human data.

  --cfg.paths.tfds=TFDS_DIR --cfg.paths.model=efficientnet_lite0.onnx
  --cfg.paths.concepts=concepts.tsv --cfg.paths.vice=vice_embedding.npy

The data, the base model and the first fold of `alignet run cifar100_things`,
and half the steps of its students: about five minutes a cell on two cores.
Seeds change what a cell draws; data and base model stay.
"""

import ml_collections

_MODEL = dict(
    backbone=dict(patch_size=8, width=128, depth=6, num_heads=4, mlp_dim=512)
)


def get_config() -> ml_collections.ConfigDict:
  """What all cells share, and the settings they start from."""
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.draws_world = False
  config.observers = "VICE, a model of people's odd-one-out choices"
  config.sets = dict(things="three concepts of THINGS")
  config.levels = dict(concept="concept", classes="subordinate")
  config.base_steps = 5500
  config.student_steps = 1000
  config.paths = dict(tfds="", model="", concepts="", vice="")
  config.stages = _stages(config)
  config.roles = dict(
      train="data/train",
      test="data/test",
      trials="trials",
      base="base/weights.safetensors",
      embedding="data/embedding.npy",
      held_out="data/fold1/held_out.npy",
  )
  config.features = dict(feat="features/train", logits="features_logits/train")
  config.settings = dict(
      teacher="aligned",
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
  config.students = {
      "student/small": dict(
          aux=dict(
              triplets="responses",
              images="train",
              weights="base",
              trials="trials",
              trial_images="test",
          )
      ),
  }
  return config


def _stages(config) -> dict:
  """Images, human judgments, base model and representations."""
  path = config.paths.get_ref
  extract = dict(
      run="extract",
      inputs=dict(train="data/train"),
      files=dict(model=path("model")),
  )
  settings = dict(
      size=112,
      pixel_range="-0.9921875,1",  # (grey - 127) / 128
      dtype="float16",
  )
  return dict(
      data=dict(
          run="cifar100_things",
          files=dict(
              data_dir=path("tfds"),
              concepts=path("concepts"),
              embedding=path("vice"),
          ),
          params=dict(
              per_class=dict(train=200, test=50),
              folds=5,
              seed=config.get_ref("seed"),
          ),
      ),
      trials=dict(
          run="trials_of_concepts",
          inputs=dict(
              images="data/test",
              embedding="data/embedding.npy",
              held_out="data/fold1/held_out.npy",
          ),
          params=dict(
              concept_level="concept",
              name="things",
              n=5000,
              seed=config.get_ref("seed"),
          ),
      ),
      base=dict(
          run="train",
          inputs=dict(aux=dict(images="data/train")),
          params=dict(
              config="base",
              seed=config.get_ref("seed"),
              num_train_steps=config.get_ref("base_steps"),
              aux=dict(augment=True, peak=1e-3),
              model=dict(num_classes=100, **_MODEL),
          ),
      ),
      features=dict(extract, params=dict(layer="feat", **settings)),
      features_logits=dict(extract, params=dict(layer="logits", **settings)),
  )
