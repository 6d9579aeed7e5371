r"""CLIP-ViT-B/16 post-trained on AligNet; all else as `student/siglip_b`.

  alignet train --cfg=student/clip_b --cfg.workdir=out/clip_b \
    --cfg.aux.root=alignet_release --cfg.aux.weights=WEIGHTS

The class token before the projection is `pre_logits`. That the released model
of this name was trained by the recipe of SigLIP-B is assumed: only that one's
config is public.
"""

from alignet.io import config_files
from alignet.models.vit import zoo


def get_config(variant=""):
  """The experiment; `variant` as in `student/siglip_b`."""
  cfg = config_files.load("student/siglip_b", variant=variant)
  cfg.model.backbone.update(zoo.find("clip-b16").architecture)
  return cfg
