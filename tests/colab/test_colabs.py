"""Each notebook is clean, and runs from top to bottom.

Code cells are executed here, in one namespace, and not by nbclient: a kernel
would import JAX, faiss and matplotlib anew for each notebook, which takes about
as long as most of them, and its variables could not be asserted on. The price
is that notebooks hold plain Python, no `!` and no `%`, which is checked.
"""

import json
import pathlib
import re
import types

from alignet.data import images as images_lib
from alignet.data.labels import Labels
from alignet.representations import store
import IPython.display
import numpy as np
import pytest

_FOLDER = pathlib.Path(__file__).resolve().parents[2] / "colab"
_NAMES = (
    "sampling_triplets",
    "clusters",
    "comparing_responses",
    "evaluating_alignment",
    "using_an_aligned_model",
)
_OWNER = "OWNER"  # Of the repository that badges link to: colab/README.md.
_PNG = b"\x89PNG\r\n\x1a\n"


def _read(name):
  return json.loads((_FOLDER / f"{name}.ipynb").read_text())


def _source(cell):
  return "".join(cell["source"])


def run(name, figures, settings=None):
  """Executes a notebook in the current folder; returns its variables.

  Args:
    name: of the notebook.
    figures: folder where the figures that it displays are kept as PNG.
    settings: what somebody with data of their own would write into the cell of
      settings; None for the embedded world.
  """
  namespace = {"__name__": "__main__"}
  for cell in _read(name)["cells"]:
    if cell["cell_type"] == "code":
      where = f"{name}.ipynb, cell {cell['id']}"
      shown = []
      with pytest.MonkeyPatch.context() as patch:
        patch.setattr(IPython.display, "display", shown.append)
        if "display" in namespace:
          namespace["display"] = shown.append
        exec(compile(_source(cell), where, "exec"), namespace)
      if cell["id"] == "settings" and settings is not None:
        assert settings.keys() <= namespace.keys()
        namespace |= {**settings, "EMBEDDED": False}
      for number, image in enumerate(shown):
        path = figures / f"{name}-{cell['id']}-{number}.png"
        path.write_bytes(image.data)
  return namespace


@pytest.fixture
def executed(tmp_path, monkeypatch):
  """executed(name, settings) -> variables, names of the figures shown."""
  monkeypatch.chdir(tmp_path)

  def execute(name, settings=None):
    figures = tmp_path / ("own_figures" if settings else "figures")
    figures.mkdir()
    variables = run(name, figures, settings)
    paths = sorted(figures.iterdir())
    # A figure with something on it does not compress to almost nothing.
    for path in paths:
      data = path.read_bytes()
      assert data.startswith(_PNG) and len(data) > 10_000, path.name
    return variables, [p.stem.removeprefix(f"{name}-") for p in paths]

  return execute


def test_all_notebooks_are_tested():
  assert {p.stem for p in _FOLDER.glob("*.ipynb")} == set(_NAMES)


@pytest.mark.parametrize("name", _NAMES)
def test_notebook_is_valid_and_clean(name):
  book = _read(name)
  assert (book["nbformat"], book["nbformat_minor"]) == (4, 5)
  assert book["metadata"]["kernelspec"]["name"] == "python3"
  ids = [cell["id"] for cell in book["cells"]]
  assert len(set(ids)) == len(ids)
  assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", i) for i in ids)
  for cell in book["cells"]:
    assert cell["cell_type"] in ("code", "markdown")
    assert isinstance(cell["metadata"], dict) and cell["source"]
    if cell["cell_type"] == "code":
      assert cell["outputs"] == [] and cell["execution_count"] is None
      compile(_source(cell), cell["id"], "exec")
    else:
      assert not {"outputs", "execution_count"} & cell.keys()


@pytest.mark.parametrize("name", _NAMES)
def test_notebook_has_badge_title_setup_and_a_section_on_own_data(name):
  cells = _read(name)["cells"]
  first, last = _source(cells[0]), _source(cells[-1])
  badge, title = first.splitlines()[0], first.splitlines()[2]
  assert badge.endswith(
      f"(https://colab.research.google.com/github/{_OWNER}/alignet/blob/main/"
      f"colab/{name}.ipynb)"
  )
  assert title.startswith("# ")
  assert "imulated" in first or "drawn by our own code" in first
  assert last.startswith("## With your own data")
  code = [_source(c) for c in cells if c["cell_type"] == "code"]
  assert 'find_spec("alignet") is None' in code[0]
  # Why before how: every heading and its reasons come before code.
  assert cells[0]["cell_type"] == cells[1]["cell_type"] == "markdown"
  for line in "\n".join(map(_source, cells)).splitlines():
    assert len(line) <= 80 or "colab-badge" in line, line


