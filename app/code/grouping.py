"""The lines of a split by whole groups of rows."""

from app.code.cells import value_of
from app.code.own_rows import count_of, draw, own_of, sizes_of_own
from app.domain.schema import Column
from app.domain.sizes import held_out
from app.domain.spec import ResolvedSpec

_TAKE = '''
def take(wanted, later):
    """Rows of groups that still fit into so many, then of the smallest if that comes nearer."""
    taken, left, most = set(), wanted, len(groups) - later  # each later part needs a group
    for group in groups:
        if sizes[group] <= left and len(taken) < most:
            taken.add(group)
            left -= sizes[group]
    smallest = min((group for group in groups if group not in taken), key=sizes.get)
    if not taken or (len(taken) < most and sizes[smallest] - left < left):
        taken.add(smallest)
    groups[:] = [group for group in groups if group not in taken]
    return np.array([i for i, cell in enumerate(cells) if cell in taken])
'''.strip().split("\n")


def grouped(spec: ResolvedSpec, column: Column) -> list[list[str]]:
    """`train` and `validation`, with the function that holds out groups."""
    parts = _held_out(spec)
    taken = next(iter(parts)) if len(parts) == 1 else f"np.concatenate([{', '.join(parts)}])"
    return [
        [
            "# Rows of one group stay together; the groups are dealt in an order that is drawn.",
            f"cells = [{value_of(column)} for row in {own_of(spec, 'rows')}]",
            "sizes = collections.Counter(cells)",
            f"drawn = {draw('len(sizes)')}",
            "groups = [group for _, group in sorted(zip(drawn, sorted(sizes)))]",
        ],
        _TAKE,
        [
            *(f"{part} = take({rows}, later={len(parts) - i})" for i, (part, rows) in enumerate(parts.items())),
            f"train = np.setdiff1d(np.arange({count_of(spec)}), {taken})",
        ],
    ]


def _held_out(spec: ResolvedSpec) -> dict[str, int]:
    """The parts that take groups, and about how many rows."""
    sizes = sizes_of_own(spec)
    validation, test = held_out(spec.split, sizes.train + sizes.validation + sizes.test)
    return {part: rows for part, rows in (("validation", validation), ("test", test)) if rows}
