"""Ablations on the embedded world: minutes, simulated observers.

The world of `alignet run demo`: drawn objects, judged by a formula. It shows
which settings matter there, and that the machinery works; it is no result about
people. Each seed draws another world.
"""

from alignet.io import config_files
import ml_collections

_SHARED = ("world", "trials", "base")


def get_config() -> ml_collections.ConfigDict:
  """What all cells share, and the settings they start from."""
  config = config_files.load("pipeline/demo")
  for name in [n for n in config.stages if n not in _SHARED]:
    del config.stages[name]
  del config.publish, config.check
  config.draws_world = True
  config.observers = "simulated observers"
  config.sets = dict(
      across="across superordinates",
      border="border of two superordinates",
      within="within a superordinate",
  )
  config.levels = dict(concept="subordinate", classes="subordinate")
  _representations(config.stages, config.get_ref("seed"))
  _posterior(config.stages, config.get_ref("seed"))
  config.roles = dict(
      train="world/train",
      test="world/test",
      trials="trials",
      base="base/weights.safetensors",
      embedding="world/embedding.npy",
      held_out="world/held_out.npy",
      posterior="posterior/vice.npz",
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
      judgments="embedding",
      distil=dict(start="identity", input_map="none"),
      features="pre_logits",
      sampling="cluster_border",
      k=30,
      law="groups",
      triplets=50_000,
      student=dict(config="student/small"),
  )
  shared = dict(
      images="train", weights="base", trials="trials", trial_images="test"
  )
  config.students = {
      "student/small": dict(aux=dict(triplets="responses", **shared)),
      "student/small:dense": dict(
          aux=dict(
              clusters="clusters",
              representations="features",
              teacher="transform",
              **shared,
          )
      ),
  }
  return config


def _posterior(stages, seed) -> None:
  """VICE of single choices: what they say of the observers, and how surely."""
  stages.choices = dict(
      run="simulate_choices",
      inputs=dict(
          embedding="world/embedding.npy", held_out="world/held_out.npy"
      ),
      params=dict(seed=seed),
  )
  stages.posterior = dict(
      run="vice",
      inputs=dict(choices="choices"),
      params=dict(width=50, seed=seed),
  )


def _representations(stages, seed) -> None:
  """Other networks, and what each makes of the training images."""
  for name, fields in (
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
