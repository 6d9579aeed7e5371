"""`alignet evaluate representations` and `student`, through the entry point."""

import gzip
import json
import pathlib
import re

import alignet
from alignet.cli import main as cli
from alignet.data import images as images_lib
from alignet.data.labels import Labels
from alignet.evals import levels as levels_scores
from alignet.evals.scores.choices import odd_one_out
from alignet.evals.scores.classes import knn
from alignet.human import levels as levels_lib
from alignet.human import trials as trials_lib
from alignet.representations import store
from alignet.triplets import npz
from alignet.triplets import similarity
import numpy as np
import pytest
from tests.data import living_hierarchy
from tests.human import simulated_levels
from tests.models.encoders import test_encoders


@pytest.fixture(name="world")
def _world(tmp_path, monkeypatch):
  """Two models' representations of Levels' images, and all judgments."""
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr(cli, "COMMANDS", ("evaluate",))
  rng = np.random.default_rng(0)
  names = np.array(simulated_levels.images())
  x = simulated_levels.features()
  wolves = "02114855 02114712 02114548 02114367 02120505 02120079 02119022"
  wnids = np.array([f"n{c}" for c in f"{wolves} 02119789".split()])
  labels = {
      "subordinate": Labels(ids=np.repeat(np.arange(8), 6), names=wnids),
      "concept": Labels(
          ids=np.repeat(np.arange(8), 6),
          names=np.array([f"concept{i}" for i in range(8)]),
      ),
  }
  for name, noise in (("good", 0.2), ("bad", 3)):
    for part in ("", "_train"):
      z = x + noise * rng.normal(size=x.shape)
      store.write(
          name + part, z.astype(np.float32), names, labels, {"model": name}
      )
  triplets = np.stack([rng.permutation(48)[:3] for _ in range(60)])
  s = similarity.of_triplets(x, triplets, "cosine") * 5
  npz.write("sets/a.npz", names, triplets, s)
  npz.write("more/a.npz", names, triplets[:20], s[:20])
  choices = np.stack([rng.permutation(8)[:3] for _ in range(40)])
  np.save("choices.npy", choices)
  (tmp_path / "concepts.txt").write_text(
      "".join(f"concept{i}\n" for i in range(8))
  )
  human = 1 - np.corrcoef(x) + rng.random((3, 48, 48)) / 5
  human += human.transpose(0, 2, 1)
  np.save("r.npy", human)
  np.save("other.npy", human[:1])
  (tmp_path / "names.txt").write_text("\n".join(names.tolist()) + "\n")
  levels, _ = levels_lib.from_trials(simulated_levels.participants(6, 8))
  levels_lib.write("levels.npz", levels, {})
  living_hierarchy.write(tmp_path / "breeds")
  return {"dir": tmp_path, "levels": levels, "names": names}


def _run(*args):
  return cli.main(["evaluate", "representations", *args, "--out=r.json"])


def _result(world):
  return json.loads((world["dir"] / "r.json").read_text())


_ALL = (
    "--representations=good",
    "--train_representations=good_train",
    "--baseline=bad",
    "--baseline_train=bad_train",
    "--trials=simulated=sets",
    "--trials=synthetic=sets/a.npz",
    "--things=choices.npy",
    "--concept_list=concepts.txt",
    "--levels=levels.npz",
    "--no_repeats",
    "--rdm=mine=r.npy",
    "--rdm_images=mine=names.txt",
    "--rdm_kind=mine=distance",
    "--categories=subordinate",
    "--hierarchy=subordinate,concept",
    "--tasks=knn,few_shot,retrieval",
    "--resamples=20",
)


