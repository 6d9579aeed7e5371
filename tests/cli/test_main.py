"""What the console script says and returns when something goes wrong."""

import errno
import importlib
import subprocess
import sys
import types

from alignet.cli import main
from alignet.errors import AlignetError
import pytest


@pytest.fixture
def command(monkeypatch):
  """A stand-in for `alignet verify` that does what it is told."""

  def install(action):
    def run(args):
      del args
      return action()

    monkeypatch.setattr(
        main.importlib,
        "import_module",
        lambda name: types.SimpleNamespace(
            __doc__="Help.", add_arguments=lambda parser: None, run=run
        ),
    )

  return install


def _raise(error):
  raise error


@pytest.mark.parametrize("value, code", [(None, 0), (0, 0), (1, 1)])
def test_exit_code_of_the_command(command, value, code):
  command(lambda: value)
  assert main.main(["verify"]) == code


@pytest.mark.parametrize(
    "error, code, line",
    [
        (AlignetError("a.npz lacks b"), 2, "error: a.npz lacks b"),
        (
            FileNotFoundError(errno.ENOENT, "No such file", "x.npz"),
            2,
            "error: No such file: x.npz",
        ),
        (
            OSError(errno.EIO, "Input/output error"),
            2,
            "error: Input/output error",
        ),
        (OSError("odd"), 2, "error: odd"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_errors_are_one_line_on_stderr(command, capsys, error, code, line):
  command(lambda: _raise(error))
  assert main.main(["verify"]) == code
  out, err = capsys.readouterr()
  assert out == ""
  assert err == f"alignet verify: {line}\n"


def test_mistakes_of_ours_are_one_line_or_keep_their_traceback(command, capsys):
  command(lambda: _raise(ZeroDivisionError("a\x1b[31m\nbug" + "x" * 9000)))
  assert main.main(["verify"]) == 2
  error = capsys.readouterr().err
  assert error.count("\n") == 1 and len(error) < 2100
  assert error.startswith(
      "alignet verify: error: ZeroDivisionError: a\\x1b[31m"
  )
  assert "did not foresee this, please report" in error
  with pytest.raises(ZeroDivisionError):
    main.main(["verify", "--traceback"])


def test_paths_that_are_none(tmp_path, monkeypatch, capsys):
  for flags, message in (
      (
          ["--representations=s3://bucket/r"],
          "--representations: s3://bucket/r is",
      ),
      (["--representations=gs://b/r"], "copy it to this machine"),
      (["--out="], "--out: expected a path, found an empty one"),
      (["--cfg=aligned", "--cfg.triplets=gs://b/t.npz"], "--cfg.triplets: gs:"),
  ):
    assert main.main(["respond", *flags]) == 2
    assert message in capsys.readouterr().err
  monkeypatch.setenv("HOME", str(tmp_path))
  more = ["--triplets=~/t.npz", "--out=~/o.npz"]
  assert main.main(["respond", "--representations=~/r", *more]) == 2
  assert f"{tmp_path}/r is no directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv, message",
    [
        ([], "the following arguments are required: COMMAND"),
        (["extrct"], "'extrct' is not a command; did you mean extract"),
        (["qqq"], "'qqq' is not a command; expected one of budget, cache"),
        (["verify", "--quite"], "unexpected argument '--quite'; did you mean"),
        (["verify", "--cfg.a=1"], "unexpected argument '--cfg.a=1'"),
        (["verify", "stray"], "unexpected argument 'stray'"),
        (["verify", "--qui"], "unexpected argument '--qui'"),  # No short forms.
    ],
)
def test_unknown_arguments(command, capsys, argv, message):
  command(lambda: None)
  assert main.main(argv) == 2
  error = capsys.readouterr().err
  assert message in error and error.count("\n") == 1


@pytest.mark.parametrize("name", main.COMMANDS)
def test_renamed_flags_are_named(name, capsys):
  module = importlib.import_module(f"alignet.cli.{name}")
  for old, new in getattr(module, "RENAMED", {}).items():
    assert main.main([name, f"{old}=x"]) == 2
    assert f"{old} is now called {new}" in capsys.readouterr().err


def test_quiet_reaches_the_bars(command, monkeypatch):
  seen = []
  monkeypatch.setattr(main.progress, "set_quiet", seen.append)
  command(lambda: None)
  main.main(["verify", "--quiet"])
  main.main(["verify"])
  assert seen == [True, False]


def test_version(capsys):
  with pytest.raises(SystemExit) as error:
    main.main(["--version"])
  assert error.value.code == 0
  assert capsys.readouterr().out.startswith("alignet ")


def test_sigterm_ends_as_ctrl_c_does(tmp_path):
  """In a process of its own, at work on something long."""
  code = (
      "import sys, time\n"
      "from alignet.cli import main, verify\n"
      "def run(args):\n"
      "  print('at work', flush=True)\n"
      "  time.sleep(60)\n"
      "verify.run = run\n"
      "sys.argv = ['alignet', 'verify', 'x']\n"
      "sys.exit(main.main())"
  )
  process = subprocess.Popen(
      [sys.executable, "-c", code],
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
  )
  assert process.stdout.readline() == "at work\n"
  process.terminate()
  _, error = process.communicate(timeout=60)
  assert process.returncode == 143 and error == "alignet verify: ended\n"
