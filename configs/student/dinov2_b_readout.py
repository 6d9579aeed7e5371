"""DINOv2-B/14, with the readout of `student/siglip_b_readout`."""

from alignet.io import config_files


def get_config():
  """The experiment."""
  return config_files.load(
      "student/siglip_b_readout", cfg=config_files.load("student/dinov2_b")
  )
