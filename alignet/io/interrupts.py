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
_raised = _installed = False
_patience = 0.0


class Ended(KeyboardInterrupt):
  """SIGTERM: somebody asked the process to end."""


def leave(command: str, error: KeyboardInterrupt) -> int:
  """Says that a command ends, and ends it; its children, too.

  A program does not wait for threads that still write: what they write is not
  there until it is whole.

  Returns:
    Where `install` was not called, the exit code: 143 after SIGTERM, else 130.
  """
  ended = isinstance(error, Ended)
  print(f"{command}: {'ended' if ended else 'interrupted'}", file=sys.stderr)
  if _installed:
    for child in multiprocessing.active_children():
      child.kill()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(143 if ended else 130)
  return 143 if ended else 130


def install() -> None:
  """From here on SIGINT and SIGTERM end this process, a program's own."""
  global _installed
  _installed = True
  read, write = os.pipe()
  os.set_blocking(write, False)
  signal.set_wakeup_fd(write, warn_on_full_buffer=False)
  for each in SIGNALS:
    signal.signal(each, _handle)
  threading.Thread(target=_listen, args=(read,), daemon=True).start()
  os.register_at_fork(after_in_child=_uninstall)


def _uninstall() -> None:
  """Makes a forked child ordinary: what ends it must not end its parent."""
  global _installed
  _installed = False
  signal.set_wakeup_fd(-1)
  signal.signal(signal.SIGINT, signal.default_int_handler)
  signal.signal(signal.SIGTERM, signal.SIG_DFL)


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
    time.sleep(_AGAIN if _raised else 0.5)
    signal.pthread_kill(threading.main_thread().ident, signum)
  leave("alignet", Ended() if signum == signal.SIGTERM else KeyboardInterrupt())
