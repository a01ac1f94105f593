"""What turns a network's last numbers into its answer."""

from typing import TYPE_CHECKING, Literal

from app.domain.custom import is_custom
from app.domain.kinds import Task

if TYPE_CHECKING:
    from app.domain.spec import ResolvedSpec


def output_activation(spec: "ResolvedSpec") -> Literal["softmax", "sigmoid", "identity", "exp"]:
    """The output activation; focal is softmax where several outputs are classes of one target.

    Of a custom loss it follows from the task alone.
    """
    loss, labels = spec.loss.name, spec.task is Task.MULTILABEL
    custom = is_custom(loss) and spec.task.is_classification
    if loss == "cross_entropy" or (not labels and (custom or (loss == "focal" and spec.layers[-1] > 1))):
        return "softmax"
    if custom or loss in ("bce", "focal"):
        return "sigmoid"
    return "exp" if loss == "poisson" else "identity"
