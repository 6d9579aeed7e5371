r"""A teacher by glocal: human judgments, and neighbourhoods of images kept.

gLocal's own setting (Muttenthaler et al. 2023, their code): hard choices or
soft targets, alpha .1 (.25 in its evaluation), tau 1 (.1), lambda .1, 1,024
local images a batch, Adam 1e-3; the rest as in
`uncertainty_distillation_paper.py`.

  python -m alignet.train glocal --cfg.workdir=out/glocal \
    --cfg.aux.features=F.npy --cfg.aux.triplets=T.npy --cfg.aux.local=L.npy \
    --cfg.aux.rows=as_stored

L holds representations of any images, such as ImageNet's, by the same network.
The neighbourhoods to keep are those of L as it is. Unlike gLocal's code, what
is transformed is L standardised like the judged images, because the transform
that is saved is applied to standardised representations.
"""

from alignet.io import config_files


def get_config():
  """The experiment."""
  cfg = config_files.load("uncertainty_distillation_paper")
  cfg.aux.update(alpha=0.1, tau=1.0, local_batch=1024)
  return cfg