def test_a_cell_of_eight_lines_gives_the_same_numbers(world):
  text = (pathlib.Path(__file__).parents[2] / "README.md").read_text()
  (cell,) = re.findall(r"```python\n(scores = .*?)```", text, re.DOTALL)
  assert len(cell.splitlines()) <= 8
  for name, ours in (("representations", "good"), ("rdm.npy", "r.npy")):
    cell = cell.replace(f'"{name}"', f'"{ours}"')
  names = {"alignet": alignet}
  exec(cell, names)  # pylint: disable=exec-used
  human = ("things=choices.npy", "concept_list=concepts.txt")
  human += ("levels=levels.npz", "rdm=mine=r.npy", "rdm_kind=mine=distance")
  human += ("rdm_images=mine=sorted",)
  assert not _run("--representations=good", *(f"--{flag}" for flag in human))
  found = json.loads(json.dumps(names["scores"].to_json()))
  assert found == _result(world)
  assert len({"/".join(n.split("/")[:2]) for n in found["scores"]}) == 3
  shown = names["scores"]._repr_html_()
  for name, score in found["scores"].items():
    assert f"<td>{name}</td><td>{score['mean']:.4f}" in shown


def test_everything_at_once(world, capsys):
  # Six images a class: k-NN, five shots and recall at 10 are possible.
  assert _run(*_ALL) == 0
  result = _result(world)
  scores = result["scores"]
  assert {name.rsplit("/", 1)[0] for name in scores} == {
      *("simulated/a", "synthetic/a", "human/things", "human/mine", "classes"),
      *("hierarchy", "cka"),
      *(f"human/levels/{x}" for x in ("coarse", "fine", "boundary", "all")),
  }
  assert scores["hierarchy/concept"]["mean"] is None  # No pair is left.
  assert scores["hierarchy/subordinate"]["difference"]["high"] < 0
  for name, score in scores.items():
    if name.startswith("cka/") or name == "hierarchy/concept":
      continue
    assert {"mean", "n", "baseline", "difference"} <= set(score), name
    assert score["difference"]["mean"] == pytest.approx(
        score["mean"] - score["baseline"], abs=1e-9
    )
  for name in ("simulated/a/modal", "human/mine/spearman", "classes/knn"):
    assert scores[name]["difference"]["mean"] > 0.1
  assert scores["simulated/a/modal"] == scores["synthetic/a/modal"]
  levels, left_out = levels_lib.exclude(
      world["levels"], levels_lib.Exclusions(repeats=True)
  )
  details = result["details"]["human/levels"]
  assert details["left_out"] == left_out == {"repeats": 6}
  opened, other = store.open("good"), store.open("bad")
  wanted = levels_scores.evaluate(
      opened.features,
      opened.filenames,
      levels,
      baseline=(other.features, "cosine"),
      resamples=20,
  )
  for name, score in wanted["scores"].items():
    assert scores[name] == json.loads(json.dumps(score)), name
  assert details["ceilings"] == json.loads(json.dumps(wanted["ceilings"]))
  assert result["details"]["human/mine"]["mean_ceiling"]["bound"] <= 1
  things = result["details"]["human/things"]
  # Forty of the 56 triplets of eight concepts: some came twice.
  assert things.pop("ceilings")["answers_per_stimulus"] >= 2
  assert things == {
      "drawn": ["concepts"],
      "without_images": 0,
      "unknown_concepts": 0,
  }
  assert set(result["meta"]["sha256"]) == {
      *("things", "levels", "rdm_images/mine", "rdm/mine"),
      *("simulated/a", "synthetic/a"),
  }
  assert result["meta"]["representations"]["baseline"]["model"] == "bad"
  said = capsys.readouterr().out
  assert "human/levels/fine/modal" in said and " over 0." in said


def test_choices_of_things_as_they_come_packed(world):
  choices = np.load("choices.npy")
  lines = ["subject_id\timage1\timage2\timage3\tchoice"]
  lines += [f"p\t{a + 1}\t{b + 1}\t{c + 1}\t3" for a, b, c in choices]
  with gzip.open("choices.csv.gz", "wt") as f:
    f.write("\n".join(lines) + "\n")
  shown = []
  for name in ("choices.npy", "choices.csv.gz"):
    args = (f"--things={name}", "--concept_list=concepts.txt", "--overwrite")
    assert _run("--representations=good", "--resamples=10", *args) == 0
    shown.append(_result(world)["scores"]["human/things/nll"]["mean"])
  assert shown[0] == shown[1]


