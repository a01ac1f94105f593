"""The lines of the order in which an epoch takes the training rows."""

from app.code.randomness import drawn
from app.domain.spec import ResolvedSpec


def is_shuffled(spec: ResolvedSpec) -> bool:
    """True where an epoch has several batches; a single one takes the rows as they stand."""
    return spec.batch_size < spec.train_rows


def uses(spec: ResolvedSpec) -> dict[str, int]:
    """The names and numbers of what is drawn for it."""
    if not is_shuffled(spec):
        return {}
    return {"BLOCKS": 4, "WINDOW": 5} if spec.window else {"ORDER": 2}


def order(spec: ResolvedSpec) -> str:
    """The order of an epoch."""
    generator = drawn(spec, "ORDER, epoch", seed="SEED")
    return "order_of(epoch)" if spec.window else f"torch.randperm({spec.train_rows}, generator={generator})"


def windows(spec: ResolvedSpec) -> list[str]:
    """`order_of(epoch)`, where the job streamed its rows."""
    if spec.window is None or not is_shuffled(spec):
        return []
    size = spec.window.blocks
    return [
        "def order_of(epoch):",
        '    """Blocks of rows as they were read, and in each window of blocks the rows as they were shuffled."""',
        f"    blocks = torch.arange({spec.train_rows}).split({spec.window.block_rows})",
        "    read = [blocks[i] for i in torch.randperm(len(blocks), generator=generator(BLOCKS, epoch))]",
        f"    windows = [torch.cat(read[i : i + {size}]) for i in range(0, len(read), {size})]",
        "    shuffles = (generator(WINDOW, epoch, i) for i in range(len(windows)))",
        "    return torch.cat([rows[torch.randperm(len(rows), generator=g)] for rows, g in zip(windows, shuffles)])",
    ]
