"""Files of safetensors with the mode of other files."""

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from .errors import UserError


def save_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    """``save_file`` gives its file the mode 0600; here it has that of any new file, which the umask decides.

    Raises UserError for a path that is no UTF-8, from which no file of safetensors can be read.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{path}: is no UTF-8, which paths of safetensors have to be: choose another place") from error
    path.touch()
    mode = path.stat().st_mode
    save_file(dict(tensors), path, metadata=dict(metadata))
    path.chmod(mode)
