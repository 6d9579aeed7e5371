"""Sets up `.venv` for the Makefile: `environment.py run` or `... dev`.

`run` is what a user needs, `dev` adds the tools that test and lint. The
environment counts as complete only while its stamp says so: the stamp goes away
before anything is installed and comes back, renamed into place, when everything
is; an environment without one is built from scratch. The stamp names the
interpreter, the folder and the contents of requirements.txt and pyproject.toml,
so that nothing is done twice and no change is missed. A lock keeps a second
caller waiting, and outlives a caller that is killed until its installer ends.

Only the standard library, and syntax that older Pythons can read: this is the
place that tells them that they are too old.
"""

import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

_ROOT = pathlib.Path(__file__).resolve().parent.parent
_OLDEST = (3, 11)
_EXTRAS = {"run": "", "dev": "[dev]"}


def main(argv):
  """Makes the environment of the layer named by the only argument."""
  if sys.version_info < _OLDEST:
    return _fail(
        f"Python {_OLDEST[0]}.{_OLDEST[1]} or newer is needed, found"
        f" {sys.version.split()[0]} ({sys.executable}); name another, as in"
        " `make demo PYTHON=python3.12`"
    )
  if len(argv) != 1 or argv[0] not in _EXTRAS:
    return _fail(f"expected one argument, run or dev; found {argv}")
  try:
    with open(__file__) as lock:
      os.set_inheritable(lock.fileno(), True)
      fcntl.flock(lock, fcntl.LOCK_EX)
      ensure(_ROOT, argv[0], install)
  except subprocess.CalledProcessError as e:
    return _fail(
        f"the environment could not be set up: `{' '.join(e.cmd)}` failed"
        f" (exit code {e.returncode}), see above; the same command tries again"
    )
  return 0


def ensure(root, layer, install):
  """Makes `root/.venv` complete for a layer, with as little work as possible.

  Args:
    root: the checkout.
    layer: "run" or "dev".
    install: called as install(root, layer) to create or update `.venv`.
  """
  venv = root / ".venv"
  stamp = venv / ".stamp"
  # The console scripts hold absolute paths, so the folder counts too.
  place = f"{'.'.join(map(str, sys.version_info[:3]))} {root}"
  contents = _digest(root / "requirements.txt", root / "pyproject.toml")
  found = stamp.read_text().splitlines() if stamp.is_file() else []
  usable = (
      len(found) == 3
      and found[0] == place
      and (venv / "bin" / "python").exists()
  )
  if usable and found[2] == "dev":
    layer = "dev"
  wanted = [place, contents, layer]
  if usable and found == wanted:
    return
  if usable:
    stamp.unlink()
  elif venv.exists():
    print(f"{venv} is incomplete or outdated: rebuilding it")
    stamp.unlink(missing_ok=True)
    shutil.rmtree(venv)
  install(root, layer)
  temporary = venv / ".stamp.tmp"
  temporary.write_text("\n".join(wanted) + "\n")
  os.replace(temporary, stamp)


def install(root, layer):
  """Creates `.venv` where it is missing and installs a layer into it."""
  venv = root / ".venv"
  python = venv / "bin" / "python"
  base = getattr(sys, "_base_executable", sys.executable)
  what = ["-r", "requirements.txt", "-e", "." + _EXTRAS[layer]]
  quiet = [] if sys.stderr.isatty() else ["--quiet"]
  uv = shutil.which("uv")
  print(f"setting up {venv} with {'uv' if uv else 'pip'}", flush=True)
  if uv:
    try:
      if not venv.exists():
        _run(root, uv, "venv", "--quiet", "--seed", "--python", base, venv)
      _run(root, uv, "pip", "install", *quiet, "--python", python, *what)
      return
    except subprocess.CalledProcessError:
      print("uv failed: trying again with pip", flush=True)
      shutil.rmtree(venv, ignore_errors=True)
  if not venv.exists():
    _run(root, base, "-m", "venv", venv)
  _run(root, python, "-m", "pip", "install", *quiet, *what)


def _digest(*paths):
  digest = hashlib.sha256()
  for path in paths:
    digest.update(hashlib.sha256(path.read_bytes()).digest())
  return digest.hexdigest()


def _run(root, *command):
  """Runs a command that inherits the lock; a failure is an exception."""
  subprocess.run(list(map(str, command)), cwd=root, check=True, close_fds=False)


def _fail(message):
  print("error: " + message, file=sys.stderr)
  return 2


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
