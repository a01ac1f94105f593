"""The lines of fixed features of numbers, which stand behind all other inputs but codes: bins of a value, or waves of it."""

from collections.abc import Mapping, Sequence

from app.code.columns import may_vanish
from app.code.texts import literal
from app.domain.schema import Column
from app.domain.spec import Periodic, PiecewiseLinear, ResolvedSpec

_WAVES = '''
def waves(name):
    """cos(2 pi f z + b) of the scaled number z: [rows, {count}]; frequencies f and phases b are drawn from the seed."""
    seeds = np.random.SeedSequence([SEED, {numbers}.index(name), 0xF0A5])
    size, turn, phase = (np.random.Philox(seeds).random_raw((3, {count})) >> np.uint64(11)) / 2.0**53
    f = {sigma} * np.sqrt(-2 * np.log1p(-size)) * np.cos(2 * np.pi * turn)  # normal, after Box and Muller
    return np.cos(2 * np.pi * np.outer(number(name), f) + (2 * phase - 1) * np.pi)
'''.strip().split("\n")

_BINS = '''
def bins(name):
    """How far the scaled number z has come in each bin between quantiles of the training rows: [rows, {count}]."""
    z = number(name)
    seen = {seen}
    knots = np.quantile({some}, np.linspace(0, 1, {ends}))
    widths = np.diff(knots)
    slopes = np.divide(1, widths, out=np.zeros({count}), where=widths > 0)
    return ((z[:, None] - knots[:-1]) * slopes).clip(0, 1)
'''.strip().split("\n")


def features(spec: ResolvedSpec, columns: Mapping[str, Column]) -> list[str]:
    """`waves(name)` or `bins(name)`, where columns have such features."""
    match spec.network.numeric_features:
        case Periodic(frequencies=count, sigma=sigma) if spec.numeric_feature_columns:
            words = {"count": str(count), "sigma": literal(sigma), "numbers": names(spec)}
            return [line.format(**words) for line in _WAVES]
        case PiecewiseLinear(bins=count) if spec.numeric_feature_columns:
            featured = [columns[name] for name in spec.numeric_feature_columns]
            words = {"count": str(count), "ends": str(count + 1), **_seen(spec, featured)}
            return [line.format(**words) for line in _BINS]
    return []


def names(spec: ResolvedSpec) -> str:
    """The variable with the names of the columns that have them."""
    return "features" if spec.numeric_feature_columns == spec.features else "numbers"


def calls(spec: ResolvedSpec) -> list[str]:
    """What stands for them among the blocks of x."""
    kind = spec.network.numeric_features
    if kind is None or not spec.numeric_feature_columns:
        return []
    return [f"*map({'waves' if isinstance(kind, Periodic) else 'bins'}, {names(spec)})"]


def need_exact_numbers(spec: ResolvedSpec) -> bool:
    """True where a rounding of the scaled numbers may decide whether a bin has a width."""
    return isinstance(spec.network.numeric_features, PiecewiseLinear)


def _seen(spec: ResolvedSpec, featured: Sequence[Column]) -> dict[str, str]:
    """What bins come from: the training values that are not missing; where there are none, 0."""
    missing = any(column.missing for column in featured)
    vanishing = any(may_vanish(spec, column) for column in featured)
    return {
        "seen": "z[[i for i in train if rows[i][name]]]" if missing else "z[train]",
        "some": "seen if len(seen) else [0.0]" if vanishing else "seen",
    }
