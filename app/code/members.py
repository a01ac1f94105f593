"""The lines of an ensemble's members: what each has of its own, and what they predict together."""

from app.code.network import network
from app.code.randomness import drawn
from app.code.texts import indented
from app.code.training import has_scheduler, makes_later, optimizer, schedule
from app.domain.output import output_activation
from app.domain.spec import ResolvedSpec

_POOLED = {
    "softmax": ("probabilities", "return z.log_softmax(-1).logsumexp(0)"),
    "sigmoid": (
        "probabilities",
        "return nn.functional.logsigmoid(z).logsumexp(0) - nn.functional.logsigmoid(-z).logsumexp(0)",
    ),
    "exp": ("rates", "return z.logsumexp(0) - math.log(len(z))"),
    "identity": ("numbers", "return z.mean(0)"),
}


def members(spec: ResolvedSpec) -> list[list[str]]:
    """`member(seed)` and `members`; of a plain job its one network, with its optimizer and schedule."""
    own = [*optimizer(spec), *schedule(spec)]
    if spec.ensemble is None:
        return [network(spec), own]
    seed = drawn(spec, "MEMBER, index", seed="SEED")
    return [
        [
            "def member(seed):",
            '    """A network with its first weights, its optimizer and its schedule."""',
            *indented([*network(spec), "", *own, f"return {', '.join(parts(spec))}"]),
        ],
        [f"members = [member({seed}.initial_seed()) for index in range({spec.ensemble.members})]"],
    ]


def parts(spec: ResolvedSpec) -> list[str]:
    """What each member has."""
    return ["net", "optimizer", *(["scheduler"] if has_scheduler(spec) and not makes_later(spec) else [])]


def pooled(spec: ResolvedSpec) -> list[str]:
    """`pooled(z)`, where all members predict the same rows."""
    if spec.ensemble is None or spec.has_folds or not spec.validation_rows:
        return []
    what, value = _POOLED[output_activation(spec)]
    about = f'    """What stands for the mean of the {what} that all members predict, from their z [members, n, outputs]."""'
    return ["def pooled(z):", about, f"    {value}"]
