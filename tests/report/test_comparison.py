"""The comparison page and what it is drawn from, on disk."""

import dataclasses
import html.parser

from alignet.cli import main
from alignet.cli import report
from alignet.errors import AlignetError
from alignet.errors import OutputExistsError
from alignet.io import files
from alignet.io import json_files
from alignet.report import comparison
from alignet.report import inputs as inputs_lib
import numpy as np
import pytest

# NumPy leaves a file that it finds truncated to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("error"),
    pytest.mark.filterwarnings(
        "ignore::pytest.PytestUnraisableExceptionWarning"
    ),
]

# Section of the page -> fields it needs.
_SECTIONS = {
    "Triplets and choices": {"gallery_images": None},
    "Similarity matrices": {"matrices": {}},
    "Maps": {"points": {}},
    "Learning curves": {"curves": {}},
    "How certain the targets are": {"entropies": {}},
}


class _Text(html.parser.HTMLParser):
  """Headings, table cells and image texts."""

  def __init__(self, path):
    super().__init__()
    self.found = {"h2": [], "th": [], "td": [], "p": [], "alt": []}
    self._tag = None
    self.feed(path.read_text())

  def handle_starttag(self, tag, attrs):
    self._tag = tag
    if tag == "img":
      self.found["alt"].append(dict(attrs)["alt"])

  def handle_endtag(self, tag):
    self._tag = None

  def handle_data(self, data):
    if self._tag in self.found:
      self.found[self._tag].append(data)


def _page(tmp_path, results, inputs, name="page.html"):
  return _Text(
      comparison.comparison_page(tmp_path / name, results, inputs)
  ).found


def _same(a, b) -> bool:
  if isinstance(a, np.ndarray):
    return a.dtype == b.dtype and np.array_equal(a, b)
  if hasattr(a, "items"):
    return list(a) == list(b) and all(_same(a[k], b[k]) for k in a)
  return type(a) is type(b) and a == b


def test_page_shows_everything(tmp_path, results, inputs):
  found = _page(tmp_path, results, inputs)
  assert found["h2"] == [
      "Summary",
      "Scores",
      *_SECTIONS,
      "Provenance",
  ]
  assert any(inputs.note in p for p in found["p"])
  assert "0.480 [0.450, 0.505]" in found["td"]
  assert "+0.240 [−0.010, +0.200]" in found["td"]
  assert "matched (entropy)" in found["th"]
  assert "world.seed" in found["th"] and "4800" in found["td"]
  triplet = next(a for a in found["alt"] if a.startswith("Triplet 1"))
  assert triplet == (
      "Triplet 1: red tall amphora, cup, long-legged wading creature of the"
      " sea. Odd one out: simulated observers, the first; base, the second;"
      " aligned, the first."
  )


def test_page_is_self_contained_and_deterministic(tmp_path, results, inputs):
  a = comparison.comparison_page(tmp_path / "a.html", results, inputs)
  b = comparison.comparison_page(tmp_path / "b.html", results, inputs)
  text = a.read_text()
  assert a.read_bytes() == b.read_bytes()
  assert "http" not in text.replace("http-equiv", "")
  assert "<script" not in text and "<b>marks" not in text
  assert str(tmp_path) not in text


@pytest.mark.parametrize("title", _SECTIONS)
def test_each_part_stands_alone(tmp_path, results, inputs, title):
  others = {
      k: v
      for t, gone in _SECTIONS.items()
      if t != title
      for k, v in gone.items()
  }
  alone = dataclasses.replace(inputs, texts={}, **others)
  del results["meta"]
  assert _page(tmp_path, results, alone)["h2"] == ["Scores", title]


def test_least_results(tmp_path):
  found = _page(
      tmp_path,
      {"base": {"across": 0.5}, "seconds": 3.0, "stages": {"teach": 1}},
      inputs_lib.ReportInputs(title="t", note="n"),
  )
  assert found["h2"] == ["Scores"]
  assert found["td"] == ["0.500"]
  assert found["th"] == ["model", "across", "base"]


def test_unknown_models_follow_and_gaps_show_as_dashes(tmp_path):
  results = {
      "other": {"across": 0.25, "within": None},
      "aligned": {"across": float("nan"), "within": 0.5},
  }
  found = _page(tmp_path, results, inputs_lib.ReportInputs(title="t", note="n"))
  assert found["th"] == ["model", "across", "within", "aligned", "other"]
  assert found["td"] == ["–", "0.500", "0.250", "–"]


