"""Bounds on a pipeline's results."""

import copy

from alignet.pipeline import check
import pytest

_BOUNDS = dict(
    gain_on="across",
    gain=0.1,
    no_loss_on=("within",),
    class_accuracy_loss=0.04,
    control_share=0.75,
)
_GOOD = {
    "base": {"across": 0.4, "class_accuracy": 0.9},
    "matched": {"across": 0.41},
    "aligned": {
        "across": 0.6,
        "class_accuracy": 0.88,
        "difference_to_base": {"within": {"value": -0.03, "se": 0.02}},
    },
}


def test_table_names_models_and_sets():
  results = {
      "aligned": {"across": 0.75, "class_accuracy": 0.5},
      "base": {"across": 0.25, "class_accuracy": 0.625},
      "trials": {"across": {}},
      "meta": {},
  }
  header, base, aligned = check.table(results).splitlines()
  assert header.split() == ["across", "class_accuracy"]
  assert base.split() == ["base", "0.250", "0.625"]
  assert aligned.split() == ["aligned", "0.750", "0.500"]


def test_good_results_pass():
  assert check.failures(_GOOD, _BOUNDS) == []


@pytest.mark.parametrize(
    "where, value, message",
    [
        (("aligned", "across"), 0.45, "beats base by 0.050"),
        (("aligned", "class_accuracy"), 0.8, "class accuracy fell by 0.100"),
        (("matched", "across"), 0.58, "the entropy-matched control"),
        (
            ("aligned", "difference_to_base", "within", "value"),
            -0.05,
            "0.050 below base on within",
        ),
    ],
)
def test_each_bound_can_fail(where, value, message):
  results = copy.deepcopy(_GOOD)
  *parents, last = where
  node = results
  for key in parents:
    node = node[key]
  node[last] = value
  (failure,) = [f for f in check.failures(results, _BOUNDS) if message in f]
  assert failure
