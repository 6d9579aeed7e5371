"""The pipeline `choices` on a small simulated experiment."""

from alignet import files
from alignet import transforms
from alignet.cli import main
from alignet.data import labels as labels_lib
from alignet.representations import store
from alignet.testing import teacher
import numpy as np
import pytest
from uncertainty_distillation import judgments as judgments_lib
from uncertainty_distillation import vice

_N = 45


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """Choices sampled from a known embedding, run through the pipeline."""
  folder = tmp_path_factory.mktemp("choices")
  x, concepts, embedding = teacher.linear_world(_N, 2, dims=3, seed=4)
  soft = judgments_lib.from_embedding(1.5 * embedding)
  rows = np.random.default_rng(0).integers(0, len(soft), 20_000)
  hard = judgments_lib.sample_choices(
      judgments_lib.from_choices(
          soft.triplets[rows], soft.probabilities[rows], n_concepts=_N
      ),
      seed=0,
  )
  odd_first = hard.triplets[:, ::-1]
  np.save(folder / "choices.npy", odd_first)
  names = [f"concept{i}" for i in range(_N)]
  (folder / "names.txt").write_text("\n".join(names) + "\n")
  store.write(
      folder / "reps",
      x,
      [f"{i}.png" for i in range(len(x))],
      {"concept": labels_lib.Labels(ids=concepts, names=np.array(names))},
      {},
  )
  command = [
      *("run", "choices", f"--out={folder / 'out'}"),
      *(
          f"--cfg.paths.{k}={folder / v}"
          for k, v in (
              ("choices", "choices.npy"),
              ("concepts", "names.txt"),
              ("representations", "reps"),
          )
      ),
      "--cfg.stages.choices.params.format=odd_first",
      *("--cfg.vice.width=12", "--cfg.vice.steps=4000", "--cfg.samples=10"),
  ]
  assert main.main(command) == 0
  return folder / "out", command


def test_a_teacher_from_choices(run):
  out, _ = run
  results = files.read_json(out / "results.json")
  scores = results["scores"]
  assert results["choices"]["rows"] == 20_000
  assert results["held_out_choices"] > 300
  assert scores["teacher_accuracy"]["value"] > 0.45
  gain = scores["nll_gain"]
  assert gain["low"] <= gain["value"] <= gain["high"] and gain["value"] > 0
  assert 2 <= results["vice"]["dimensions"] <= 5
  assert transforms.load(out / "transform.npz").meta["concepts"] == _N


def test_vice_of_a_fold_saw_nothing_of_it(run):
  out, _ = run
  for i in (1, 2, 3):
    (path,) = (out / "stages").glob(f"vice_fold{i}-*/vice.npz")
    (fold,) = (out / "stages").glob(f"folds-*/fold{i}/held_out.npy")
    hidden, found = np.load(fold), vice.load(path)
    assert hidden.sum() == _N // 3
    assert not (found.mu[hidden]).any()
    assert not set(found.meta["used"]) & set(np.flatnonzero(hidden))


def test_again_does_nothing(run, capsys):
  _, command = run
  assert main.main(command) == 0
  assert capsys.readouterr().out.count("done before") == 14