def test_no_model_is_an_error(tmp_path, inputs):
  with pytest.raises(AlignetError, match="at least one model"):
    comparison.comparison_page(tmp_path / "a.html", {"meta": {}}, inputs)
  assert not list(tmp_path.iterdir())


def test_existing_page_stays(tmp_path, results, inputs):
  path = tmp_path / "a.html"
  path.write_text("mine")
  with pytest.raises(OutputExistsError):
    comparison.comparison_page(path, results, inputs)
  assert path.read_text() == "mine"


def test_inputs_come_back_as_they_were(tmp_path, inputs):
  inputs_lib.save_inputs(tmp_path, inputs)
  again = inputs_lib.load_inputs(tmp_path)
  for field in dataclasses.fields(inputs):
    assert _same(
        getattr(inputs, field.name), getattr(again, field.name)
    ), field.name


def test_stored_inputs_are_deterministic(tmp_path, inputs):
  a = inputs_lib.save_inputs(tmp_path / "a", inputs)
  b = inputs_lib.save_inputs(tmp_path / "b", inputs)
  assert a.read_bytes() == b.read_bytes()
  with pytest.raises(OutputExistsError):
    inputs_lib.save_inputs(tmp_path / "a", inputs)


def test_inputs_refuse_objects_and_halves(tmp_path, inputs):
  with pytest.raises(AlignetError, match="matrices without matrix_groups"):
    dataclasses.replace(inputs, matrix_groups=None)
  objects = np.array([{}, None], dtype=object)
  with pytest.raises(AlignetError, match="point_marks.*object"):
    inputs_lib.save_inputs(
        tmp_path, dataclasses.replace(inputs, point_marks=objects)
    )
  assert not list(tmp_path.iterdir())


def test_broken_inputs_are_one_sentence(tmp_path, inputs):
  path = inputs_lib.save_inputs(tmp_path, inputs)
  path.write_bytes(path.read_bytes()[:3000])
  with pytest.raises(AlignetError, match="truncated"):
    inputs_lib.load_inputs(tmp_path)
  for meta in ("{", "[]", '{"format": 1}', '{"format": 9, "fields": {}}'):
    files.save_npz(path, {"meta": np.array(meta)}, overwrite=True)
    with pytest.raises(AlignetError, match="report_inputs"):
      inputs_lib.load_inputs(tmp_path)
  lost = '{"format": 1, "fields": {"title": {"array": "array_0000"}}}'
  files.save_npz(path, {"meta": np.array(lost)}, overwrite=True)
  with pytest.raises(AlignetError, match="damaged"):
    inputs_lib.load_inputs(tmp_path)


def _stage(run, name, results, inputs):
  inputs_lib.save_inputs(run / "stages" / name, inputs)
  json_files.write(run / "stages" / name / "results.json", results)


def _report(*args) -> int:
  """The subcommand on its own parser, with the frame's error handling."""
  parser = main.argparse.ArgumentParser()
  report.add_arguments(parser)
  parser.add_argument("--quiet", action="store_true")
  return report.run(parser.parse_args(list(map(str, args))))


def test_command_rebuilds_the_page(tmp_path, results, inputs, capsys):
  _stage(tmp_path, "report-abc", results, inputs)
  _report(tmp_path)
  assert "report.html written" in capsys.readouterr().err
  direct = comparison.comparison_page(tmp_path / "d.html", results, inputs)
  page = tmp_path / "report.html"
  assert page.read_bytes() == direct.read_bytes()
  with pytest.raises(OutputExistsError):
    _report(tmp_path)
  _report(tmp_path, "--overwrite", "--quiet")
  _report(tmp_path / "stages" / "report-abc", f"--out={tmp_path / 'e.html'}")
  assert (tmp_path / "e.html").read_bytes() == direct.read_bytes()


def test_command_finds_the_stage_that_the_run_shows(tmp_path, results, inputs):
  other = {"base": {"across": 0.1}}
  _stage(tmp_path, "report-a", other, inputs)
  _stage(tmp_path, "report-b", results, inputs)
  with pytest.raises(AlignetError, match="2 report stages"):
    report.find_report(tmp_path)
  json_files.write(tmp_path / "results.json", results)
  assert report.find_report(tmp_path).name == "report-b"


def test_command_without_a_run_says_what_is_missing(tmp_path):
  with pytest.raises(AlignetError, match="no finished report"):
    _report(tmp_path)
  assert not list(tmp_path.iterdir())
