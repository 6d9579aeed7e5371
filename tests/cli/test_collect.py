"""`alignet collect`, as docs/collecting.md prints it."""

import csv
import glob
import json
import pathlib
import re
import shlex

from alignet import transforms
from alignet.cli import main
from alignet.collect import figures
from alignet.collect import mined
from alignet.collect import tables
from alignet.data import image_folder
from alignet.data import shapes
from alignet.representations import store
from alignet.triplets import npz
from alignet.triplets import similarity
import cv2
import numpy as np
import pytest

_DOC = pathlib.Path(__file__).parents[2] / "docs" / "collecting.md"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
  """Images and what two models say of them, under the names of the docs."""
  folder = tmp_path_factory.mktemp("collect")
  drawn = shapes.make_world(0)
  concepts = np.repeat(np.arange(0, 108, 6), 3)
  pixels = shapes.render(drawn, concepts, seed=0, size=24)
  for i, (concept, image) in enumerate(zip(concepts, pixels)):
    path = folder / "images" / f"c{concept:03d}" / f"{i:03d}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image[..., ::-1])
  source = image_folder.FolderSource(folder / "images")
  names = np.array([source[i].filename for i in range(len(source))])
  rng = np.random.default_rng(0)
  labels = shapes.levels(drawn, concepts)
  models = {
      "student": drawn.embedding[concepts],
      "base": np.eye(6)[drawn.colour[concepts]],
  }
  triplets = np.stack([rng.permutation(len(names))[:3] for _ in range(400)])
  for (name, features), answers in zip(
      models.items(), ("aligned", "untransformed")
  ):
    noise = 0.2 * rng.normal(size=(len(names), 6))
    features = np.concatenate([features, noise], axis=1).astype(np.float32)
    store.write(folder / name, features, names, labels, {"model": name})
    s = similarity.pair_similarities(features[triplets])
    npz.write(folder / f"{answers}.npz", names, triplets, s)
  return folder


def _answer(page: pathlib.Path, out: pathlib.Path, participant: str) -> None:
  """Answers a page as the model does, from the page's own data."""
  text = (page / "index.html").read_text()
  data = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])
  with open(page / "items.csv", newline="") as f:
    odd = [row["odd_model"] for row in csv.DictReader(f)]
  order = np.random.default_rng(0).permutation(len(odd)).tolist()
  rows = []
  for trial, item in enumerate(order + order[:2]):
    shown = data["items"][item]
    names = [data["names"][i] for i in shown]
    rows.append(
        {
            "subject_id": participant,
            **{
                f"image{k + 1}": data["numbers"][i] + 1
                for k, i in enumerate(shown)
            },
            **{f"name{k + 1}": name for k, name in enumerate(names)},
            "choice": names.index(odd[item]) + 1,
            "rt_ms": 500.0,
            "trial": trial + 1,
            "item": item,
            "repetition": int(trial >= len(order)),
            "views": 1,
            "page": data["id"],
            "answered_at": "2030-01-01T00:00:00.000Z",
        }
    )
  out.parent.mkdir(exist_ok=True)
  columns = {key: [row[key] for row in rows] for key in rows[0]}
  tables.write(out, columns, delimiter="\t")


def _commands():
  blocks = re.findall(r"```sh\n(.*?)```", _DOC.read_text(), re.DOTALL)
  lines = "".join(blocks).replace("\\\n", " ").splitlines()
  return [shlex.split(line) for line in lines if line]


def test_the_docs_run_as_printed(world, monkeypatch, capsys):
  monkeypatch.chdir(world)
  printed = {}
  for program, *arguments in _commands():
    assert program == "alignet"
    if "answers" in arguments:
      for name in ("anna", "bob"):
        _answer(world / "page", world / "answers" / f"{name}.csv", name)
    arguments = [
        found
        for text in arguments
        for found in (sorted(glob.glob(text)) if "*" in text else [text])
    ]
    if arguments[0] == "teach":
      arguments += ["--steps=50", "--inner_folds=0", "--start=identity"]
    assert main.main(arguments) == 0, arguments
    printed[" ".join(arguments[:2])] = capsys.readouterr().out
  rows = tables.read(world / "pairs" / "pairs.csv", ("class", "z_difference"))
  assert len(rows) == 6 * 2 * 3
  for row in rows:
    z = float(row["z_model"]) - float(row["z_baseline"])
    assert float(row["z_difference"]) == pytest.approx(z, abs=2e-6)
  rows = tables.read(world / "triplets" / "triplets.csv", tables.IMAGES)
  assert len(rows) == 20
  assert all(row["odd_model"] != row["odd_baseline"] for row in rows)
  for name in ("pairs", "triplets"):
    picture = cv2.imread(str(world / name / "gallery.png"))
    assert min(picture.shape[:2]) > 300 and picture.std() > 20
  answered = printed["collect answers"]
  assert re.search(r"anna +22 +500 +1.00 of 2\n", answered)
  assert "model 1.000, baseline 0.000" in answered
  assert transforms.load(world / "transform.npz").weights.shape[0] > 6
  assert list((world / "page_of_pairs" / "images").iterdir())