def test_same_bytes_again(world):
  args = ("--representations=good", "--levels=levels.npz", "--resamples=10")
  assert _run(*args) == 0
  first = (world["dir"] / "r.json").read_bytes()
  assert _run(*args, "--overwrite") == 0
  assert (world["dir"] / "r.json").read_bytes() == first
  assert _run(*args) == 2


def test_breeds_and_masks(world):
  folder = world["dir"]
  args = (
      "--representations=good",
      "--train_representations=good_train",
      "--breeds=living17",
      "--breeds_hierarchy=breeds",
      "--tasks=probe",
      "--mask",
  )
  assert _run(*args) == 0
  scores = _result(world)["scores"]
  assert set(scores) == {
      *("classes/probe", "breeds/living17/source/probe"),
      "breeds/living17/target/probe",
  }
  # Wolves and foxes, two classes of each in either half, six images a class.
  assert scores["breeds/living17/target/probe"]["n"] == 24
  assert scores["breeds/living17/source/probe"]["mean"] > 0.8
  # The list of classes, such as ImageNet-A's, in the place of the images'.
  names = store.open(folder / "good").labels["subordinate"].names
  (folder / "mask.txt").write_text("\n".join(names.tolist()))
  args = [a for a in args if "breeds" not in a and a != "--mask"]
  assert _run(*args, "--mask=mask.txt", "--overwrite") == 0
  result = _result(world)
  assert set(result["scores"]) == {"classes/probe"}
  assert set(result["meta"]["sha256"]) == {"mask"}


@pytest.mark.parametrize(
    "args, message",
    [
        ((), "nothing to evaluate: pass --trials"),
        (
            ("--tasks=knn",),
            "--tasks needs training images: pass --train_represent",
        ),
        (
            ("--breeds=living17", "--train_representations=good_train"),
            "alignet fetch breeds",
        ),
        (("--trials=sets",), "expected NAME=PATH, found 'sets'"),
        (("--trials=people=sets",), "expected one of human, simulated"),
        (
            ("--trials=human=sets/a.npz", "--trials=human=more/a.npz"),
            "two sets are called human/a; name them apart",
        ),
        (
            ("--rdm=mine=r.npy", "--rdm=mine=other.npy"),
            "two sets are called human/mine",
        ),
        (
            ("--rdm=levels=r.npy", "--levels=levels.npz"),
            "two sets are called human/levels",
        ),
        (("--levels=levels.npz", "--resamples=1"), "or 2 or more, found 1"),
        (("--things=choices.npy",), "--things needs --concept_list"),
        (("--hierarchy=family",), "found family"),
        (("--hierarchy=basic",), "no labels of the level 'basic'"),
        (("--levels=no.npz",), "no.npz does not exist"),
        (
            (
                *("--tasks=knn", "--train_representations=good_train"),
                "--mask=no.txt",
            ),
            "--mask: no.txt does not exist",
        ),
        (("--rdm=mur2013=r.npy",), "order that the data card says (--rdm_im"),
        (("--rdm=hebart2020=r.npy",), "not in the order of their file names"),
        (
            ("--rdm=mine=r.npy", "--rdm_images=other=names.txt"),
            "with the name of an --rdm, found other",
        ),
        (("--rdm=king2019=r.npy",), "cannot be read as a MATLAB file"),
        (("--rdm=peterson_animals=r.npy",), "write peterson or peterson/PART"),
        (("--rdm=king2019/set3=r.npy",), "has the parts set1, set2"),
        (
            ("--rdm=mine=r.npy", "--rdm_kind=other=distance"),
            "expected the name of an --rdm, found other",
        ),
        (
            ("--levels=levels.npz", "--shortest=1e9"),
            "leave no answer of Levels",
        ),
        (
            (
                *("--tasks=knn", "--train_representations=good_train"),
                "--level=basic",
            ),
            "has no labels of the level 'basic'",
        ),
    ],
)
def test_one_sentence(world, capsys, args, message):
  assert _run("--representations=good", *args) == 2
  error = capsys.readouterr().err
  assert message in error and error.count("\n") == 1
  assert not (world["dir"] / "r.json").exists()