def _execute(name, cell, namespace):
  """One cell, with what those before it would have made."""
  (source,) = (_source(c) for c in _read(name)["cells"] if c["id"] == cell)
  exec(compile(source, cell, "exec"), namespace)
  return namespace


@pytest.mark.parametrize(
    "name", ["sampling_triplets", "clusters", "comparing_responses"]
)
def test_images_are_those_of_the_representations(name, tmp_path):
  names = np.array(["a.png", "b.png", "c.png"])
  labels = {
      "subordinate": Labels(
          ids=np.array([1, -1, 0]), names=np.array(["x", "y"])
      )
  }
  pixels = np.zeros((3, 2, 2, 3), np.uint8)
  images_lib.write(
      tmp_path / "images",
      images_lib.ImageStore(
          images=pixels, filenames=names, labels=labels, meta={}
      ),
  )
  x = np.eye(3, dtype=np.float32)
  store.write(tmp_path / "same", x, names, labels, {})
  store.write(tmp_path / "other", x[1:], names[1:], {}, {})
  namespace = {
      **{"np": np, "images_lib": images_lib, "store": store},
      **{"LEVEL": "subordinate", "more_levels": {}},
      "IMAGES": tmp_path / "images",
  }
  found = _execute(
      name, "open", namespace | {"REPRESENTATIONS": tmp_path / "same"}
  )
  if name == "comparing_responses":
    assert found["names"].tolist() == ["y", "no class", "x"]
  with pytest.raises(AssertionError):
    _execute(name, "open", namespace | {"REPRESENTATIONS": tmp_path / "other"})


def test_clusters_of_few_images():
  shown = []
  _execute(
      "clusters",
      "look",
      {
          **{"np": np, "SEED": 0, "K": 3, "images": np.arange(6)},
          "gallery": types.SimpleNamespace(montage=lambda *args: args),
          "raw": types.SimpleNamespace(
              assignments=np.repeat([0, 1, 2], [3, 2, 1])
          ),
          "show": shown.append,
      },
  )
  ((rows, names),) = shown
  assert rows.shape == (1, 3) and names == ["cluster 0: 3 images"]


def test_another_model_is_not_compared_with_an_older_export(tmp_path):
  _execute(
      "using_an_aligned_model",
      "again",
      {"MODEL": "siglip-b16", "exported": tmp_path},  # No `alignet` to load.
  )


def test_sampling_triplets(executed):
  v, figures = executed("sampling_triplets")
  ids = v["classes"].ids
  for strategy, classes in (
      ("between_class", 3),
      ("class_border", 2),
      ("within_class", 1),
  ):
    rows = v["drawn_by"][strategy]
    assert rows.shape == (10_000, 3)
    assert all(len(set(ids[row])) == classes for row in rows[:200])
  rows = v["clusters"].assignments[v["drawn_by"]["cluster_border_30"]]
  assert (rows[:, 0] == rows[:, 1]).all() and (rows[:, 0] != rows[:, 2]).all()
  # The laws do what the text says.
  images, groups = v["times"]["images"], v["times"]["groups"]
  assert images.std() / images.mean() < 0.1 < groups.std() / groups.mean()
  train, valid = (
      {frozenset(row) for row in v["sampling"].read(v[name])[0].tolist()}
      for name in ("train", "valid")
  )
  assert len(valid) == 2_000 and not train & valid
  assert figures == [
      "between-0",
      "border-0",
      "certainty-0",
      "clusters-0",
      "law_figure-0",
      "within-0",
  ]
  own = {key: v[key] for key in ("IMAGES", "REPRESENTATIONS")}
  own |= {"LEVEL": "basic", "K": 10}
  again, figures_again = executed("sampling_triplets", own)
  assert figures_again == figures and "world" not in again
  assert len(again["sizes"]) == 10


