"""Cells: what they are made of, and what they share."""

from alignet.errors import AlignetError
from alignet.io import config_files
from alignet.pipeline import runner
from alignet.pipeline.sweep import ablation
from alignet.pipeline.sweep import sweep as sweep_lib
from alignet.pipeline.sweep import sweep_cost
import pytest

_SCALES = ("shapes", "cifar", "paper")
_POSTERIOR = {
    "shapes": [],
    "cifar": ["paths.posterior=/vice.npz"],
    "paper": ["paths.posterior=/vice.npz"],
}
_TABLES = [
    name for name in config_files.names() if name.startswith("ablations/")
]


def _cell(settings, scale="shapes", seed=0):
  config = config_files.load(f"scales/{scale}")
  return runner.plan(
      ablation.complete(config, settings, seed), without_files=True
  )


def _fingerprints(plans):
  return {name: plan["fingerprint"] for name, plan in plans.items()}


@pytest.mark.parametrize("scale", _SCALES)
@pytest.mark.parametrize("table", _TABLES)
def test_all_tables_resolve_at_all_scales(table, scale):
  sweep = sweep_lib.Sweep(
      table=table, scale=scale, seeds=(0,), overrides=_POSTERIOR[scale]
  )
  cells = list(sweep_lib.stages(sweep))
  # The teachers of `labels` differ by what they learn from alone.
  assert cells[0][0].settings == {} or table == "ablations/labels"
  finals = {plans["evaluate"]["fingerprint"] for _, plans in cells}
  assert len(finals) == len(cells)  # No two lines are the same experiment.
  assert len({cell.name for cell, _ in cells}) == len(cells)


@pytest.mark.parametrize("table", _TABLES)
def test_the_cost_of_every_table_is_known(table):
  """--dry_run at the paper's scale, without any file: cells, steps, hours."""
  sweep = sweep_lib.Sweep(table=table, scale="paper", seeds=(0,))
  head, *lines, total = sweep_cost.table(sweep, tflops=100).splitlines()
  assert "device-hours" in head and total.startswith("all")
  assert len(lines) == len(sweep.cells()) > 1
  for cell, line in zip(sweep.cells(), lines):
    assert line.startswith(cell.name)
    steps, images, hours = line[len(cell.name) :].split()[1:4]
    assert steps in ("100,000", "300,000")
    assert images in ("153,600,000", "51,200,000")
    assert float(hours.replace(",", "")) > 10


def test_dense_of_as_many_images_follows_the_steps_of_the_scale():
  sweep = sweep_lib.Sweep(
      table="dense", scale="cifar", seeds=(0,), overrides=["student_steps=500"]
  )
  steps = [
      plans["student"]["params"]["num_train_steps"]
      for _, plans in sweep_lib.stages(sweep)
  ]
  assert steps == [500, 500, 1500]


def test_targets_of_labels_differ_alone():
  for scale in _SCALES:
    sweep = sweep_lib.Sweep(
        table="labels", scale=scale, seeds=(0,), overrides=_POSTERIOR[scale]
    )
    cells = sweep.cells()
    assert [cell.name for cell in cells] == [
        *("soft_point", "hard", "soft_point of a posterior's mean"),
        "posterior",
    ]
    teachers = [plans["teacher"] for _, plans in sweep_lib.stages(sweep)]
    rest = []
    for teacher in teachers:
      params = dict(teacher["params"])
      assert params.pop("targets") in ("soft_point", "hard", "posterior")
      assert params["steps"] > 0 == params["inner_folds"]
      rest.append(params)
    assert all(params == rest[0] for params in rest)


def test_a_posterior_may_be_missing_on_photographs():
  names = lambda **more: [
      cell.name
      for table in ("labels", "transform")
      for cell in sweep_lib.Sweep(
          table=table, scale="cifar", seeds=(0,), **more
      ).cells()
  ]
  assert not any("posterior" in name for name in names())
  given = names(overrides=_POSTERIOR["cifar"])
  assert sum("posterior" in name for name in given) == 3


@pytest.mark.parametrize(
    "settings, new",
    [
        ({}, set()),
        (
            {"student": {"aux": {"decay": 0.5}}},
            {"student", "evaluate"},
        ),
        (
            {"law": "images"},
            {"triplets", "responses", "student", "evaluate"},
        ),
        (
            {"distil": {"steps": 0}},
            {"teacher", "responses", "student", "evaluate"},
        ),
        (
            {"k": 20},
            {"clusters", "triplets", "responses", "student", "evaluate"},
        ),
    ],
)
def test_cells_share_what_does_not_depend_on_their_settings(settings, new):
  default, cell = _fingerprints(_cell({})), _fingerprints(_cell(settings))
  assert {name for name in cell if cell[name] != default[name]} == new


