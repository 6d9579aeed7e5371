"""A teacher from its answers, against teachers that are known."""

from alignet import transforms
from alignet.cli import main
from alignet.errors import AlignetError
from alignet.representations import store
from alignet.triplets import npz
from alignet.triplets import sampling
from alignet.triplets import similarity
import numpy as np
import pytest
from uncertainty_distillation import factored
from uncertainty_distillation import recover

_N, _D, _WIDTH = 400, 20, 5


@pytest.fixture(scope="module")
def world():
  """Features, a teacher and border triplets."""
  rng = np.random.default_rng(0)
  labels = np.arange(_N) % 10
  x = rng.standard_normal((_N, _D)) + 2 * rng.standard_normal((10, _D))[labels]
  x = (x * np.geomspace(3, 0.1, _D) + 0.5).astype(np.float32)
  teacher = transforms.Transform(
      weights=(rng.standard_normal((_D, _WIDTH)) * 0.3).astype(np.float32),
      bias=rng.standard_normal(_WIDTH).astype(np.float32),
  )
  rows = sampling.sample(labels, "class_border", 4000, seed=0)
  return x, teacher, rows


def _recover(x, rows, s, **more):
  return recover.recover(x, rows, s, widths=(8, 16, 21), **more)


def test_the_teacher_comes_back_up_to_a_rotation(world):
  x, teacher, rows = world
  found = _recover(x, rows, similarity.of_triplets(teacher(x), rows))
  report = found.report
  assert report["affine"] and report["verdict"].startswith("an affine")
  assert report["input_map"] == "none" == found.transform.input_map
  assert report["held_out"]["relative_rmse"] < 1e-3
  assert report["held_out"]["odd_one_out"] > 0.995
  assert report["held_out"]["rows"] > 200
  # Eight columns were fitted; three of them hold next to nothing.
  sizes = np.linalg.svd(found.transform(x), compute_uv=False)
  assert sizes[_WIDTH - 1] > 50 * sizes[_WIDTH]
  # Dot products of images in no triplet, which no rotation changes.
  new = np.random.default_rng(5).standard_normal((50, _D)).astype(np.float32)
  z, z_ = teacher(new), found.transform(new)
  np.testing.assert_allclose(z_ @ z_.T, z @ z.T, atol=2e-2 * np.std(z @ z.T))
  rank = report["identifiability"]
  assert rank["rank"] == rank["rank_at_most"] == _D + 1 and rank["determined"]


def test_a_fit_that_gets_better_goes_on(world, monkeypatch):
  x, teacher, rows = world
  s = similarity.of_triplets(teacher(x), rows)
  monkeypatch.setattr(recover, "_FIRST_STEPS", 1)
  monkeypatch.setattr(recover, "_STEPS", 1)
  monkeypatch.setattr(recover, "LARGEST_ERROR", 0.01)
  assert recover.recover(x, rows, s, widths=(8,)).report["affine"]
  monkeypatch.setattr(recover, "_ROUNDS", 1)
  assert not recover.recover(x, rows, s, widths=(8,)).report["affine"]


def test_a_teacher_as_wide_as_the_representations(world):
  x, _, rows = world
  rng = np.random.default_rng(4)
  teacher = transforms.Transform(
      weights=np.eye(_D, dtype=np.float32)
      + 0.1 * rng.standard_normal((_D, _D)).astype(np.float32),
      bias=np.full(_D, 0.2, np.float32),
  )
  report = _recover(x, rows, similarity.of_triplets(teacher(x), rows)).report
  assert report["affine"] and report["held_out"]["odd_one_out"] > 0.98


@pytest.mark.parametrize("input_map", ["l2", "sqrt"])
def test_input_maps_are_found(world, input_map):
  x, teacher, rows = world
  x = np.abs(x)
  teacher = transforms.Transform(
      weights=teacher.weights * 4, bias=teacher.bias, input_map=input_map
  )
  found = _recover(x, rows, similarity.of_triplets(teacher(x), rows))
  assert found.report["affine"] and found.report["input_map"] == input_map
  tried = {e["input_map"] for e in found.report["tried"]}
  assert tried == {"none", "l2", "sqrt"}
  only = _recover(
      x,
      rows,
      similarity.of_triplets(teacher(x), rows),
      input_maps=("none",),
  )
  assert not only.report["affine"]


@pytest.mark.parametrize("where", ["representations", "similarities"])
def test_float16_is_still_affine(world, where):
  x, teacher, rows = world
  s = similarity.of_triplets(teacher(x), rows)
  if where == "representations":
    x = x.astype(np.float16)
  else:
    s = s.astype(np.float16).astype(np.float32)
  report = _recover(x, rows, s).report
  assert report["affine"]
  assert report["held_out"]["odd_one_out"] >= 0.98


def _cosine(x, teacher, rows, rng):
  return similarity.of_triplets(teacher(x), rows, "cosine")


