"""How the commands draw: one style, into an SVG or PNG file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rag.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INSTALL = "pip install 'thrifty-rag[evaluate]'"
ENDINGS = (".svg", ".png")
PIXELS_PER_INCH = 150
INK, SPENT, SAVED, MUTED, LINE = "#1d2733", "#c8553d", "#1f6f8b", "#66727f", "#dde3e8"
_STYLE: dict[str, object] = {
    "svg.hashsalt": "thrifty-rag",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
}


def check_plot(file: Path) -> None:
    """Raises InputError for a file of another kind, MissingExtraError without matplotlib."""
    if file.suffix.lower() not in ENDINGS:
        raise InputError(f"--plot is {str(file)!r}: give a file that ends in .svg or .png")
    if find_spec("matplotlib") is None:
        raise MissingExtraError("matplotlib, which draws the plot,", INSTALL)


@contextmanager
def drawn_into(file: Path, width: float, height: float) -> Iterator[Figure]:
    """An empty figure of so many inches; at the end it is in the file.

    Raises InputError where the file cannot be written.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    ending = file.suffix.lower().removeprefix(".")
    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        metadata = {"Date": None} if ending == "svg" else None
        try:
            figure.savefig(file, format=ending, dpi=PIXELS_PER_INCH, metadata=metadata)
        except OSError as error:
            raise InputError(
                f"{file} cannot be written ({error.strerror}): give another with --plot"
            ) from None
