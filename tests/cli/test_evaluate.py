"""`alignet evaluate` in process, through the real entry point."""

import json

from alignet import transforms
from alignet.cli import main as cli
from alignet.evals.scores import summary
import numpy as np
import pytest


@pytest.fixture(name="world")
def _world(tmp_path, monkeypatch):
  """Features, triplets, RDMs and a transform on disk."""
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(cli, "COMMANDS", ("evaluate",))
  rng = np.random.default_rng(0)
  x = rng.normal(size=(20, 5)).astype(np.float32)
  t = np.stack([rng.permutation(20)[:3] for _ in range(100)]).astype(np.int32)
  r = rng.random((3, 20, 20))
  r = r + r.transpose(0, 2, 1)
  np.save("F.npy", x)
  np.save("T.npy", t)
  np.save("R.npy", r)
  transform = transforms.Transform(
      weights=rng.normal(size=(5, 4)),
      bias=rng.normal(size=4),
      mean=0.5,
      std=2.0,
  )
  transforms.save("t.npz", transform)
  return {"x": x, "t": t, "r": r, "transform": transform, "dir": tmp_path}


def _run(*args):
  return cli.main(["evaluate", *args])


def _result(world, name="r.json"):
  return json.loads((world["dir"] / name).read_text())


_TRUST = ("--rows=as_stored", "--columns=as_given")
_TRIPLETS = ("triplets", "--features=F.npy", "--triplets=T.npy", *_TRUST)
_RDM = ("rdm", "--features=F.npy", "--rdm=R.npy", "--kind=distance", *_TRUST)


def test_triplets(world, capsys):
  assert _run(*_TRIPLETS, "--out=r.json") == 0
  result = _result(world)
  assert set(result) == {
      "similarity",
      "accuracy",
      "se",
      "nll",
      "nll_fitted",
      "n",
      "temperature",
      "meta",
  }
  assert set(result["meta"]["sha256"]) == {"features", "triplets"}
  del result["meta"]
  expected = summary.of_triplets(world["x"], world["t"], similarity="cosine")
  assert result == expected
  assert f"accuracy {expected['accuracy']:.4f}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "flag, kind",
    [((), "dot"), (("--similarity=cosine",), "cosine")],
)
def test_transform_is_applied(world, flag, kind):
  assert _run(*_TRIPLETS, "--transform=t.npz", *flag, "--out=r.json") == 0
  t = world["transform"]
  z = ((world["x"] - 0.5) / 2) @ t.weights + t.bias
  expected = summary.of_triplets(z, world["t"], similarity=kind)
  result = _result(world)
  assert result["similarity"] == kind
  assert result["accuracy"] == pytest.approx(expected["accuracy"])
  assert result["nll"] == pytest.approx(expected["nll"], rel=1e-5)
  assert "transform" in result["meta"]["sha256"]


def test_rdm(world, capsys):
  assert _run(*_RDM, "--resamples=50", "--out=sub/r.json") == 0
  result = _result(world, "sub/r.json")
  del result["meta"]
  assert result == summary.of_rdm(
      world["x"], world["r"], similarity="cosine", resamples=50
  )
  assert "Spearman" in capsys.readouterr().out
  assert _run(*_RDM, "--resamples=50", "--transform=t.npz", "--out=d.json") == 0
  assert _result(world, "d.json")["similarity"] == "dot"


def test_rdm_without_resamples(world, capsys):
  assert _run(*_RDM, "--resamples=0", "--out=r.json") == 0
  assert "ci" not in _result(world)["mean_rdm"]
  said = capsys.readouterr().out
  assert "Spearman" in said and " to " not in said


def test_quiet_before_and_after_the_subcommand(world, capsys):
  del world
  assert _run(*_TRIPLETS, "--quiet", "--out=a.json") == 0
  assert _run("--quiet", *_TRIPLETS, "--out=b.json") == 0
  found = capsys.readouterr()
  assert found.out == found.err == ""


def test_same_bytes_again(world):
  for name in ("a.json", "b.json"):
    assert _run(*_RDM, "--resamples=20", f"--out={name}") == 0
  a, b = ((world["dir"] / name).read_bytes() for name in ("a.json", "b.json"))
  assert a == b


def test_existing_output_stays(world, capsys):
  (world["dir"] / "r.json").write_text("mine")
  assert _run(*_TRIPLETS, "--out=r.json") == 2
  assert "already exists" in capsys.readouterr().err
  assert (world["dir"] / "r.json").read_text() == "mine"
  assert _run(*_TRIPLETS, "--out=r.json", "--overwrite") == 0
  assert _result(world)["n"] == 100


