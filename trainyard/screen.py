"""A job's losses on the terminal while it trains: a progress bar for people, plain lines for files and pipes."""

from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from trainyard.answers import History, Job
from trainyard.client import Client

LINES = 20
"""Printed where there is no terminal, for a whole job."""


class _Loss(ProgressColumn):
    """A loss of fixed width, so that the bar keeps its place."""

    def __init__(self, label: str, field: str) -> None:
        self._label = label
        self._field = field
        super().__init__()

    def render(self, task: Task) -> Text:
        """See rich."""
        return Text(f"{self._label} {shown(task.fields[self._field]):>8}")


def shown(loss: float | None) -> str:
    """A loss for people."""
    return "–" if loss is None else f"{loss:.4f}" if abs(loss) < 1e4 else f"{loss:.2e}"


def follow_on_screen(client: Client, job: Job, *, console: Console, pages: Iterator[History] | None = None) -> Job:
    """Show every epoch until the job is over; the finished job. The `pages` are those that the client follows."""
    epochs = job["progress"]["epochs"]
    show = _bar if console.is_terminal else _lines
    show(pages or client.follow(job["id"]), epochs, console=console)
    return client.job(job["id"])


def _bar(pages: Iterator[History], epochs: int, *, console: Console) -> None:
    columns = (
        TextColumn("Epoch {task.completed:.0f}/{task.total:.0f}"),
        BarColumn(bar_width=None),
        _Loss("train", "train"),
        _Loss("val", "val"),
        TimeRemainingColumn(compact=True),
        TextColumn("left"),
    )
    with Progress(*columns, console=console, expand=True) as progress:
        bar = progress.add_task("", total=epochs, train=None, val=None)
        for page in pages:
            progress.update(bar, completed=page["epoch"][-1], train=page["train_loss"][-1], val=page["val_loss"][-1])


def _lines(pages: Iterator[History], epochs: int, *, console: Console) -> None:
    step = max(1, epochs // LINES)
    for page in pages:
        for epoch, train, val in zip(page["epoch"], page["train_loss"], page["val_loss"], strict=True):
            if epoch % step == 0 or epoch == epochs:
                console.print(
                    f"Epoch [{epoch}/{epochs}], Loss: {shown(train)}, Val loss: {shown(val)}", markup=False, highlight=False
                )
