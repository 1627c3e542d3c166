"""Makes the Python environment, with the standard library alone: see setup.sh."""

import fcntl
import hashlib
import importlib.util
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from fairseq_palbert.command import run
from fairseq_palbert.errors import UserError
from fairseq_palbert.experiment.log import log

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS, BENCHMARK = ROOT / "requirements.txt", ROOT / "recipes" / "requirements-benchmark.txt"
BUILD_TOOLS = ("setuptools", "wheel")
TORCH, FAIRSEQ = "torch", "fairseq-fixed"
MODULES = ["torch", "fairseq", "hydra", "tokenizers", "sentencepiece", "tensorboard", "matplotlib", "scipy", "sklearn",
           "pytest"]


class Environment:
    """The environment in ``folder`` for the pins of ``files``, and what it remembers of its set-up.

    ``stamps``, one for each number of files, say what was installed; ``unfinished`` is there while a set-up runs, and
    after one that was cut off.
    """

    def __init__(self, folder: Path, files: list[Path], torch: str | None):
        self.folder, self.files, self.given_torch = folder, files, torch
        self.python = folder / "bin" / "python"
        self.stamps = [folder / f".setup-stamp-{count + 1}" for count in range(len(files))]
        self.unfinished, self.torch_choice = folder / ".setup-unfinished", folder / ".setup-torch"
        lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
        self.pins = {line.partition("==")[0]: line for line in lines if line and not line.startswith("#")}
        remembered = self.torch_choice.read_text(encoding="utf-8").strip() if self.torch_choice.is_file() else None
        self.torch = torch or remembered or self.pins[TORCH]

    def digest(self, files: list[Path]) -> str:
        """SHA-256 of all that the environment depends on."""
        version = subprocess.check_output([self.python, "-P", "-c", "import sys; print(sys.version)"])
        content = [file.read_bytes() for file in (ROOT / "pyproject.toml", *files)]
        return hashlib.sha256(b"".join(content) + f"{self.torch}\n".encode() + version).hexdigest()

    def is_up_to_date(self) -> bool:
        return (not self.unfinished.exists() and os.access(self.python, os.X_OK) and self.stamps[-1].is_file()
                and self.stamps[-1].read_text(encoding="utf-8").startswith(self.digest(self.files)))

    def check_folder(self) -> None:
        """Only what was made here is ever cleared. Raises UserError for a folder of other things."""
        ours = (self.folder / "pyvenv.cfg").exists() or self.unfinished.exists()
        if not ours and (self.folder.is_file() or self.folder.is_dir() and any(self.folder.iterdir())):
            raise UserError(f"VENV={self.folder} holds other things: name a new folder")

    def make(self) -> None:
        """Anew after an installation that was cut off, which may hold half a package that pip takes for a whole one."""
        command = [sys.executable, "-P", "-m", "venv"]
        if self.unfinished.exists():
            log(f"the last set-up of {self.folder} was cut off: starting again from nothing")
            call([*command, "--clear", self.folder])
        elif not os.access(self.python, os.X_OK):
            self.folder.mkdir(parents=True, exist_ok=True)
            self.unfinished.touch()
            log(f"making {self.folder} with {sys.executable}")
            call([*command, self.folder])
        self.unfinished.touch()
        for stamp in self.folder.glob(".setup-stamp-*"):
            stamp.unlink()

    def install(self) -> None:
        """Everything but torch is installed without resolving: the list is closed. Torch resolves, under the pins, to
        bring the needs of its own platform. Without build isolation, what is compiled uses the tools and the torch that
        are here."""

        def pip_install(what: str, *arguments: str | Path) -> None:
            log(f"installing {what}")
            call([self.python, "-P", "-m", "pip", "install", "-qq", "--disable-pip-version-check", *arguments])

        unresolved = ("--no-deps", "--no-build-isolation")
        constraints = self.folder / ".setup-constraints"
        pins = [f"{pin}\n" for name, pin in self.pins.items() if name != TORCH]
        constraints.write_text("".join(pins), encoding="utf-8")
        pip_install("the build tools", *(self.pins[name] for name in BUILD_TOOLS))
        pip_install("the packages", *unresolved,
                    *(pin for name, pin in self.pins.items() if name not in (TORCH, FAIRSEQ)))
        pip_install(self.torch, "--constraint", constraints, *self.torch.split())
        pip_install("fairseq (compiles for about 2 minutes)", *unresolved, self.pins[FAIRSEQ])
        pip_install("this project", *unresolved, "--editable", ROOT)

    def check_imports(self) -> None:
        """Raises UserError with Python's last line."""
        modules = MODULES + ["transformers"] * (len(self.files) > 1)
        ended = subprocess.run([self.python, "-P", "-c", f"import {', '.join(modules)}"], cwd=self.folder,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace")
        if ended.returncode:
            last = (ended.stdout.splitlines() or ["without a word"])[-1]
            raise UserError(f"the environment in {self.folder} does not import: {last}")

    def finish(self) -> None:
        if self.given_torch:
            self.torch_choice.write_text(f"{self.torch}\n", encoding="utf-8")
        for count, stamp in enumerate(self.stamps, 1):
            stamp.write_text(self.digest(self.files[:count]) + "\n", encoding="utf-8")
        self.unfinished.unlink()
        log(f"ready: {self.folder}")


def call(command: list[str | Path]) -> None:
    """A child that holds the lock too, should it outlive this process. Raises UserError where it fails."""
    if status := subprocess.run(command, close_fds=False).returncode:
        raise UserError(f"{' '.join(map(str, command[3:5]))} ended with status {status}, see above")


def check_machine(compiler: str) -> None:
    """Raises UserError where this Python cannot make environments, or nothing can be compiled."""
    if not importlib.util.find_spec("ensurepip"):
        raise UserError(f"{sys.executable} cannot make environments: install its venv module (python3.11-venv)")
    try:
        command = [compiler, "-std=c++17", "-fsyntax-only", "-x", "c++", "-"]
        compiles = not subprocess.run(command, input=b"#include <optional>\n", stderr=subprocess.DEVNULL).returncode
    except OSError:
        compiles = False
    if not compiles:
        raise UserError(f"fairseq is compiled here, and '{compiler}' does not take C++17: install g++ 9 or newer, or "
                        "name a compiler in CXX")
    include = sysconfig.get_path("include")
    if not Path(include, "Python.h").is_file():
        raise UserError(f"no Python.h in {include}: install the headers of Python 3.11 (python3.11-dev)")


def set_up(folder: Path, files: list[Path]) -> None:
    """Does nothing where the environment is up to date, and waits while another set-up runs."""
    with open(REQUIREMENTS, encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.set_inheritable(lock.fileno(), True)
        environment = Environment(folder, files, os.environ.get("TORCH_SPEC"))
        if environment.is_up_to_date():
            return
        os.environ["CXX"] = os.environ.get("CXX") or "g++"
        os.environ.pop("CUDA_HOME", None)  # where it is set, fairseq compiles CUDA extensions, which nothing here uses
        check_machine(os.environ["CXX"])
        environment.check_folder()
        environment.make()
        environment.install()
        environment.check_imports()
        environment.finish()


def main() -> None:
    folder, *flags = sys.argv[1:]
    try:
        set_up(Path(folder), [REQUIREMENTS, *([BENCHMARK] if "--benchmark" in flags else [])])
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}: name another folder in VENV") from error


if __name__ == "__main__":
    run(main)
