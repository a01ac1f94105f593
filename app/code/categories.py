"""The functions that turn categorical columns into inputs: one-hot, a sign, or codes for embeddings."""

from collections.abc import Sequence

from app.code.cells import cell_text
from app.code.columns import may_vanish
from app.code.texts import literal, wrapped
from app.domain.schema import Column
from app.domain.spec import ResolvedSpec


def functions(spec: ResolvedSpec, columns: Sequence[Column]) -> list[list[str]]:
    """Those that the columns need."""
    made = {"one_hot": _one_hot, "sign": _sign, "code": _code}
    return [make(spec, [column for column in columns if _function(spec, column) == name]) for name, make in made.items()]


def _function(spec: ResolvedSpec, column: Column) -> str:
    if column.name in {table.column for table in spec.embeddings}:
        return "code"
    return "sign" if spec.preprocessing.is_signed(len(column.levels or ())) else "one_hot"


def _one_hot(spec: ResolvedSpec, columns: Sequence[Column]) -> list[str]:
    """`one_hot(name, levels)` [rows, levels], where columns need it."""
    if not columns:
        return []
    filled = "for level in levels] for cell in cells])"
    return [
        "def one_hot(name, levels):",
        '    """0 or 1 for each level."""',
        *(
            [*_filled(spec, columns), f"    return np.array([[float((cell or common) == level) {filled}"]
            if _is_filled(spec, columns)
            else ["    return np.array([[float(row[name] == level) for level in levels] for row in rows])"]
        ),
    ]


def _sign(spec: ResolvedSpec, columns: Sequence[Column]) -> list[str]:
    """`sign(name, levels)` [rows], where columns need it."""
    if not columns:
        return []
    return [
        "def sign(name, levels):",
        '    """-1 for the first level, 1 for the second."""',
        "    signs = dict(zip(levels, (-1.0, 1.0)))",
        *(
            [*_filled(spec, columns), "    return np.array([signs.get(cell or common, 0.0) for cell in cells])"]
            if _is_filled(spec, columns)
            else ["    return np.array([signs.get(row[name], 0.0) for row in rows])"]
        ),
    ]


def _code(spec: ResolvedSpec, columns: Sequence[Column]) -> list[str]:
    """`code(name, levels)` [rows], where columns are embedded."""
    if not columns:
        return []
    return [
        "def code(name, levels):",
        '    """The place of each cell\'s level, from 1; 0 for a cell without one."""',
        "    places = {level: place for place, level in enumerate(levels, 1)}",
        *(
            [*_filled(spec, columns), "    return np.array([places.get(cell or common, 0) for cell in cells])"]
            if _is_filled(spec, columns)
            else ["    return np.array([places.get(row[name], 0) for row in rows])"]
        ),
    ]


def call(spec: ResolvedSpec, column: Column) -> str:
    """The call of its function, on several lines where the levels are many."""
    function = _function(spec, column)
    levels = (literal(cell_text(level, column)) for level in column.levels or ())
    return "\n    ".join(wrapped(f"{function}({literal(column.name)}, [", levels, "])"))


def _is_filled(spec: ResolvedSpec, columns: Sequence[Column]) -> bool:
    """True where the commonest level stands in for a missing cell."""
    return spec.preprocessing.missing == "most_frequent" and any(column.missing for column in columns)


def _filled(spec: ResolvedSpec, columns: Sequence[Column]) -> list[str]:
    """`common`, the commonest level of the training rows, None where they have none."""
    unseen = ["    common = common if any(cells[i] for i in train) else None  # wholly missing in training"]
    return [
        "    cells = [row[name] for row in rows]",
        "    common = max(levels, key=[cells[i] for i in train].count)",
        *(unseen if any(may_vanish(spec, column) for column in columns) else []),
    ]