def test_a_collapsed_model(world, capsys):
  opened = store.open("good")
  flat = np.ones_like(opened.features)
  store.write("flat", flat, opened.filenames, opened.labels, {})
  args = ("--levels=levels.npz", "--resamples=0")
  assert _run("--representations=flat", "--baseline=good", *args) == 0
  key = "human/levels/all/response_time"
  result = _result(world)
  assert result["scores"][key]["mean"] is None
  assert result["scores"][key]["baseline"] > 0
  assert key in result["details"]["human/levels"]["undefined"]
  said = capsys.readouterr().out
  assert "undefined, undefined over 0." in said


def test_sets_of_one_file_name(world):
  args = ("--representations=good", "--resamples=0")
  sets = ("--trials=human=sets/a.npz", "--trials=human/few=more/a.npz")
  sets += ("--rdm=mine=r.npy", "--baseline=bad")
  sets += ("--rdm_kind=mine=distance", "--rdm_images=mine=sorted")
  assert _run(*args, *sets, "--trials=simulated/all=sets") == 0
  result = _result(world)
  n = {name: score["n"] for name, score in result["scores"].items()}
  assert n["human/a/modal"] == n["simulated/all/a/modal"] == 60
  assert n["human/few/modal"] == 20
  assert set(result["meta"]["sha256"]) == {
      *("human/a", "human/few", "simulated/all/a", "rdm/mine"),
  }


@pytest.mark.parametrize(
    "args, message",
    [
        (("--tasks=knn",), "needs training images: pass --train_represent"),
        (
            ("--tasks=knn", "--train_source=images:i", "--baseline=bad"),
            "--baseline_train with --baseline",
        ),
        (("--tasks=knn,x", "--train_source=images:i"), "found x"),
        (
            ("--breeds=living17", "--train_source=images:i"),
            "alignet fetch breeds",
        ),
        (
            (
                *("--breeds=x", "--train_source=images:i"),
                "--breeds_hierarchy=breeds",
            ),
            "living17",
        ),
        (("--trials=sets",), "expected NAME=PATH, found 'sets'"),
        (("--levels=no.npz",), "no.npz does not exist"),
        (
            (
                *("--tasks=knn", "--train_source=images:i"),
                "--mask=no.txt",
            ),
            "--mask: no.txt does not exist",
        ),
        (("--rdm=mur2013=r.npy",), "not in the order of their file names"),
        (("--things=choices.npy",), "--things needs --concept_list"),
    ],
)
def test_arguments_are_refused_before_the_work(
    world, capsys, monkeypatch, args, message
):
  """Neither the network nor the source of images is opened."""
  # pylint: disable=g-import-not-at-top
  from alignet.data import image_sources
  from alignet.models.encoders import encoders

  del world
  for module in (image_sources, encoders):
    monkeypatch.setattr(module, "open", lambda *_, **__: 1 / 0)
  student = ("student", "--model=m.safetensors", "--source=images:i")
  assert cli.main(["evaluate", *student, "--keep=k", *args, "--out=r"]) == 2
  assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "asked",
    [
        ("--levels=levels.npz",),
        ("--tasks=knn,few_shot,retrieval",),
        ("--trials=human=sets/a.npz", "--hierarchy=subordinate"),
        ("--things=choices.npy", "--concept_list=concepts.txt"),
        (
            *("--rdm=mine=r.npy", "--rdm_kind=mine=distance"),
            "--rdm_images=mine=names.txt",
        ),
    ],
)
def test_the_order_of_images_changes_nothing(world, asked):
  found = []
  for seed in range(20):
    rng = np.random.default_rng(seed)
    for name in ("good", "bad", "good_train", "bad_train"):
      opened = store.open(name)
      rows = rng.permutation(len(opened)) if seed else np.arange(len(opened))
      store.write(
          *(f"moved/{name}", opened.features[rows], opened.filenames[rows]),
          {
              level: Labels(ids=labels.ids[rows], names=labels.names)
              for level, labels in opened.labels.items()
          },
          {},
          overwrite=True,
      )
    args = ("--representations=moved/good", "--baseline=moved/bad")
    args += ("--train_representations=moved/good_train", "--overwrite")
    args += ("--baseline_train=moved/bad_train", "--resamples=20")
    assert _run(*args, *asked) == 0
    result = _result(world)
    found.append((result["scores"], result["details"]))
  assert all(one == found[0] for one in found)