def test_clusters(executed):
  v, figures = executed("clusters")
  inertia = [v["curve"][k]["inertia"] for k in v["KS"]]
  assert inertia == sorted(inertia, reverse=True)
  purities = v["purities"]
  for level in ("superordinate", "basic", "subordinate"):
    for name in ("raw", "aligned"):
      assert purities[name][level] > purities["shuffled"][level]
  # What the section on purity invites to see.
  aligned, raw = purities["aligned"], purities["raw"]
  assert aligned["superordinate"] > raw["superordinate"] + 0.3
  assert raw["colour"] > raw["superordinate"]
  assert aligned["colour"] < aligned["superordinate"] - 0.3
  saved = v["kmeans"].load(v["WORK"] / "clusters.npz")
  assert saved.meta["transformed"]
  assert len(figures) == 6
  own = {key: v[key] for key in ("IMAGES", "REPRESENTATIONS", "TRANSFORM")}
  again, figures_again = executed("clusters", own | {"KS": (5, 20)})
  assert figures_again == figures and "world" not in again
  np.testing.assert_array_equal(
      again["aligned"].assignments, v["aligned"].assignments
  )


def test_comparing_responses(executed):
  v, figures = executed("comparing_responses")
  many, few = (v["answers"][name] for name in ("many", "few"))
  # An independent count: both files put the odd one last.
  np.testing.assert_array_equal(
      v["changed"], many.indices[:, 2] != few.indices[:, 2]
  )
  assert 0.05 < v["changed"].mean() < 2 / 3
  shares = [v["changed"][rows].mean() for rows in v["quarters"]]
  assert shares == sorted(shares)
  top = v["top"]
  assert len(top) == 6 and v["changed"][top].all()
  divergence = v["divergence"]
  assert divergence[top[0]] == divergence.max() <= np.log(2)
  for where in ("all concepts", "unseen concepts"):
    assert v["simulated"]["many", where] > v["simulated"]["few", where] + 0.1
  assert figures == ["divergence-0", "entropies-0"]
  own = {key: v[key] for key in ("IMAGES", "REPRESENTATIONS", "TRANSFORMS")}
  again, figures_again = executed("comparing_responses", own)
  assert figures_again == figures and again["simulated"] == {}
  np.testing.assert_array_equal(again["changed"], v["changed"])


def test_evaluating_alignment(executed):
  v, figures = executed("evaluating_alignment")
  assert all(name.startswith("simulated/") for name in v["scores"])
  for name in ("across", "border"):
    score = v["scores"][f"simulated/{name}/expected"]
    low = score["difference"]["low"]
    assert 0.1 < low < score["difference"]["mean"]
    assert score["mean"] < v["ceilings"][f"simulated/{name}"]
    value, low, high = v["expected"]["after"][f"simulated/{name}"]
    assert low < value == score["mean"] < high
  accuracy = v["answers"].scores["simulated/choices/accuracy"]
  assert accuracy["baseline"] + 0.1 < accuracy["mean"]
  assert accuracy["mean"] < v["bounds"]["bayes_bound"]
  before, after = v["rsa"]["before"], v["rsa"]["after"]
  assert before["mean_rdm"]["spearman"] + 0.2 < after["mean_rdm"]["spearman"]
  assert after["per_subject"]["mean"] < after["ceiling"]["upper"]
  assert set(v["useful"]) == {
      *("classes/knn", "classes/few_shot1", "classes/few_shot5"),
  }
  assert figures == ["ceiling-0", "map-0", "structure-0"]
  own = ("MODEL", "BASELINE", "TRAIN", "BASELINE_TRAIN", "TRANSFORM", "TRIALS")
  own = {key: v[key] for key in own} | {"SOURCE": "vice", "RESAMPLES": 10}
  again, figures_again = executed("evaluating_alignment", own)
  assert figures_again == ["ceiling-0"] and again["answers"] is None
  assert all(name.startswith("vice/") for name in again["scores"])


def test_using_an_aligned_model(executed):
  v, figures = executed("using_an_aligned_model")
  assert v["features"].shape == (len(v["images"]), 64)
  assert v["agreement"]["model"] > v["agreement"]["patches"] + 0.1
  for rows in v["found"].values():
    np.testing.assert_array_equal(rows[:, 0], v["queries"])
    assert all(len(set(row)) == 8 for row in rows.tolist())
  card = (v["exported"] / "README.md").read_text()
  assert "simulated/border/modal, model" in card
  assert v["largest"] == 0
  assert "one file" in v["torch_usage"]
  assert figures == ["neighbours-0", "odd-0"]
  own = {key: v[key] for key in ("MODEL", "IMAGES")}
  again, figures_again = executed("using_an_aligned_model", own)
  assert figures_again == ["neighbours-0"] and again["agreement"] == {}
  np.testing.assert_array_equal(again["features"], v["features"])
