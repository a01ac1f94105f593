"""The loss curve as a picture."""

import logging
import math
from pathlib import Path
from typing import TYPE_CHECKING

from trainyard.answers import History, Losses

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, TRAIN, VALIDATION = "#333333", "#4477aa", "#cc6677"


def draw(history: History, best: Losses | None, *, title: str, path: Path) -> Path:
    """Write a PNG with the training and validation loss by epoch, on a logarithmic scale where all losses are above zero."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it announces its first look at the fonts
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for label, cells, colour in (("train", history["train_loss"], TRAIN), ("validation", history["val_loss"], VALIDATION)):
        if any(cell is not None for cell in cells):
            axes.plot(
                history["epoch"], [math.nan if cell is None else cell for cell in cells], label=label, color=colour, lw=1.6
            )
    marked = best and (best["val_loss"] if best["val_loss"] is not None else best["train_loss"])
    if best and marked is not None:
        axes.plot([best["epoch"]], [marked], "o", color=INK, label=f"best: epoch {best['epoch']:,}, loss {marked:.4f}")
    _dress(
        axes, title, logarithmic=all(cell > 0 for cell in (*history["train_loss"], *history["val_loss"]) if cell is not None)
    )
    figure.savefig(path)
    return path


def _plot(axes: "Axes", history: History) -> None:
    for label, cells, colour in (("train", history["train_loss"], TRAIN), ("validation", history["val_loss"], VALIDATION)):
        if any(cell is not None for cell in cells):
            axes.plot(
                history["epoch"], [math.nan if cell is None else cell for cell in cells], label=label, color=colour, lw=1.6
            )


def _mark(axes: "Axes", best: Losses) -> None:
    loss = best["val_loss"] if best["val_loss"] is not None else best["train_loss"]
    if loss is not None:
        axes.plot([best["epoch"]], [loss], "o", color=INK, label=f"best: epoch {best['epoch']:,}, loss {loss:.4f}")


def _dress(axes: "Axes", title: str, *, logarithmic: bool) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    if logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_title(title, loc="left")
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    axes.grid(alpha=0.2)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.legend(frameon=False)