def test_a_baseline_of_more_and_of_fewer_images(world, capsys):
  opened = store.open("bad")
  for name, more in (("bad_more", 1), ("bad_fewer", -1)):
    rows = np.arange(48)[: 48 + min(more, 0)]
    extra = max(more, 0)
    store.write(
        name,
        np.concatenate([opened.features[rows], opened.features[:extra]]),
        [*opened.filenames[rows], *["another.jpg"] * extra],
        {},
        {},
    )
  ask = ("--representations=good", "--levels=levels.npz", "--resamples=0")
  assert _run(*ask, "--baseline=bad") == 0
  wanted = _result(world)["scores"]
  assert _run(*ask, "--baseline=bad_more", "--overwrite") == 0
  assert _result(world)["scores"] == wanted
  assert _run(*ask, "--baseline=bad_fewer", "--overwrite") == 2
  assert "bad_fewer lacks 1 of the 48 images" in capsys.readouterr().err


def test_student(world, tiny_world, shrunk, capsys, monkeypatch):
  """A model's weights, then stored representations: the same scores."""
  # pylint: disable=g-import-not-at-top
  from alignet.models.formats import checkpoints
  from kauldron import kd

  monkeypatch.setattr(cli, "COMMANDS", ("evaluate",))
  folder = world["dir"]
  trainer = kd.konfig.resolve(shrunk("student/small", folder / "run"))
  state = trainer.trainstep.init(
      elem_spec=trainer.train_ds.element_spec, skip_transforms=True
  )
  (folder / "run").mkdir(exist_ok=True)
  checkpoints.save(
      folder / "run" / "weights.safetensors", trainer.model, state.params
  )
  images = tiny_world["trial_images"]
  common = (
      f"--trials=simulated={tiny_world['trials']}",
      "--tasks=knn",
      "--resamples=10",
      "--quiet",
  )
  student = (
      *("evaluate", "student", "--workdir=run", f"--source=images:{images}"),
      *(f"--train_source=images:{tiny_world['images']}", "--keep=kept"),
      *common,
  )
  assert cli.main([*student, "--out=s.json"]) == 0
  found = json.loads((folder / "s.json").read_text())
  assert {n.rpartition("/")[0] for n in found["scores"]} == {
      *("simulated/a", "simulated/b", "classes"),
  }
  assert (
      _run(
          "--representations=kept/test",
          "--train_representations=kept/train",
          *common,
      )
      == 0
  )
  assert _result(world)["scores"] == found["scores"]
  # Nothing is extracted twice, and another tap is refused for the same folder.
  before = (folder / "kept" / "test" / "meta.json").stat().st_mtime_ns
  assert cli.main([*student, "--out=s2.json"]) == 0
  after = (folder / "kept" / "test" / "meta.json").stat().st_mtime_ns
  assert before == after
  assert (folder / "s.json").read_bytes() == (folder / "s2.json").read_bytes()
  model = [a for a in student if not a.startswith("--workdir")]
  model += ["--model=run/weights.safetensors", "--layer=triplet_logits"]
  assert cli.main([*model, "--out=s3.json"]) == 2
  assert "made with other settings" in capsys.readouterr().err
  # What the error says to pass is passed on.
  assert cli.main([*model, "--out=s3.json", "--overwrite"]) == 0
  meta = json.loads((folder / "kept" / "test" / "meta.json").read_text())
  assert meta["layer"] == "triplet_logits"


