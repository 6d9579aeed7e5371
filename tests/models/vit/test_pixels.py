from alignet.errors import AlignetError
from alignet.models.vit import pixels
import numpy as np
import pytest


def test_a_range():
  table = pixels.table("-1,1")
  assert table.shape == (3, 256) and table.dtype == np.float32
  np.testing.assert_allclose(
      table[1], np.arange(256) / 127.5 - 1, rtol=0, atol=1e-7
  )
  assert table[0, 0] == -1 and table[2, 255] == 1


@pytest.mark.parametrize("name, red", [("imagenet", 0.485), ("clip", 0.48145)])
def test_named(name, red):
  table = pixels.table(name)
  # The grey value nearest to the mean becomes about nothing.
  assert abs(table[0, round(red * 255)]) < 0.01
  assert (np.diff(table, axis=1) > 0).all()


@pytest.mark.parametrize("text", ["", "0", "1,1", "0,1,2", "a,b", "0,inf"])
def test_bad_range(text):
  with pytest.raises(AlignetError, match="pixel range: expected LOW,HIGH"):
    pixels.table(text)
