from alignet.errors import AlignetError
from alignet.triplets import sampling
import pytest


@pytest.mark.parametrize(
    ("name", "rule", "labels", "clusters"),
    [
        ("between_class", "between", "class", None),
        ("class_border", "border", "class", None),
        ("within_class", "within", "class", None),
        ("cluster_border_500", "border", "cluster", 500),
        ("cluster_border_7", "border", "cluster", 7),
        ("random", "random", "any", None),
        ("within", "within", "any", None),
    ],
)
def test_parse(name, rule, labels, clusters):
  assert sampling.parse(name) == sampling.Strategy(
      name=name, rule=rule, labels=labels, clusters=clusters
  )


@pytest.mark.parametrize(
    "name",
    ["", "cluster_border_k", "cluster_border_0", "cluster_border_", "Random"]
    + ["cluster_border_5\n", "cluster_border_-5", "class_between"],
)
def test_unknown_names_list_the_known_ones(name):
  with pytest.raises(AlignetError) as e:
    sampling.parse(name)
  for known in sampling.NAMES:
    assert known in str(e.value)