def test_student_that_is_an_onnx_file(world, tiny_world):
  """Its scores are those of the outputs that the network is known to have."""
  folder = world["dir"]
  test_encoders.network(folder / "m.onnx")
  images = tiny_world["trial_images"]
  args = (
      *("evaluate", "student", "--onnx=m.onnx", "--layer=mean"),
      *("--size=8", "--pixel_range=0,1", "--keep=kept"),
      f"--source=images:{images}",
      f"--train_source=images:{tiny_world['images']}",
      f"--trials=simulated={tiny_world['trials']}",
      *("--tasks=knn", "--resamples=10", "--quiet", "--out=s.json"),
  )
  assert cli.main([*args]) == 0
  found = json.loads((folder / "s.json").read_text())
  assert found["meta"]["representations"]["representations"]["layer"] == "mean"
  opened = images_lib.open_store(images)
  means = np.asarray(opened.images).mean(axis=(1, 2)) / 255
  trials = trials_lib.read_folder(
      tiny_world["trials"], image_names=opened.filenames
  )
  for name, of_set in trials.items():
    s = similarity.of_triplets(means, of_set.indices, "cosine")
    wanted = odd_one_out.modal(s, of_set.probabilities).mean()
    score = found["scores"][f"simulated/{name}/modal"]
    assert score["mean"] == pytest.approx(wanted, abs=0.02)
    assert score["low"] <= score["mean"] <= score["high"]
  train = images_lib.open_store(tiny_world["images"])
  wanted = knn.accuracy(
      np.asarray(train.images).mean(axis=(1, 2)) / 255,
      train.labels["subordinate"].ids,
      means,
      opened.labels["subordinate"].ids,
  )
  assert found["scores"]["classes/knn"]["mean"] == pytest.approx(
      wanted.mean(), abs=0.05
  )


def test_the_order_of_a_matrix_of_ones_own(world, capsys):
  """A model's own similarities score 1, in whatever order they are said."""
  opened = store.open("good")
  rows = np.random.default_rng(0).permutation(48)
  names = [f"a{i}.png" for i in range(48)]  # a10 comes before a2.
  moved = np.array(names)[rows]
  store.write("m", opened.features[rows], moved, {}, {})
  x = opened.features.astype(np.float64)
  x /= np.linalg.norm(x, axis=1, keepdims=True)
  by_name = np.argsort(names)
  natural = np.arange(48)
  for order, of in (
      ("sorted", by_name),
      ("natural", natural),
      ("as_stored", rows),
      ("names.txt", natural[::-1]),
      ("stems.txt", natural[::-1]),
  ):
    np.save("own.npy", (x @ x.T)[of][:, of])
    listed = [names[i] for i in of]
    (world["dir"] / "names.txt").write_text("\n".join(listed))
    stems = [name.removesuffix(".png") for name in listed]
    (world["dir"] / "stems.txt").write_text("\n".join(stems))
    ask = ("--representations=m", "--rdm=own=own.npy", "--resamples=0")
    assert _run(*ask, f"--rdm_images=own={order}", "--overwrite") == 0
    found = _result(world)
    spearman = found["scores"]["human/own/spearman"]["mean"]
    assert spearman == pytest.approx(1, abs=1e-6), order
    assert found["details"]["human/own"]["kind"] == "similarity"
  assert _run(*ask, "--overwrite") == 2
  assert "--rdm_images=own=names.txt" in capsys.readouterr().err
