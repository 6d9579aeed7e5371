import threading

from alignet.io import parallel
import pytest


@pytest.mark.parametrize("workers", [1, 3])
def test_ordered_map_keeps_order_and_stays_few_ahead(workers):
  started = []
  lock = threading.Lock()

  def square(i):
    with lock:
      started.append(i)
    return i * i

  walk = parallel.ordered_map(square, range(100), workers=workers)
  assert next(walk) == 0
  assert len(started) <= 2 * workers
  assert list(walk) == [i * i for i in range(1, 100)]


@pytest.mark.parametrize("workers", [1, 3])
def test_ordered_map_passes_errors_on(workers):
  def fail(i):
    if i == 5:
      raise ZeroDivisionError
    return i

  with pytest.raises(ZeroDivisionError):
    list(parallel.ordered_map(fail, range(100), workers=workers))