def _run(*arguments):
  return main.main(["collect", *map(str, arguments)])


def _error(capsys, *arguments):
  assert _run(*arguments) == 2
  return capsys.readouterr().err


def test_same_folder_twice_and_what_differs(world, tmp_path, capsys):
  flags = [
      *("pairs", f"--representations={world / 'student'}", "--level=basic"),
      f"--baseline={world / 'base'}",
  ]
  outs = [tmp_path / name for name in ("a", "b")]
  for out in outs:
    assert _run(*flags, f"--out={out}") == 0
    assert {p.name for p in out.iterdir()} == {"pairs.csv", "meta.json"}
  for name in ("pairs.csv", "meta.json"):
    assert (
        outs[0].joinpath(name).read_bytes()
        == outs[1].joinpath(name).read_bytes()
    )
  assert "--overwrite" in _error(capsys, *flags, f"--out={outs[0]}")
  assert _run(*flags, "--n=1", "--overwrite", f"--out={outs[0]}") == 0
  assert len(tables.read(outs[0] / "pairs.csv", ())) < len(
      tables.read(outs[1] / "pairs.csv", ())
  )


def test_a_transform_changes_what_is_compared(world, tmp_path):
  d = store.open(world / "student").features.shape[1]
  rng = np.random.default_rng(0)
  transforms.save(
      tmp_path / "t.npz",
      transforms.Transform(
          weights=rng.normal(size=(d, 4)),
          bias=np.zeros(4),
          meta={"columns": store.open(world / "student").columns},
      ),
  )
  flags = (world / "student", world / "student")
  found = mined.write_pairs(
      tmp_path / "out",
      *flags,
      transform=tmp_path / "t.npz",
      level="superordinate",
  )
  assert len(found)
  meta = json.loads((tmp_path / "out" / "meta.json").read_text())
  assert meta["similarities"] == ["dot", "cosine"]
  assert set(meta["sha256"]) == {"representations", "baseline", "transform"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (
                "pairs",
                "--representations=student",
                "--baseline=base",
                "--level=concept",
            ),
            "has the levels basic, subordinate, superordinate",
        ),
        (
            ("pairs", "--representations=student", "--baseline=fewer"),
            "fewer lacks 1 of the 54 images",
        ),
        (
            ("pairs", "--representations=student", "--baseline=nowhere"),
            "nowhere is no directory",
        ),
        (
            ("triplets", "--responses=aligned.npz", "--baseline=aligned.npz"),
            "same odd one",
        ),
        (
            ("triplets", "--responses=aligned.npz", "--baseline=renamed.npz"),
            "give answers to the same images",
        ),
        (
            ("page", "--pairs=aligned.npz", "--source=folder:images"),
            "pass it as --triplets",
        ),
        (
            (
                "page",
                "--triplets=aligned.npz",
                "--source=folder:images",
                "--thanks=nowhere.txt",
            ),
            "nowhere.txt does not exist",
        ),
        (
            ("answers", "aligned.npz", "--page=student"),
            "give the folder that `alignet collect page` wrote",
        ),
    ],
)
def test_errors_are_one_sentence(
    world, tmp_path, monkeypatch, capsys, arguments, message
):
  monkeypatch.chdir(world)
  if not (world / "fewer").exists():
    base = store.open("base")
    store.write("fewer", base.features[1:], base.filenames[1:], {}, {})
    opened = npz.open("untransformed.npz")
    names = np.array([f"x{i}" for i in range(len(base))])
    npz.write("renamed.npz", names, opened.indices, opened.similarities)
  error = _error(capsys, *arguments, f"--out={tmp_path / 'out'}")
  assert re.search(message, error) and error.count("\n") == 1
  assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("pairs", "--representations=student", "--baseline=base"),
        ("triplets", "--responses=aligned.npz", "--baseline=untransformed.npz"),
        ("page", "--triplets=aligned.npz", "--source=folder:images"),
    ],
)
def test_nothing_else_is_replaced(
    world, tmp_path, monkeypatch, capsys, arguments
):
  monkeypatch.chdir(world)
  (tmp_path / "mine").mkdir()
  (tmp_path / "mine" / "thesis.tex").touch()
  error = _error(
      capsys, *arguments, f"--out={tmp_path / 'mine'}", "--overwrite"
  )
  assert "it is not replaced" in error
  assert (tmp_path / "mine" / "thesis.tex").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        (
            *("pairs", "--representations=student", "--baseline=base"),
            "--level=basic",
        ),
        ("triplets", "--responses=aligned.npz", "--baseline=untransformed.npz"),
        (
            *("page", "--triplets=aligned.npz", "--source=folder:images"),
            *("--beside", "--trials=1"),
        ),
    ],
)
def test_its_own_kind_is_replaced_and_nothing_in_it(
    world, tmp_path, monkeypatch, capsys, arguments
):
  monkeypatch.chdir(world)
  out = tmp_path / "out"
  again = (*arguments, f"--out={out}", "--overwrite")
  assert _run(*again) == 0
  assert _run(*again) == 0
  capsys.readouterr()
  (out / "answers").mkdir()
  (out / "answers" / "anna.csv").touch()
  assert "holds answers/anna.csv" in _error(capsys, *again)
  assert (out / "answers" / "anna.csv").exists()
  # A folder that only has files of the same names, such as a web site.
  (out / "answers" / "anna.csv").unlink()
  (out / "meta.json").write_text("{}")
  assert "it is not replaced" in _error(capsys, *again)


