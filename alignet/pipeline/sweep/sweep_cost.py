"""What a sweep will cost, before anything is run."""

import collections

from alignet.errors import AlignetError
from alignet.io import config_files
from alignet.pipeline.stages import override
from alignet.pipeline.sweep import sweep as sweep_lib


def table(sweep: sweep_lib.Sweep, tflops: float) -> str:
  """Cells, the steps and images of their students, and device-hours.

  Counted are the trainings, at 3 forward passes of FLOP a step; a stage that
  cells share counts once. Extraction, teachers and evaluations come on top, a
  few percent of a student's training at full size.

  Args:
    sweep: the table.
    tflops: what a device reaches in training, 1e12 FLOP a second.
  """
  lines = [
      f"{'cell':<36} {'seed':>4} {'steps':>8} {'images':>12}"
      f" {'device-hours':>13}  stages to run"
  ]
  if tflops <= 0:
    raise AlignetError(f"tflops: expected more than 0, found {tflops:g}")
  seen, total = set(), collections.Counter()
  for cell, plans in sweep_lib.stages(sweep):
    steps = images = 0
    hours = 0.0
    new = [p for p in plans.values() if p["fingerprint"] not in seen]
    seen |= {p["fingerprint"] for p in new}
    for plan in new:
      if plan["identity"]["run"] != "train":
        continue
      n, shown, flops = training(plan["params"])
      steps, images = steps + n, images + n * shown
      hours += n * flops / (tflops * 1e12) / 3600
    total.update(steps=steps, images=images)
    total["hours"] += hours
    lines.append(
        f"{cell.name:<36} {cell.seed:>4} {steps:>8,} {images:>12,}"
        f" {hours:>13,.3f}  {len(new)} of {len(plans)}"
    )
  lines.append(
      f"{'all':<36} {'':>4} {total['steps']:>8,} {total['images']:>12,}"
      f" {total['hours']:>13,.3f}  at {tflops:g} TFLOP/s a device"
  )
  return "\n".join(lines)


def training(params) -> tuple[int, int, float]:
  """Steps of a training, images a step, and FLOP a step.

  Args:
    params: of the stage `train`.
  """
  from kauldron import konfig  # pylint: disable=g-import-not-at-top

  fields = dict(params)
  name = fields.pop("config")
  cfg = config_files.load(name)
  override(cfg, fields, name)
  backbone = konfig.resolve(cfg.model.backbone)
  images = _images(cfg.aux)
  size = cfg.aux.get("image_size", 32)
  flops = 3 * images * backbone.forward_flops(size)
  return cfg.num_train_steps, images, flops


def _images(aux) -> int:
  """Images a step, from a training config's knobs."""
  if "groups" in aux:
    return aux.groups * aux.group_size
  if aux.get("unique_images"):
    return aux.unique_images
  return aux.batch_size * (3 if "triplets" in aux or "root" in aux else 1)
