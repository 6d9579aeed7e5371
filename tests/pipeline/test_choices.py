"""The pipeline `choices` on a small simulated experiment."""

from alignet import transforms
from alignet.cli import main
from alignet.data import labels as labels_lib
from alignet.data import linear_world
from alignet.human import judgments as judgments_lib
from alignet.human import readers
from alignet.io import json_files
from alignet.representations import store
import numpy as np
import pytest
from uncertainty_distillation import vice

pytestmark = pytest.mark.slow

_N = 45


def _write_csv(path, triplets):
  """Choices of 30 people as THINGS has them, the odd one third."""
  lines = ["\t".join(readers.CSV_COLUMNS)]
  lines += [
      f"P{n % 30}\t{i + 1}\t{j + 1}\t{k + 1}\t3"
      for n, (i, j, k) in enumerate(triplets)
  ]
  path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """Choices sampled from a known embedding, run through the pipeline."""
  folder = tmp_path_factory.mktemp("choices")
  x, concepts, embedding = linear_world.make(_N, 2, dims=3, seed=4)
  soft = judgments_lib.from_embedding(1.5 * embedding)
  rows = np.random.default_rng(0).integers(0, len(soft), 20_000)
  hard = judgments_lib.sample_choices(
      judgments_lib.from_choices(
          soft.triplets[rows], soft.probabilities[rows], n_concepts=_N
      ),
      seed=0,
  )
  _write_csv(folder / "choices.csv", hard.triplets)
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
              ("choices", "choices.csv"),
              ("concepts", "names.txt"),
              ("representations", "reps"),
          )
      ),
      "--cfg.stages.choices.params.format=things_csv",
      *("--cfg.vice.width=12", "--cfg.vice.steps=4000", "--cfg.samples=10"),
      *(
          "--cfg.folds=2",
          "--cfg.teacher.steps=50",
          "--cfg.teacher.inner_folds=3",
      ),
  ]
  assert main.main(command) == 0
  return folder / "out", command


def test_a_teacher_from_choices(run):
  out, _ = run
  results = json_files.read(out / "results.json")
  assert results["choices"]["rows"] == 20_000
  assert 2 <= results["vice"]["dimensions"] <= 5
  results = results["cross_validation"]
  assert results["trials"] > 300 and results["folds"] == 2
  assert results["participants"] == 30
  # A fold drops what mixes it with the others.
  assert len(results["dropped_judgments"]) == 2
  assert min(results["dropped_judgments"]) > 10_000
  methods = results["methods"]
  assert set(methods) == {"ours", "ridge", "raw"}
  assert methods["ours"]["agreement"]["value"] > 0.45
  for name, rows in methods.items():
    assert len(rows["folds"]) == 2
    for scores in (rows, *rows["folds"]):
      brier = scores["brier_fitted"]
      assert brier["low"] <= brier["value"] <= brier["high"]
    assert results["calibration_fitted"][name]["error"] < 0.1
  gain = results["differences"]["ours - raw"]["cross_entropy_fitted"]
  assert gain["high"] < 0
  transform = transforms.load(out / "transform.npz")
  assert transform.meta["concepts"] == _N
  for name in ("calibration.png", "calibration_fitted.png"):
    assert (out / name).read_bytes().startswith(b"\x89PNG")
  # Choices are noisier than the posterior predictive that was learnt from:
  # the temperature is that of choices, and near 1 as in the folds.
  fits = results["fits"]["ours"]
  assert all(0.5 < fit["temperature"] < 2 for fit in fits)
  assert 0.5 < transform.meta["temperature"] < 2


def test_vice_of_a_fold_saw_nothing_of_it(run):
  out, _ = run
  folds = judgments_lib.folds(np.arange(_N), 2, seed=0)
  for i, fold in enumerate(folds):
    path = f"cross_validation-*/fold{i}/vice.npz"
    (path,) = (out / "stages").glob(path)
    found = vice.load(path)
    assert not found.mu[fold].any()
    assert not set(found.meta["used"]) & set(fold.tolist())


def test_again_does_nothing(run, capsys):
  _, command = run
  assert main.main(command) == 0
  assert capsys.readouterr().out.count("done before") == 5