def _features(world, change):
  x = world["x"].copy()
  np.save("F.npy", change(x))


def _nan(x):
  x[3, 1] = np.nan
  return x


@pytest.mark.parametrize(
    "what, spoil, message",
    [
        (_TRIPLETS, lambda w: _features(w, _nan), "row 3 holds a NaN"),
        (_RDM, lambda w: _features(w, _nan), "row 3 holds a NaN"),
        (_TRIPLETS, lambda w: _features(w, lambda x: x[:9]), "from 0 to 8"),
        (_RDM, lambda w: _features(w, lambda x: x[:9]), "shape (9, 9)"),
        (
            _TRIPLETS,
            lambda w: np.save("T.npy", w["t"].astype(float)),
            "expected integers",
        ),
        (
            _TRIPLETS,
            lambda w: np.save("T.npy", w["t"][:, :2]),
            "expected shape (any, 3)",
        ),
        (
            _RDM,
            lambda w: np.save("R.npy", np.triu(w["r"][0])),
            "symmetric",
        ),
        (
            _RDM,
            lambda w: np.save("R.npy", np.ones((20, 20))),
            "is undefined",
        ),
        (
            (*_TRIPLETS, "--transform=t.npz"),
            lambda w: _features(w, lambda x: x[:, :4]),
            "found (20, 4)",
        ),
        (
            (*_TRIPLETS, "--transform=T.npy"),
            lambda w: None,
            "expected an .npz archive",
        ),
        (
            _TRIPLETS,
            lambda w: (w["dir"] / "F.npy").unlink(),
            "does not exist",
        ),
    ],
)
def test_bad_input_is_one_sentence(world, capsys, what, spoil, message):
  spoil(world)
  assert _run(*what, "--out=r.json") == 2
  error = capsys.readouterr().err
  assert message in error
  assert error.startswith("alignet evaluate: error:")
  assert len(error.splitlines()) == 1
  assert not (world["dir"] / "r.json").exists()


def test_a_subcommand_is_required(world, capsys):
  del world
  assert _run() == 2
  assert "evaluation" in capsys.readouterr().err


def test_plain_arrays_need_a_word(world, capsys):
  ask = _TRIPLETS[:3]
  assert _run(*ask, "--out=r.json") == 2
  assert "F.npy does not say which images" in (e := capsys.readouterr().err)
  assert "if they are those of T.npy, pass --rows=as_stored" in e
  with_transform = (*ask, "--rows=as_stored", "--transform=t.npz")
  assert _run(*with_transform, "--out=r.json") == 2
  assert "t.npz does not say which network" in capsys.readouterr().err


def test_where_the_odd_one_is(world, capsys):
  """Said, or refused where the answers tell: never a wrong number."""
  x = world["x"]
  z = x / np.linalg.norm(x, axis=1, keepdims=True)
  rng = np.random.default_rng(5)
  rows = np.stack([rng.permutation(len(x))[:3] for _ in range(600)])
  s = np.stack([(z[rows[:, a]] * z[rows[:, b]]).sum(1) for a, b in _PAIRS], 1)
  odd = np.array([2, 1, 0])[s.argmax(axis=1)]
  last = np.array([[*np.delete(r, o), r[o]] for r, o in zip(rows, odd)])
  for name, order in (("first", (2, 0, 1)), ("middle", (0, 2, 1))):
    np.save("T.npy", last[:, order])
    assert _run(*_TRIPLETS, "--out=o.json", "--overwrite") == 2
    error = capsys.readouterr().err
    assert "T.npy: 0.000 of 600 answers" in error and "--odd=first" in error
    assert _run(*_TRIPLETS, f"--odd={name}", "--out=o.json", "--overwrite") == 0
    assert _result(world, "o.json")["accuracy"] == 1
  assert _run(*_TRIPLETS, "--odd=last", "--out=o.json", "--overwrite") == 0
  np.save("T.npy", last + 1)
  assert _run(*_TRIPLETS, "--out=o.json", "--overwrite") == 2
  assert "if they count from 1, pass --numbered_from=1" in (
      capsys.readouterr().err
  )
  flags = ("--numbered_from=1", "--out=o.json", "--overwrite")
  assert _run(*_TRIPLETS, *flags) == 0
  assert _result(world, "o.json")["accuracy"] == 1


_PAIRS = ((0, 1), (0, 2), (1, 2))
