"""One writer a folder, who says who it is.

The system releases a lock with the process that holds it, so that none outlives
a kill. Machines that share a file system see each other's locks where it passes
them on, as NFS does since version 4; where it cannot lock, that is an error.
"""

from collections.abc import Iterator
import contextlib
import errno
import fcntl
import json
import os
import pathlib
import socket
import time

from alignet.errors import AlignetError
from alignet.io import files

LOCK = ".lock"

_held: set[pathlib.Path] = set()  # By this process.


@contextlib.contextmanager
def held(path: files.Path, *, wait: bool = False) -> Iterator[None]:
  """Holds the lock of a file, which stays; who holds it already goes on.

  Args:
    path: the file; it and its folder are made where they are not there.
    wait: for whoever holds it; else that is an error.

  Raises:
    AlignetError: another process holds it, with who that is; or the file
      system knows no locks.
  """
  path = pathlib.Path(os.path.realpath(path))
  if path in _held:
    yield
    return
  path.parent.mkdir(parents=True, exist_ok=True)
  with open(path, "a+", encoding="utf-8") as f:
    try:
      fcntl.flock(f, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError as e:
      raise AlignetError(
          f"another process works in {path.parent}: {_owner(path)}; wait for"
          f" it, or if it is gone, remove {path}"
      ) from e
    except OSError as e:
      if e.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
        raise
      raise AlignetError(
          f"{path.parent} is on a file system without locks ({e.strerror}), so"
          " that two commands could write there at once; choose another folder"
      ) from e
    f.truncate(0)
    since = time.strftime("%Y-%m-%d %H:%M:%S %z")
    owner = {"host": socket.gethostname(), "process": os.getpid()}
    f.write(json.dumps(owner | {"since": since}))
    f.flush()
    _held.add(path)
    try:
      yield
    finally:
      _held.remove(path)


def _owner(path: pathlib.Path) -> str:
  try:
    found = json.loads(path.read_text(encoding="utf-8"))
    text = "process {process} on {host}, since {since}"
    return text.format_map(found)
  except (OSError, ValueError, KeyError, TypeError):
    return "it has not said yet which"  # It is just beginning.