def test_texts_from_files_and_ratings_as_json(world, tmp_path):
  (tmp_path / "thanks.txt").write_text("Send it to Ada.\n\nThe end.")
  (tmp_path / "p.csv").write_text("image1,image2\nc000/000.png,c006/003.png\n")
  out = tmp_path / "page"
  assert (
      _run(
          *("page", f"--pairs={tmp_path / 'p.csv'}", f"--out={out}"),
          f"--source=folder:{world / 'images'}",
          f"--thanks={tmp_path / 'thanks.txt'}",
          *("--title=Ratings", "--question=How close?"),
      )
      == 0
  )
  text = (out / "index.html").read_text()
  assert "<p>Send it to Ada.</p>\n<p>The end.</p>" in text
  assert "<title>Ratings</title>" in text and "How close?" in text
  page_id = json.loads((out / "meta.json").read_text())["page"]
  header = (
      "subject_id image1 image2 rating rt_ms trial item repetition views name1"
      " name2 page answered_at"
  )
  row = f"a 1 2 5 90.0 1 0 0 1 c000/000.png c006/003.png {page_id} x"
  (tmp_path / "a.csv").write_text(f"{header}\n{row}\n".replace(" ", "\t"))
  assert (
      _run(
          *("answers", tmp_path / "a.csv", f"--page={out}"),
          f"--out={tmp_path / 'all.csv'}",
          f"--summary={tmp_path / 's.json'}",
      )
      == 0
  )
  found = json.loads((tmp_path / "s.json").read_text())
  assert found["participants"]["a"] == {
      "answers": 1,
      "median_rt_ms": 90.0,
      "repeated": 0,
      "consistency": None,
  }


def test_quiet_comes_last_too(world, tmp_path, capsys):
  args = ["triplets", f"--responses={world / 'aligned.npz'}"]
  args += [f"--baseline={world / 'untransformed.npz'}"]
  assert _run(*args, f"--out={tmp_path / 'a'}", "--quiet") == 0
  assert _run("--quiet", *args, f"--out={tmp_path / 'b'}") == 0
  assert not capsys.readouterr().out


def test_a_gallery_of_many_classes_is_cut_between_two():
  classes = np.repeat(np.arange(9), 10)
  cut = mined._first_classes(classes, figures.MAX_SHOWN)
  assert len(classes[cut]) == 40
  assert len(classes[mined._first_classes(classes[:60], 5)]) == 5
