"""Ends the program when somebody asks, within seconds, whatever it is doing.

Python runs a signal's handler between two steps of its own, and an exception
that it raises may be swallowed, as while garbage is collected. So a thread
listens as well: it asks again every few seconds, and leaves in the end.
"""

from collections.abc import Iterator
import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time

SIGNALS = (signal.SIGINT, signal.SIGTERM)

_AGAIN, _LATEST = 3.0, 9.0
"""Seconds after which it is asked again, and after which the process leaves."""

_SWALLOWS = "_xla_gc_callback"
"""JAX's, in which Python ignores exceptions: it is not raised there."""

_asked: list[int] = []
_raised = False
_patience = 0.0


class Ended(KeyboardInterrupt):
  """SIGTERM: somebody asked the process to end."""


def code(error: KeyboardInterrupt) -> int:
  """The exit code: 143 after SIGTERM, 130 after SIGINT."""
  return 143 if isinstance(error, Ended) else 130


def said(error: KeyboardInterrupt) -> str:
  """What a command says of it."""
  return "ended" if isinstance(error, Ended) else "interrupted"


def install() -> None:
  """From here on SIGINT and SIGTERM end this process, a program's own."""
  read, write = os.pipe()
  os.set_blocking(write, False)
  signal.set_wakeup_fd(write, warn_on_full_buffer=False)
  for each in SIGNALS:
    signal.signal(each, _handle)
  threading.Thread(target=_listen, args=(read,), daemon=True).start()


def asked() -> bool:
  """Whether SIGTERM waits for the last thing to be done, see `patience`."""
  return bool(_asked) and _asked[0] == signal.SIGTERM


@contextlib.contextmanager
def patience(seconds: float) -> Iterator[None]:
  """Inside, SIGTERM raises only after so many seconds; look at `asked`."""
  global _patience
  before, _patience = _patience, min(seconds, _LATEST - 1)
  try:
    yield
  finally:
    _patience = before


def _handle(signum, frame) -> None:
  global _raised
  first = not _asked
  _asked.append(signum)
  if first and signum == signal.SIGTERM and _patience:
    return
  while frame is not None:
    if frame.f_code.co_name == _SWALLOWS:
      return
    frame = frame.f_back
  _raised = True
  raise Ended if _asked[0] == signal.SIGTERM else KeyboardInterrupt


def _listen(read: int) -> None:
  while True:
    signum = os.read(read, 1)[0]
    if signum in SIGNALS:  # Others have handlers, too.
      break
  end = time.monotonic() + _LATEST
  # A step that is long gets its time, if it is a last one.
  time.sleep(_patience if signum == signal.SIGTERM else 0)
  while time.monotonic() < end:
    time.sleep(_AGAIN if _raised else 0.1)
    signal.pthread_kill(threading.main_thread().ident, signum)
  for child in multiprocessing.active_children():
    child.kill()
  error = Ended() if signum == signal.SIGTERM else KeyboardInterrupt()
  print(f"alignet: {said(error)}, without waiting any longer", file=sys.stderr)
  sys.stderr.flush()
  os._exit(code(error))
