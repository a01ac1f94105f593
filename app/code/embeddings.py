"""The lines of embedded columns in the network: their module, its tables, and the tables' first vectors."""

from app.code.texts import wrapped
from app.domain.spec import ResolvedSpec

_MODULE = '''
class Embedded(nn.Module):
    """Behind all other inputs a vector for each code in the last columns; that of code 0 stays zeros."""

    def __init__(self, *tables):
        super().__init__()
        self.tables = nn.ModuleList(tables)

    def forward(self, x):
        others, codes = x[:, : -len(self.tables)], x[:, -len(self.tables) :].long()
        return torch.cat([others, *(table(column) for table, column in zip(self.tables, codes.T))], 1)
'''.strip().split("\n")


def embedded(spec: ResolvedSpec) -> list[str]:
    """The Embedded module, where the network has one."""
    return _MODULE if spec.embeddings else []


def tables_of(spec: ResolvedSpec) -> str:
    """The call that makes the module with all tables."""
    tables = [f"nn.Embedding({table.levels + 1}, {table.width}, padding_idx=0)" for table in spec.embeddings]
    return "\n    ".join(wrapped("Embedded(", tables, ")"))


def vectors(spec: ResolvedSpec, *, place: int) -> list[str]:
    """Each table's vectors from a stream of its own, as torch draws them; `place`: where in the network the tables are."""
    if not spec.embeddings:
        return []
    return [
        f"for index, table in enumerate(net[{place}].tables):",
        "    nn.init.normal_(table.weight[1:], generator=generator(WEIGHTS, -1, index))",
    ]
