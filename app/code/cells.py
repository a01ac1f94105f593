"""Cells of a dataset as they stand in its CSV, and as a script reads them."""

from app.code.texts import literal
from app.domain.schema import Column, Level, StorageType, level_text

_READINGS = {
    StorageType.INT64: "int({})",
    StorageType.FLOAT64: "float({})",
    StorageType.DATETIME: 'np.datetime64({}.rstrip("Z"), "us")',
}


def cell_text(level: Level, column: Column) -> str:
    """A level as CSV has it."""
    return repr(float(level)) if column.type is StorageType.FLOAT64 else level_text(level)


def value_of(column: Column) -> str:
    """A row's cell as a value that sorts as the stored ones do; a missing one stands before all others."""
    cell = f"row[{literal(column.name)}]"
    if column.type not in _READINGS:
        return cell
    if not column.missing:
        return _READINGS[column.type].format(cell)
    filled = f'{cell} or "0"' if column.type is not StorageType.DATETIME else f'({cell} or "0")'
    return f'({cell} != "", {_READINGS[column.type].format(filled)})'
