"""What a training would do: shapes, memory, cost and a picture."""

from collections.abc import Mapping
import dataclasses
import functools
import math
import pathlib
from typing import Any, Literal

from alignet import models
from alignet.evals import in_training
from alignet.io import files
from alignet.io import json_files
from alignet.models.formats import checkpoints
from alignet.models.formats import weights
from alignet.report import gallery
from alignet.report import style
from alignet.training import train_step
from alignet.training.input import batches
from alignet.triplets import similarity
from etils import enp
import jax
from kauldron import kd
from kauldron.train import context as context_lib
from kauldron.train import train_step as kd_step
import numpy as np

FOLDER = "dry_run"
Effort = Literal["shapes", "compile"]

_SMALL = 1_000_000  # Parameters up to which compiling takes seconds.
_SHOWN = 6


def dry_run(trainer: kd.train.Trainer, effort: Effort = "shapes") -> str:
  """Describes a training in `{workdir}/dry_run`, and writes nothing else.

  Opens the data and weights that the config names and draws the first batch;
  no model is run, nothing is trained. Models of up to a million parameters are
  compiled, for the memory that the compiler plans; so are others with the
  effort "compile", which for a ViT-B takes minutes on a CPU.

  Args:
    trainer: a resolved trainer whose workdir is set.
    effort: "shapes" or "compile".

  Returns:
    The report as text; `report.json` holds its numbers, `batch.png` shows the
    first images, with the teacher's probabilities where there are any.

  Raises:
    AlignetError: data or weights that are missing, damaged or do not fit.
  """
  batch = _first_batch(trainer)
  report, memory = describe(trainer, batch, effort)
  picture = draw(batch, _target_tau(trainer))
  out = pathlib.Path(trainer.workdir) / FOLDER
  out.parent.mkdir(parents=True, exist_ok=True)
  with files.atomic_directory(out, overwrite=True) as folder:
    json_files.write(folder / "report.json", report)
    if picture is not None:
      with files.atomic_write(folder / "batch.png") as f:
        f.write(style.png(picture))
  return as_text(report, memory)


def describe(
    trainer: kd.train.Trainer, batch: Any, effort: Effort = "shapes"
) -> tuple[dict[str, Any], str]:
  """Numbers of a training, and a sentence on where its activations are from."""
  spec = jax.tree.map(lambda x: enp.ArraySpec(x.shape, x.dtype), batch)
  shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), batch)
  state = jax.eval_shape(
      functools.partial(
          trainer.init_state, element_spec=spec, skip_transforms=True
      )
  )
  _check_inputs(trainer, state.params)
  _, context = jax.eval_shape(trainer.trainstep._step, state, shapes)  # pylint: disable=protected-access
  count = lambda tree: sum(math.prod(x.shape) for x in jax.tree.leaves(tree))
  params = count(state.params)
  memory = {
      "parameters": _bytes(state.params),
      "optimizer": _bytes(state.opt_state),
      "gradients": _bytes(state.params),
      "batch": _bytes(shapes),
  }
  if effort == "compile" or params <= _SMALL:
    memory["activations"] = _compiled(trainer, state, shapes, memory)
    source = f"as XLA plans them for this {jax.default_backend()}"
  else:
    memory["activations"] = _kept(trainer, state, shapes, memory)
    source = (
        "an estimate, what the backward pass needs before the compiler fuses"
        " it; --dry_run=compile asks the compiler"
    )
  report = {
      "steps": trainer.num_train_steps,
      "inputs": _shapes(shapes),
      "outputs": _shapes(context.preds),
      "parameters": {name: count(p) for name, p in state.params.items()},
      "bytes": memory,
      "activations_are": source,
      "flop_per_step": _flop(trainer.model, batch),
  }
  return report, source


def as_text(report: Mapping[str, Any], source: str) -> str:
  """The report for people, one fact a line."""
  megabytes = {k: f"{v / 2**20:,.1f} MiB" for k, v in report["bytes"].items()}
  lines = [
      *(f"input   {k}: {v}" for k, v in report["inputs"].items()),
      *(f"output  {k}: {v}" for k, v in report["outputs"].items()),
      *(
          f"parameters  {k}: {v:,}"
          for k, v in (
              *report["parameters"].items(),
              ("all", sum(report["parameters"].values())),
          )
      ),
      *(f"memory  {k}: {v}" for k, v in megabytes.items()),
      f"        activations: {source}",
      f"memory  all: {sum(report['bytes'].values()) / 2**20:,.1f} MiB",
      f"steps   {report['steps']:,}",
  ]
  if report["flop_per_step"]:
    flop = report["flop_per_step"]
    lines.append(
        f"cost    {flop:.3g} FLOP a step, {flop * report['steps']:.3g} in all"
    )
  return "\n".join(lines)