def _normalised(x, teacher, rows, rng):
  return similarity.of_triplets(similarity.normalise(x), rows) * 8


def _other_layer(x, teacher, rows, rng):
  hidden = np.tanh(x @ rng.standard_normal((_D, _D)) / 2)
  return similarity.of_triplets(hidden @ teacher.weights * 3, rows)


def _noise(x, teacher, rows, rng):
  return rng.standard_normal((len(rows), 3))


@pytest.mark.parametrize("make", [_cosine, _other_layer, _noise])
def test_what_is_no_affine_teacher(world, make):
  x, teacher, rows = world
  s = make(x, teacher, rows, np.random.default_rng(1)).astype(np.float32)
  report = _recover(x, rows, s).report
  assert not report["affine"]
  assert report["verdict"].startswith(
      "not an affine dot-product teacher of these representations"
  )
  assert report["held_out"]["relative_rmse"] > recover.LARGEST_ERROR
  assert ("cosines" in report["verdict"]) == (make is _cosine)


def test_normalised_representations_are_an_affine_teacher_of_a_map(world):
  x, teacher, rows = world
  s = _normalised(x, teacher, rows, None)
  found = _recover(x, rows, s.astype(np.float32))
  assert found.report["affine"] and found.report["input_map"] == "l2"


def test_rank_of_the_representations_is_reported(world):
  x, teacher, rows = world
  flat = np.concatenate([x[:, :7], x[:, :7] * 2, np.zeros((_N, 6))], axis=1)
  flat = flat.astype(np.float32)
  report = _recover(flat, rows, similarity.of_triplets(teacher(flat), rows))
  report = report.report
  known = report["identifiability"]
  assert report["affine"] and known["rank"] == 8
  assert known["rank_at_most"] == _D + 1
  assert "only in the 7 of 20 directions" in known["note"]


def test_too_few_pairs_are_said_to_be(world):
  _, _, rows = world
  x = np.random.default_rng(2).standard_normal((_N, 40)).astype(np.float32)
  report = _recover(x, rows[:150], similarity.of_triplets(x, rows[:150])).report
  assert not report["affine"]
  assert "pairs cannot tell about all 41, which takes 861" in report["verdict"]


@pytest.mark.parametrize(
    ("width", "expected"), [(1, 6), (2, 11), (6, 21), (9, 21)]
)
def test_unknowns_are_the_dimension_of_the_matrices(width, expected):
  assert factored.unknowns(6, width) == expected
  if width <= 6:  # The rank of the Jacobian of V -> V V'.
    v = np.random.default_rng(0).standard_normal((6, width))
    columns = []
    for k in range(v.size):
      d = np.zeros(v.size)
      d[k] = 1
      d = d.reshape(v.shape)
      columns.append((v @ d.T + d @ v.T).ravel())
    assert np.linalg.matrix_rank(np.stack(columns)) == expected


def test_inputs_that_cannot_be(world):
  x, teacher, rows = world
  s = similarity.of_triplets(teacher(x), rows)
  with pytest.raises(AlignetError, match="at least 100 triplets"):
    _recover(x, rows[:50], s[:50])
  with pytest.raises(AlignetError, match="all similarities equal"):
    _recover(x, rows, np.ones_like(s))
  with pytest.raises(AlignetError, match="expected shape"):
    _recover(x, rows, s[:-1])
  with pytest.raises(AlignetError, match="indices"):
    _recover(x[:100], rows, s)
  with pytest.raises(AlignetError, match="sqrt needs features .* found -"):
    _recover(x - 10, rows, s, input_maps=("sqrt",))


def test_command(world, tmp_path, capsys):
  x, teacher, rows = world
  names = np.array([f"{i}.png" for i in range(_N)])
  # The representations stand in another order than the file's numbers.
  order = np.random.default_rng(3).permutation(_N)
  store.write(tmp_path / "r", x[order], names[order], {}, {})
  for name, kind in (("a", "dot"), ("cosine", "cosine")):
    s = similarity.of_triplets(teacher(x), rows, kind)
    npz.write(tmp_path / f"{name}.npz", names, rows, s)

  def run(name, *flags):
    return main.main(
        [
            "recover",
            f"--file={tmp_path / name}.npz",
            f"--representations={tmp_path / 'r'}",
            f"--out={tmp_path / 't.npz'}",
            *flags,
        ]
    )

  assert run("a") == 0
  assert "a.npz: an affine" in capsys.readouterr().out
  z = transforms.load(tmp_path / "t.npz")(x)
  expected = similarity.of_triplets(teacher(x), rows)
  again = similarity.of_triplets(z, rows)
  assert np.mean(again.argmax(1) == expected.argmax(1)) > 0.99
  assert run("a") == 2  # Not overwritten.
  assert run("cosine", "--overwrite", "--width=12", "--json") == 1
  assert '"affine": false' in capsys.readouterr().out
