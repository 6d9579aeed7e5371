"""How a teacher is fitted: frozen dataclasses, which import little."""

import dataclasses
from typing import Any, Literal, get_args

from alignet import errors
from alignet import transforms
from alignet.errors import AlignetError

InputMap = Literal[transforms.InputMap, "auto"]
Regulariser = Literal["identity", "l2"]
Standardise = Literal["scalar", "per_dimension"]
Start = Literal["ridge", "identity", "small"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimisation:
  """How the objective is minimised; hashable, one compilation each.

  Attributes:
    regulariser: "identity" pulls towards a multiple of the identity, "l2" to
      zero; see `objective.regulariser`.
    regulariser_weight: its weight, lambda.
    alpha: share of glocal's local term, 0 to 1; above 0 it needs --local.
    tau: temperature of the local term.
    local_batch: images of the local term a step, consecutive ones of a shuffled
      order.
    learning_rate: of Adam, constant.
    clip: largest global norm of the gradient.
    batch: triplets a step.
    every: steps between evaluations.
  """

  regulariser: Regulariser = "identity"
  regulariser_weight: float = 0.03
  alpha: float = 0.0
  tau: float = 1.0
  local_batch: int = 1024
  learning_rate: float = 3e-3
  clip: float = 1.0
  batch: int = 8192
  every: int = 50

  def optimizer(self) -> Any:
    """Clipped Adam, of optax."""
    # The command line shows the settings without it.
    import optax  # pylint: disable=g-import-not-at-top

    return optax.chain(
        optax.clip_by_global_norm(self.clip), optax.adam(self.learning_rate)
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
  """How a teacher is fitted.

  Attributes:
    input_map: what is done to a row first: "none", "sqrt", "l2", or "auto", the
      one with the smallest cross-fitted error of the ridge regression ("none"
      for other starts).
    standardise: by the mean and standard deviation of the whole matrix
      ("scalar", as the paper) or of each dimension ("per_dimension").
    start: where training starts: "ridge" (see `fit`), "identity" or "small"
      (1e-3 of it); or the file of a transform to go on from, T.npz. Zero is no
      start: an objective of products is stationary there.
    width: dimensions of the result; None for those of the embedding, or of the
      features or the file where training does not start from ridge.
    steps: at most so many; the best number is found on the inner folds.
    inner_folds: object-disjoint folds of the training concepts on which the
      number of steps is chosen; 0 runs all steps and reports no held-out score.
    optimisation: objective and optimiser.
    seed: of folds, drawn images and drawn triplets.
  """

  input_map: InputMap = "auto"
  standardise: Standardise = "scalar"
  start: Start | str = "ridge"
  width: int | None = None
  steps: int = 400
  inner_folds: int = 5
  optimisation: Optimisation = Optimisation()
  seed: int = 0

  @property
  def start_file(self) -> bool:
    """Whether the start is a file."""
    return self.start.endswith(".npz")

  def __post_init__(self):
    if self.start == "zero":
      raise AlignetError(
          "start: all similarities of W = 0 and b = 0 are zero, and so is their"
          " gradient, since they are products: training would never leave it;"
          ' expected "small", a thousandth of the identity, or another of'
          f" {', '.join(get_args(Start))}"
      )
    if self.start_file and (self.inner_folds or self.width):
      raise AlignetError(
          f"start: {self.start} has seen the concepts of any fold, and has its"
          " own width; set inner_folds to 0 and leave width out"
      )
    optimisation = self.optimisation
    for name, value, allowed in (
        ("input_map", self.input_map, InputMap),
        ("start", "ridge" if self.start_file else self.start, Start),
        ("standardise", self.standardise, Standardise),
        ("regulariser", optimisation.regulariser, Regulariser),
    ):
      errors.check_choice(name, value, get_args(allowed))
    errors.check_least(1, width=self.width)
    if not 0 <= optimisation.alpha <= 1:
      raise AlignetError(f"alpha: expected 0 to 1, found {optimisation.alpha}")
    if optimisation.tau <= 0 or optimisation.local_batch < 2:
      raise AlignetError(
          "tau and local_batch: expected a positive temperature and at least"
          f" two images, found {optimisation.tau} and"
          f" {optimisation.local_batch}"
      )
    every = self.optimisation.every
    if self.steps < 0 or self.steps % every:
      raise AlignetError(
          f"steps: expected a multiple of {every}, found {self.steps}"
      )
    if self.inner_folds < 0 or self.inner_folds == 1:
      raise AlignetError(
          f"inner_folds: expected 0, or at least 2, found {self.inner_folds}"
      )