def draw(batch: Mapping[str, Any], target_tau: float = 1.0):
  """The first images of a batch, or None where it holds none.

  Args:
    batch: {"images": uint8 [b, 3, h, w, 3], "similarities": [b, 3]}, or images
      each once and the rows, or groups [p, k, …], or single images [b, …].
    target_tau: temperature of the teacher.
  """
  images = batch.get("images") if isinstance(batch, Mapping) else None
  if isinstance(images, Mapping):
    images = np.asarray(images["images"])[np.asarray(images["rows"])[:_SHOWN]]
  if images is None or images.ndim not in (4, 5) or images.shape[-1] != 3:
    return None
  if "similarities" in batch:
    s = np.asarray(batch["similarities"])[:_SHOWN] / target_tau
    n = len(s)
    return gallery.triplet_gallery(
        images[:n],
        np.full(n, 2),
        {},
        probabilities=similarity.choice_probabilities(s),
        labels=np.array([f"row {i} of the first batch" for i in range(n)]),
        observers="teacher",
        columns=2,
    )
  if images.ndim == 4:
    columns = min(_SHOWN, len(images))
    rows = min(_SHOWN, len(images) // columns)
    images = images[: rows * columns].reshape(rows, columns, *images.shape[1:])
  images = images[:_SHOWN, :_SHOWN]
  return gallery.montage(images, [f"row {i}" for i in range(len(images))])


def _first_batch(trainer: kd.train.Trainer) -> Any:
  source = getattr(trainer.train_ds, "data_source", None)
  if isinstance(source, batches.BatchSource):
    return source[0]  # Without workers, which would read ahead.
  return jax.tree.map(np.asarray, next(iter(trainer.train_ds)))


def _check_inputs(trainer: kd.train.Trainer, params: Any) -> None:
  """Opens what is first needed later: weights, and data of evaluations."""
  start = trainer.init_transform
  if isinstance(start, models.InitFromWeights):
    expected = {
        jax.tree_util.keystr(path, simple=True, separator="/"): x.shape
        for path, x in jax.tree_util.tree_leaves_with_path(params)
    }
    checkpoints.check_tree(
        weights.read(start.path, expected, allow_half=start.allow_half),
        expected,
        start.path,
        may_lack=start.new,
        may_exceed=start.unused,
    )
  for evaluator in trainer.evals.values():
    source = getattr(getattr(evaluator, "ds", None), "data_source", None)
    if isinstance(source, batches.BatchSource):
      len(source)  # Opens the file.
    if isinstance(evaluator, in_training.OnImages):
      evaluator.open()


def _kept(trainer, state, shapes, memory) -> int:
  """Bytes that automatic differentiation keeps for the backward pass."""

  def loss(params, batch):
    context = context_lib.Context.from_state_and_batch(
        state=dataclasses.replace(state, params=params), batch=batch
    )
    return kd_step.forward_with_loss(
        context,
        model=trainer.model,
        losses=trainer.trainstep.aux.losses,
        rngs=trainer.rng_streams.train_rngs(0),
        is_training=True,
    )[0]

  backward = jax.eval_shape(
      lambda params, batch: jax.vjp(lambda p: loss(p, batch), params)[1],
      state.params,
      shapes,
  )
  # The parameters are among them.
  return max(_bytes(backward) - memory["parameters"], 0)


def _compiled(trainer, state, shapes, memory) -> int:
  """Bytes beside arguments and gradients in the compiled training step."""
  step = trainer.trainstep
  if isinstance(step, train_step.TrainStep):
    lowered = train_step.TrainStep._guarded_step.lower(step, state, shapes)  # pylint: disable=protected-access
  else:
    lowered = kd.train.TrainStep.step.lower(
        step, state, shapes, return_losses=True, return_metrics=True
    )
  temporary = lowered.compile().memory_analysis().temp_size_in_bytes
  return max(int(temporary) - memory["gradients"], 0)


def _flop(model: Any, batch: Any) -> float | None:
  """Of a training step; None for a model whose cost is not known."""
  if not isinstance(model, models.VisionModel):
    return None
  if not isinstance(model.backbone, models.ViT):
    return None
  images = batch["images"]
  if isinstance(images, Mapping):
    images = images["images"]
  *leading, height, width, _ = images.shape
  forward = model.backbone.forward_flops(height, width)
  return 3 * math.prod(leading) * forward


def _target_tau(trainer: kd.train.Trainer) -> float:
  for loss in trainer.train_losses.values():
    if hasattr(loss, "target_tau"):
      return loss.target_tau
  return 1.0


def _bytes(tree: Any) -> int:
  return sum(
      math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(tree)
  )


def _shapes(tree: Any) -> dict[str, str]:
  return {
      jax.tree_util.keystr(path, simple=True, separator="."): (
          f"{x.dtype} {list(x.shape)}"
      )
      for path, x in jax.tree_util.tree_leaves_with_path(tree)
  }
