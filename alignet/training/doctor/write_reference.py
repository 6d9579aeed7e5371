"""Writes the files that the doctor compares with."""

import pathlib

from alignet.io import files
from alignet.io import json_files
from alignet.models.formats import checkpoints
from alignet.training.doctor import curves
from alignet.training.doctor import fixture
from alignet.training.doctor import mistakes
from alignet.training.doctor.check import FOLDER

TOLERANCE = {"losses": 1e-3, "gradient_norms": 5e-3, "overfit": 0.15}
"""Relative. A port in PyTorch, float32 or float64, comes out within 5e-6 of the
losses and 5e-5 of the gradient norms (tests/parity/check_doctor.py): there is
room for other hardware. The nearest mistakes are 0.017 (of a norm) away."""


def make(folder: files.Path = FOLDER) -> None:
  """Writes weights.safetensors, data.npz and reference.json, replacing them."""
  folder = pathlib.Path(folder)
  folder.mkdir(parents=True, exist_ok=True)
  checkpoints.save(
      folder / "weights.safetensors",
      fixture.model(),
      fixture.draw_weights(),
      overwrite=True,
  )
  files.save_npz(
      folder / "data.npz", fixture.draw_data(), overwrite=True, compress=True
  )
  json_files.write(folder / "reference.json", measure(), overwrite=True)


def measure() -> dict:
  """All curves, of this installation and the shipped weights and data."""
  return {
      "recipe": {
          "loss": "jsd",
          "tau": curves.TAU,
          "target_tau": 1.0,
          "batch_size": fixture.BATCH,
          "learning_rates": list(curves.RATES),
          "adam": {"b1": 0.9, "b2": 0.999, "epsilon": 1e-8},
          "decay_to_init": curves.DECAY / sum(curves.RATES),
      },
      "tolerance": TOLERANCE,
      "curve": curves.run(),
      "mistakes": {
          name: {"sentence": sentence, **curves.run(port)}
          for name, (sentence, port) in mistakes.MISTAKES.items()
      },
      "overfit": {
          "learning_rate": curves.OVERFIT_RATE,
          "batch_size": curves.OVERFIT_BATCH,
          "passes": curves.OVERFIT_EPOCHS,
          "losses": curves.overfit(),
      },
  }
