r"""A teacher with the settings of the papers, where they are public.

  python -m alignet.train uncertainty_distillation_paper \
    --cfg.workdir=out/teacher

Known (Muttenthaler et al. 2023, their code): scalar standardisation, W and b
start at 1e-3 I and 1e-3, Adam, gradient clipping 1.0, 256 triplets a batch,
identity shrinking with lambda .1, 4 object-disjoint folds. Not public for the
AligNet teacher: its learning rate (gLocal's is here), lambda, number of steps
(100 epochs with early stopping in gLocal; at most 3,000 here) and the
Monte-Carlo samples M of its targets (`aux.samples`).

The folds choose the number of steps, and then all concepts are learnt from:
gLocal kept the last epoch of the last fold. For few concepts this setting
overfits, whatever lambda, which is why `uncertainty_distillation.py` starts
from a cross-fitted ridge regression, see `uncertainty_distillation.fit`.
"""

from alignet.io import config_files


def get_config():
  """The experiment."""
  cfg = config_files.load("uncertainty_distillation")
  cfg.aux.update(
      input_map="none",
      start="small",
      steps=3000,
      inner_folds=4,
      regulariser_weight=0.1,
      learning_rate=1e-3,
      batch=256,
  )
  return cfg
