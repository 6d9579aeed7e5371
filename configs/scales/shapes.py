"""Ablations on the embedded world: minutes, simulated observers.

The world of `alignet run demo`: drawn objects, judged by a formula. It shows
which settings matter there, and that the machinery works; it is no result about
people. Each seed draws another world.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """What all cells share, and the settings they start from."""
  config = ml_collections.ConfigDict()
  config.seed = 0
  config.draws_world = True
  config.observers = "simulated observers"
  config.sets = dict(
      across="across superordinates",
      border="border of two superordinates",
      within="within a superordinate",
  )
  config.levels = dict(concept="subordinate", classes="subordinate")
  config.stages = _stages(config.get_ref("seed"))
  config.roles = dict(
      train="world/train",
      test="world/test",
      trials="trials",
      base="base/weights.safetensors",
      embedding="world/embedding.npy",
      held_out="world/held_out.npy",
  )
  config.features = dict(
      pre_logits="representations/train",
      layer_0="representations_layer_0/train",
      layer_1="representations_layer_1/train",
      layer_2="representations_layer_2/train",
      narrower="representations_narrower/train",
      untrained="representations_untrained/train",
  )
  config.settings = dict(
      teacher="aligned",
      distil=dict(start="identity", input_map="none"),
      features="pre_logits",
      sampling="cluster_border",
      k=30,
      law="groups",
      triplets=50_000,
      student=dict(config="student/small"),
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


def _stages(seed) -> dict:
  """World, observers, base models and their representations."""
  stages = dict(
      world=dict(
          run="shapes",
          params=dict(seed=seed, train_per_concept=200, test_per_concept=20),
      ),
      trials=dict(
          run="trials_by_level",
          inputs=dict(
              images="world/test",
              embedding="world/embedding.npy",
              held_out="world/held_out.npy",
          ),
          params=dict(
              concept_level="subordinate",
              group_level="superordinate",
              n=5000,
              seed=seed,
          ),
      ),
  )
  for name, fields in (
      ("base", {}),
      ("narrower", dict(model=dict(backbone=dict(width=32, mlp_dim=128)))),
      ("untrained", dict(num_train_steps=1)),
  ):
    stages[name] = dict(
        run="train",
        inputs=dict(aux=dict(images="world/train")),
        params=dict(config="base", seed=seed, **fields),
    )
  for name, model, tap in (
      ("representations", "base", "pre_logits"),
      ("representations_layer_0", "base", "layer_0"),
      ("representations_layer_1", "base", "layer_1"),
      ("representations_layer_2", "base", "layer_2"),
      ("representations_narrower", "narrower", "pre_logits"),
      ("representations_untrained", "untrained", "pre_logits"),
  ):
    stages[name] = dict(
        run="represent",
        inputs=dict(
            weights=f"{model}/weights.safetensors", train="world/train"
        ),
        params=dict(tap=tap),
    )
  return stages