def test_a_seed_changes_the_world_only_where_the_scale_draws_one():
  for scale, same in (("shapes", False), ("cifar", True)):
    a, b = (_fingerprints(_cell({}, scale, seed)) for seed in (0, 1))
    assert (a["base"] == b["base"]) is same
    assert a["student"] != b["student"]


def test_only_what_is_needed_is_run():
  assert "teacher" not in _cell({"teacher": "untransformed"})
  assert "clusters" not in _cell({"sampling": "class_border"})
  assert "representations_narrower" not in _cell({})
  matched = _cell({"teacher": "matched"})
  sources = {s for _, s, _ in matched["responses"]["inputs"]}
  assert "responses_aligned" in sources and "teacher" not in sources


def test_files_from_outside_stay_outside():
  plans = _cell({}, "paper")
  config = config_files.load("scales/paper", ["paths.images=tfds:x:train"])
  given = runner.plan(ablation.complete(config, {}, 0), without_files=True)
  assert given["student"]["files"]["aux.images"] == "tfds:x:train"
  assert plans["student"]["inputs"] == [
      ("train_ds.data_source.path", "responses", "alignet.npz")
  ]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"sampler": "x"}, "unknown setting 'sampler'; expected some of"),
        ({"teacher": "x"}, "teacher: expected one of aligned"),
        ({"judgments": "x"}, "judgments: expected one of embedding, posterior"),
        ({"features": "x"}, "features: this scale has .*pre_logits"),
        ({"student": {"config": "x"}}, "student.config: this scale has"),
    ],
)
def test_wrong_settings(settings, message):
  with pytest.raises(AlignetError, match=message):
    _cell(settings)


def test_a_path_from_outside_may_be_named_as_a_stage():
  config = config_files.load("scales/paper", ["paths.images=clusters/images"])
  plans = runner.plan(ablation.complete(config, {}, 0), without_files=True)
  assert plans["student"]["files"]["aux.images"] == "clusters/images"


def test_a_path_reaches_all_stages_that_take_it():
  config = config_files.load("scales/cifar", ["paths.model=/m.onnx"])
  ablation.complete(config, {"features": "logits"}, 0)
  plan = runner.plan(config, without_files=True)["features_logits"]
  assert plan["files"] == {"model": "/m.onnx"}
  assert plan["params"]["layer"] == "logits" and plan["params"]["size"] == 112


@pytest.mark.parametrize(
    "config, images",
    [
        ("student/small", 192),
        ("student/small:dense", 64),
        ("student/siglip_b:dense", 512),
        ("base", 128),
    ],
)
def test_images_of_a_step(config, images):
  assert sweep_cost.training({"config": config})[1] == images


def test_cost():
  """Steps, images and FLOP of the paper's student: ViT-B, 512 triplets."""
  plan = _cell({}, "paper")["student"]
  steps, images, flops = sweep_cost.training(plan["params"])
  assert (steps, images) == (100_000, 1536)
  # 17.6 GFLOP of multiply-adds, twice that in FLOP: the published figure.
  assert flops == pytest.approx(3 * 1536 * 2 * 17.6e9, rel=0.02)
  sweep = sweep_lib.Sweep(table="loss", scale="paper", seeds=(0, 1))
  table = sweep_cost.table(sweep, tflops=100).splitlines()
  assert len(table) == 1 + 3 * 2 + 1
  hours = 100_000 * flops / 1e14 / 3600
  assert float(table[-1].split()[3]) == pytest.approx(6 * hours, abs=0.01)


@pytest.mark.parametrize(
    "scale, pipeline", [("shapes", "demo"), ("cifar", "cifar100_things")]
)
def test_a_scale_shares_stages_with_its_pipeline(scale, pipeline):
  whole = runner.plan(config_files.load(pipeline), without_files=True)
  shared = _cell({}, scale)
  for name in {"base", "world", "data", "features"} & set(shared) & set(whole):
    assert shared[name]["fingerprint"] == whole[name]["fingerprint"]
  assert shared["base"]["fingerprint"] == whole["base"]["fingerprint"]
