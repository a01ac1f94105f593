"""Packing: which queued jobs can train as one stack, and how many of them pay."""

import hashlib
import json

from app.domain.memory import most_fitting
from app.domain.spec import ResolvedSpec

# A stack in the processor's cache is up to nine times as quick as its members one by one, beyond it slower than they are:
# 16 networks of 64-64-64-10 gain half, 16 of 100-256-128-2 lose a fifth (docs/experiments.md).
_CELLS, _MOST, _FEWEST = 1 << 20, 64, 4
# A GPU is bound by the number of its kernels: hundreds of small networks take little longer than one.
_GPU_CELLS, _GPU_MOST = 1 << 28, 256


def pack_key(spec: ResolvedSpec, *, dataset_sha256: str) -> str | None:
    """Equal for jobs that can share a stack: everything that shapes its tensors, nothing that is a member's own.

    None where the job trains alone by its spec.
    """
    if not spec.pack or spec.streaming or spec.ensemble:
        return None
    network = spec.network.model_dump(
        include={"hidden_layers", "activation", "normalization", "numeric_features", "input_scaling"}
    )
    shapes = spec.model_dump(
        mode="json",
        include={
            "dataset", "target", "features", "columns", "task", "preprocessing", "split", "validation_dataset", "test_dataset",
            "sample_weight", "batch_size", "precision", "device", "layers", "embeddings",
            "train_rows", "validation_rows", "test_rows",
        },
    )  # fmt: skip
    schedules = [spec.lr_schedule.name, spec.regularization_schedule]
    kinds = [spec.loss.name, spec.optimizer.name, *schedules, spec.class_weights is not None]
    text = json.dumps([dataset_sha256, network, kinds, shapes], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def most_members(spec: ResolvedSpec, *, gpu: bool, memory: int | None = None, host: int | None = None) -> int:
    """How many members of this shape are worth training at once and fit into `memory` bytes; 1 where packing does not pay.

    With `gpu` these are the device's, and `host` those of the memory beside it. Each member has its own copy of the rows, for
    each has its own split.
    """
    training = 4 * spec.parameters + 2 * min(spec.batch_size, spec.train_rows) * sum(spec.layers[1:])
    cells, most = (_GPU_CELLS, _GPU_MOST) if gpu else (_CELLS, _MOST)
    paying = min(cells // training, most)
    fitting = most_fitting(spec, memory, most=paying, gpu=gpu, host=host)
    return fitting if fitting >= _FEWEST else 1
