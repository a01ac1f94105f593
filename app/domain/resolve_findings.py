"""What resolving a spec brings to light: faults that refuse the job, warnings that go with it."""

from dataclasses import dataclass, field
from typing import Final

from app.domain.errors import Fault, Invalid, NotSupported, pointer
from app.domain.fault_codes import FaultCode

NOT_SUPPORTED: Final = "not_supported"


@dataclass
class Findings:
    """Collects, so that all faults are answered at once."""

    faults: list[Fault] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def fault(self, *place: str | int, detail: str, code: FaultCode = "invalid") -> None:
        """Notes a fault at a place in the spec, given as member names and positions."""
        self.faults.append(Fault(pointer(*place), code, detail))

    def unsupported(self, *place: str | int, what: str) -> None:
        """Notes that this version lacks something that the contract names."""
        self.fault(*place, detail=f"{what} is not supported yet.", code=NOT_SUPPORTED)

    def warn(self, sentence: str) -> None:
        """Notes what the author should know."""
        self.warnings.append(sentence)

    def raise_faults(self) -> None:
        """Raises what was noted, if anything.

        Raises NotSupported: every fault is a feature that is lacking.
        Raises Invalid: otherwise.
        """
        if not self.faults:
            return
        lacking = all(fault.code == NOT_SUPPORTED for fault in self.faults)
        raise NotSupported(self.faults) if lacking else Invalid(self.faults)
