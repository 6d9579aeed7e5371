r"""A ViT-B/16 trained on AligNet from random weights, a control.

  alignet train --cfg=student/scratch_b --cfg.workdir=out/scratch_b \
    --cfg.aux.root=alignet_release

SigLIP-B's architecture, which is assumed: the released Scratch-B's is not
described. Nothing is pulled to the start, because the start knows nothing; the
rest as `student/siglip_b`, whose recipe is assumed here too.
"""

from alignet.io import config_files
from kauldron import konfig

# pylint: disable=g-import-not-at-top
with konfig.imports():
  from kauldron import kd
# pylint: enable=g-import-not-at-top


def get_config(variant=""):
  """The experiment; `variant` as in `student/siglip_b`."""
  cfg = config_files.load("student/siglip_b", variant=variant)
  cfg.init_transform = kd.ckpts.NoopTransform()
  cfg.aux.decay = 0.0
  return cfg
