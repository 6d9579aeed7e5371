import json
import pathlib

from alignet.data import images as images_lib
from alignet.errors import AlignetError
from alignet.evals.scores.choices import odd_one_out
from alignet.human import trials as trials_lib
from alignet.representations import extract
from alignet.triplets import similarity
from kauldron import kd
import pytest


@pytest.fixture
def trainer(shrunk, tmp_path):
  return kd.konfig.resolve(shrunk("student/small", tmp_path))


def _state(trainer):
  return trainer.trainstep.init(
      elem_spec=trainer.train_ds.element_spec, skip_transforms=True
  )


@pytest.mark.parametrize(
    "tap, kind", [("pre_logits", "cosine"), ("triplet_logits", "dot")]
)
def test_the_evaluator_writes_what_offline_scoring_says(
    trainer, tmp_path, tiny_world, tap, kind
):
  state = _state(trainer)
  evaluator = trainer.evals["observers"]
  object.__setattr__(evaluator, "tap", tap)
  object.__setattr__(evaluator, "kind", kind)
  # The last batch of the used images is not full.
  object.__setattr__(evaluator, "batch_size", 16)
  evaluator.evaluate(state, step=3)
  path = tmp_path / "scalars" / f"{evaluator.name}.jsonl"
  row = json.loads(pathlib.Path(path).read_text())
  assert row.pop("step") == 3
  assert set(row) == {"simulated/a", "simulated/b"}
  store = images_lib.open_store(tiny_world["trial_images"])
  features = extract.extract(trainer.model, state.params, store.images, tap=tap)
  for name in ("a", "b"):
    trials = trials_lib.read(tiny_world[f"trials/{name}"])
    s = similarity.of_triplets(features, trials.indices, kind)
    wanted = odd_one_out.modal(s, trials.probabilities).mean()
    assert row[f"simulated/{name}"] == pytest.approx(wanted, abs=1e-12)


def test_trials_of_other_images_are_an_error(trainer, tiny_world):
  evaluator = trainer.evals["observers"]
  object.__setattr__(evaluator, "images", tiny_world["images"])
  with pytest.raises(AlignetError, match="is about .*trial_images"):
    evaluator.evaluate(None, step=0)


def test_it_runs_when_the_config_says_so(trainer):
  run = trainer.evals["observers"].run
  assert [s for s in range(10) if run.should_eval_in_train(s)] == [0, 4, 8]
