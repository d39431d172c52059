"""Pictures on disk, whole or not at all."""

import io
from pathlib import Path

from matplotlib.figure import Figure

from limitlaw.core.errors import InvalidInput
from limitlaw.studies.files import require_target, write_atomically

FORMATS = (".png", ".pdf", ".svg", ".eps", ".jpg")


def require_picture(owner: str, path: Path) -> None:
    """Check that a picture can be written at a path, before any work is done for it.

    Raises:
        InvalidInput: the ending names no format of pictures.
        StoreError: the folder cannot be written, or something else than a file is there.
    """
    if path.suffix.lower() not in FORMATS:
        raise InvalidInput(owner, "output", f"a file ending in {', '.join(FORMATS)}", repr(str(path)))
    require_target(path)


def save_picture(figure: Figure, path: Path) -> None:
    """Draw a figure in memory, then write it atomically.

    Raises:
        StoreError: the file cannot be written.
    """
    picture = io.BytesIO()
    figure.savefig(picture, format=path.suffix[1:].lower(), bbox_inches="tight")
    write_atomically(path, lambda file: file.write(picture.getbuffer()))
