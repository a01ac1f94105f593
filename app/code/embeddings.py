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


def first_module(spec: ResolvedSpec) -> list[str]:
    """What stands before the layers: nothing, or the tables."""
    tables = [f"nn.Embedding({table.levels + 1}, {table.width}, padding_idx=0)" for table in spec.embeddings]
    return ["\n    ".join(wrapped("Embedded(", tables, ")"))] if tables else []


def vectors(spec: ResolvedSpec) -> list[str]:
    """Each table's vectors from a stream of its own, as torch draws them."""
    if not spec.embeddings:
        return []
    return [
        "for index, table in enumerate(net[0].tables):",
        "    nn.init.normal_(table.weight[1:], generator=generator(WEIGHTS, -1, index))",
    ]
