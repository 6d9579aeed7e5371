"""Tables and figures of an evaluation's scores, as JSON holds them."""

from alignet.errors import AlignetError
from alignet.evals import suite
from alignet.report import ceilings
from alignet.report import evaluation
from alignet.report import latex
from alignet.report import page
import pytest

_SCORE = {
    "mean": 0.5,
    "n": 1234,
    "se": 0.1,
    "low": 0.4,
    "high": 0.625,
    "baseline": 0.25,
    "difference": {"mean": 0.25, "low": 0.125, "high": 0.375},
}
_WORSE = _SCORE | {"difference": {"mean": -0.1, "low": -0.2, "high": -0.05}}
_OPEN = _SCORE | {"difference": {"mean": 0.1, "low": -0.2, "high": 0.3}}


def _result():
  return {
      "scores": {
          "breeds/living17/target/knn": {
              **{"mean": 0.5, "n": 5, "se": 0.1, "low": 0.255, "high": 0.745}
          },
          "cka/biased": {"mean": 0.75, "n": 9},
          "classes/knn": _SCORE,
          "hierarchy/across": _SCORE,
          "hierarchy/basic": _WORSE,
          "hierarchy/subordinate": _WORSE,
          "human/king2019/spearman": _OPEN,
          "human/king2019/subjects_spearman": {"mean": 0.2, "n": 9},
          "human/levels/boundary/accuracy": _SCORE,
          "human/levels/coarse/accuracy": _SCORE,
          "human/levels/coarse/modal": _SCORE,
          "human/levels/coarse/nll": _WORSE,
          "human/levels/coarse/response_time": {
              "mean": None,
              "n": 9,
              "baseline": 0.1,
              "difference": {"mean": None},
          },
          "human/things/accuracy": {"mean": 0.5, "n": 3},
          "mine/x/score": {"mean": 1},
          "simulated/a/modal": _SCORE,
          "synthetic/a/modal": _WORSE,
          "vice/a/expected": _SCORE,
      },
      "details": {
          "hierarchy": {"levels": ["subordinate", "basic"]},
          "human/king2019": {
              "ceiling": {"lower": 0.3, "upper": 0.4},
              "mean_ceiling": {"bound": 0.9},
          },
          "human/levels": {
              "ceilings": {
                  "coarse": {
                      "bayes_bound": 0.8,
                      "leave_one_out": None,
                      "split_half": 0.625,
                  }
              }
          },
          "human/things": {
              "ceilings": {
                  "bayes_bound": 0.7,
                  "leave_one_out": 0.6,
                  "stimuli": 1000,
              }
          },
      },
  }


def _tables(sections):
  return {
      t.caption.split(".")[0]: t for s in sections.values() for t in s.tables
  }


def test_sources_apart_and_people_first():
  sections = evaluation.sections(_result(), ("new", "old"), suite.shown())
  assert list(sections) == [
      *("human", "vice", "simulated", "synthetic", "hierarchy", "cka"),
      *("classes", "breeds", "mine"),
  ]
  assert list(_tables(sections)) == [
      *("human/king2019", "human/levels/coarse", "human/levels/boundary"),
      *("human/things", "vice/a", "simulated/a", "synthetic/a", "hierarchy"),
      *("cka", "classes", "breeds/living17/target", "mine/x"),
  ]
  for source in ("human", "vice", "simulated", "synthetic"):
    assert sections[source].text
  assert "more human" in sections["human"].text
  assert "not whether anything became" in sections["synthetic"].text


def test_cells_and_ceilings():
  tables = _tables(
      evaluation.sections(_result(), ("new", "old"), suite.shown())
  )
  coarse = tables["human/levels/coarse"]
  assert coarse.header == ["score", "new", "old", "difference", "ceiling", "n"]
  rows = {row[0]: row[1:] for row in coarse.rows}
  assert list(rows)[:2] == ["accuracy", "modal"]
  assert rows["accuracy"] == [
      "0.500 [0.400, 0.625]",
      "0.250",
      "+0.250 [+0.125, +0.375]",
      "bound 0.800",
      "1,234",
  ]
  assert rows["modal"][3] == "split half 0.625"
  assert rows["nll (nats), lower is better"][3] == "–"
  assert rows["response_time"][:3] == ["undefined", "0.100", "undefined"]
  things = {r[0]: r for r in tables["human/things"].rows}["accuracy"]
  assert things == ["accuracy", "0.500", "bound 0.700, others 0.600", "3"]
  caption = tables["human/things"].caption
  assert "on the 1,000 triplets answered repeatedly alone" in caption
  assert "repeatedly" not in coarse.caption
  details = _result()["details"]
  assert ceilings.bound(("human", "things"), "accuracy", details) is None
  of_level = ("human", "levels", "coarse")
  assert ceilings.bound(of_level, "accuracy", details) == 0.8
  king = {r[0]: r for r in tables["human/king2019"].rows}
  assert king["spearman"][4] == "bound 0.900"
  assert king["subjects_spearman"][2:5] == [
      *("–", "–", "lower 0.300, upper 0.400")
  ]
  assert tables["breeds/living17/target"].rows[0][1] == "0.500 [0.255, 0.745]"
  assert tables["cka"].header[1] == "new and old"
  assert tables["mine/x"].rows == [["score", "1.000", "–"]]
  assert [r[0] for r in tables["hierarchy"].rows] == [
      *("subordinate", "basic", "across")
  ]


def test_the_summary_counts_by_intervals():
  text = evaluation.summary(_result(), ("new", "old"), suite.shown())
  # A lower nll is better; distances are neither.
  assert "Agreement with people: 4 better, 0 worse, 1 undecided." in text
  assert "own responses: 0 better, 1 worse, 0 undecided." in text
  assert "hierarchy" not in text
  assert text.startswith("new against old")


def test_without_a_baseline():
  result = {"scores": {"vice/a/modal": {"mean": 0.5, "n": 4}}}
  (section,) = evaluation.sections(
      result, ("new", "old"), suite.shown()
  ).values()
  assert section.tables[0].rows == [["modal", "0.500", "4"]]
  assert evaluation.summary(result, ("new", "old"), suite.shown()) == ""
  assert "compares a model with people" in evaluation.note(result)
  assert evaluation.note(_result()) == ""


def test_all_of_it_renders():
  sections = evaluation.sections(_result(), ("a_model", "b&w"), suite.shown())
  pictures = [s for s, section in sections.items() if section.figures]
  assert pictures == [
      *("human", "simulated", "synthetic", "hierarchy", "classes", "breeds")
  ]
  text = page.render("t", "s", list(sections.values()))
  assert text.count("<img") == 6 and "b&amp;w" in text
  for table in _tables(sections).values():
    out = latex.table(table)
    assert "b\\&w" in out or "b&w" not in "".join(table.header)


@pytest.mark.parametrize(
    "result, message",
    [
        ({}, 'found no "scores"'),
        ({"scores": []}, 'found no "scores"'),
        ({"scores": {"accuracy": {"mean": 1}}}, "expected SET/SCORE"),
        ({"scores": {"a/b": 1}}, "expected SET/SCORE"),
    ],
)
def test_refuses(result, message):
  with pytest.raises(AlignetError, match=message):
    evaluation.sections(result, ("a", "b"), suite.shown())
