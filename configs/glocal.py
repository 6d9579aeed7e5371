r"""A teacher by glocal: human judgments, and neighbourhoods of images kept.

gLocal's own setting (Muttenthaler et al. 2023, their code): hard choices or
soft targets, alpha .1 (.25 in its evaluation), tau 1 (.1), lambda .1, 1,024
local images a batch, Adam 1e-3; the rest as in `uncertainty_distillation.py`.

  python -m alignet.train --cfg=glocal --cfg.workdir=out/glocal \
    --cfg.aux.features=F.npy --cfg.aux.triplets=T.npy --cfg.aux.local=L.npy

L holds representations of any images, such as ImageNet's, by the same network.
The neighbourhoods to keep are those of L as it is. Unlike gLocal's code, what
is transformed is L standardised like the judged images, because the transform
that is saved is applied to standardised representations.
"""

from alignet.io import config_files
from kauldron import konfig

# pylint: disable=g-import-not-at-top
with konfig.imports():
  from uncertainty_distillation import model
# pylint: enable=g-import-not-at-top


def get_config():
  """The experiment."""
  cfg = config_files.load("uncertainty_distillation")
  cfg.aux["local"] = ""
  cfg.aux["local_batch"] = 1024
  cfg.aux["alpha"] = 0.1
  cfg.aux["tau"] = 1.0
  cfg.aux["lambda"] = 0.1

  source = cfg.train_ds.data_source
  source.data.local = cfg.ref.aux.local
  source.local_batch = cfg.ref.aux.local_batch
  cfg.model.local = "batch.local"
  cfg.train_losses = {
      "kl": model.TripletKL(weight=1 - cfg.ref.aux.alpha),
      "local": model.Locality(tau=cfg.ref.aux.tau, weight=cfg.ref.aux.alpha),
      "regulariser": model.Regulariser(
          kind="identity", weight=cfg.ref.aux["lambda"]
      ),
  }
  return cfg
