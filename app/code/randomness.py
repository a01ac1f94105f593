"""The lines that draw random numbers as the engine does."""

from app.domain.spec import ResolvedSpec

_GENERATOR = '''
def generator(*place):
    """Random numbers for one use of the seed at one place: nothing else moves them (splitmix64)."""
    state = 0
    for word in (SEED, *place):
        state = ((state ^ word) + 0x9E3779B97F4A7C15) % 2**64
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        state = (state ^ state >> 27) * 0x94D049BB133111EB % 2**64
        state ^= state >> 31
    return torch.Generator().manual_seed(state >> 1)
'''.strip()


def generator(spec: ResolvedSpec) -> list[str]:
    """`generator(*place)`; of an ensemble `generator(seed, *place)`, for each network has a seed of its own."""
    text = _GENERATOR
    if spec.ensemble:
        text = text.replace("(*place)", "(seed, *place)").replace("(SEED, *place)", "(seed, *place)")
        text = text.replace("one use of the seed", "one use of a seed")
    return text.split("\n")


def drawn(spec: ResolvedSpec, place: str, *, seed: str = "seed") -> str:
    """The call for one use; `seed`: of an ensemble whose seed it is, by default that of the network."""
    return f"generator({seed}, {place})" if spec.ensemble else f"generator({place})"
