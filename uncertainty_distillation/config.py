"""How a teacher is fitted: one frozen dataclass."""

import dataclasses
from typing import Literal, get_args

from alignet import transforms
from alignet.errors import AlignetError
from uncertainty_distillation import initial_transform
from uncertainty_distillation import objective
from uncertainty_distillation import training_loop

Start = Literal["ridge", "identity", "small"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
  """How a teacher is fitted.

  Attributes:
    input_map: "none", "sqrt", "l2", or "auto": the one with the smallest
      cross-fitted error of the ridge regression ("none" for other starts).
    standardise: by the mean and standard deviation of the whole matrix
      ("scalar", as the paper) or of each dimension ("per_dimension").
    start: "ridge" (see `fit`), "identity" or "small" (1e-3 of it); or the
      file of a transform to go on from, such as "transform.npz". Zero is no
      start: an objective of products is stationary there.
    width: dimensions of the transformed representations; None for those of
      the embedding, or of the features or file for the starts without ridge.
    steps: at most so many; the best number is found on the inner folds.
    inner_folds: object-disjoint folds of the training concepts on which the
      number of steps is chosen; 0 runs all steps and reports no held-out score.
    optimisation: objective and optimiser.
    seed: of folds, drawn images and drawn triplets.
  """

  input_map: transforms.InputMap | Literal["auto"] = "auto"
  standardise: initial_transform.Standardise = "scalar"
  start: Start | str = "ridge"
  width: int | None = None
  steps: int = 400
  inner_folds: int = 5
  optimisation: training_loop.Optimisation = training_loop.Optimisation()
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
    for name, value, allowed in (
        ("input_map", self.input_map, (*get_args(transforms.InputMap), "auto")),
        ("start", "ridge" if self.start_file else self.start, get_args(Start)),
        (
            "standardise",
            self.standardise,
            get_args(initial_transform.Standardise),
        ),
    ):
      if value not in allowed:
        raise AlignetError(
            f"{name}: expected one of {', '.join(allowed)}, found {value!r}"
        )
    optimisation = self.optimisation
    objective.check_regulariser(optimisation.regulariser)
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
    if self.width is not None and self.width < 1:
      raise AlignetError(f"width: expected at least 1, found {self.width}")
    if self.inner_folds < 0 or self.inner_folds == 1:
      raise AlignetError(
          f"inner_folds: expected 0, or at least 2, found {self.inner_folds}"
      )
