"""Examples of what is answered, for the reference: Iris by hand, as it comes out."""

from typing import Any

from pydantic import ConfigDict

Shown = dict[str, Any]

_TAIL = "0192f0c1d3a87e3b9f2a6c5d4e3f2a1b"
IDS = {
    "dataset_id": f"ds_{_TAIL}",
    "job_id": f"job_{_TAIL}",
    "sweep_id": f"swp_{_TAIL}",
    "checkpoint_id": f"ckpt_{_TAIL}",
    "key_id": f"key_{_TAIL}",
    "batch_id": f"bp_{_TAIL}",
}
"""An id for each parameter of a path."""
_MADE, _STARTED, _ENDED = (f"2026-11-23T03:22:{second}Z" for second in ("00.123", "00.164", "01.780"))
_SHA256 = "94d183e3baac9b85d51d00868aee997871819cee3fb6732278d5f146e61cdc60"


def shown(*examples: Shown) -> ConfigDict:
    """A model's configuration that shows what it looks like."""
    return ConfigDict(json_schema_extra={"examples": list(examples)})


def _column(name: str, **facts: object) -> Shown:
    nothing = {"integral": False, "levels": None, "counts": None, "infinite": 0, "minimum": None, "maximum": None}
    return {"name": name, "kind": "numeric", "type": "float64", "missing": 0, **nothing, **facts}


DATASET: Shown = {
    "id": IDS["dataset_id"],
    "object": "dataset",
    "name": "iris",
    "rows": 150,
    "bytes": 858,
    "sha256": _SHA256,
    "created_at": _MADE,
}
DESCRIBED_DATASET: Shown = {
    **DATASET,
    "columns": [
        _column("sepal_length", distinct=35, minimum=4.3, maximum=7.9),
        _column(
            "species",
            kind="categorical",
            type="string",
            distinct=3,
            levels=["setosa", "versicolor", "virginica"],
            counts=[50, 50, 50],
        ),
    ],
}
ROW: Shown = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2, "species": "setosa"}
ROWS: Shown = {"object": "list", "data": [ROW], "has_more": True, "next": "1"}
COLUMNS: Shown = {
    "object": "columns",
    "dataset": IDS["dataset_id"],
    "data": [
        {
            "name": "sepal_length",
            "missing": 0,
            "kind": "numeric",
            "min": 4.3,
            "max": 7.9,
            "mean": 5.843,
            "std": 0.828,
            "quantiles": {"0.05": 4.6, "0.25": 5.1, "0.5": 5.8, "0.75": 6.4, "0.95": 7.255},
        },
        {
            "name": "species",
            "missing": 0,
            "kind": "categorical",
            "cardinality": 3,
            "top": [{"value": "setosa", "count": 50}, {"value": "versicolor", "count": 50}],
        },
    ],
}
SPEC: Shown = {
    "name": "iris by hand",
    "dataset": IDS["dataset_id"],
    "target": "species",
    "network": {"hidden_layers": [10]},
    "loss": {"name": "cross_entropy"},
    "optimizer": {"name": "sgd", "learning_rate": 0.01},
    "epochs": 20000,
    "batch_size": "full",
    "metadata": {"team": "a"},
}
RESOLVED_SPEC: Shown = {
    **SPEC,
    "features": ["sepal_length", "sepal_width", "petal_length", "petal_width"],
    "columns": {},
    "recipe": "plain",
    "optimize": None,
    "task": "multiclass",
    "preprocessing": {"numeric": "standard", "categorical": "one_hot", "missing": "mean", "target": "none"},
    "split": {"validation": 0.2, "test": 0.0, "method": "random", "stratify": True, "column": None},
    "validation_dataset": None,
    "test_dataset": None,
    "network": {
        "hidden_layers": [10],
        "activation": "relu",
        "dropout": 0.0,
        "normalization": "none",
        "initialization": "default",
    },
    "ensemble": None,
    "loss": {"name": "cross_entropy", "label_smoothing": 0.0},
    "optimizer": {
        "name": "sgd",
        "learning_rate": 0.01,
        "momentum": 0.0,
        "dampening": 0.0,
        "weight_decay": 0.0,
        "nesterov": False,
    },
    "lr_schedule": {"name": "constant", "warmup_epochs": 0},
    "regularization_schedule": "constant",
    "calibration": "none",
    "clip_predictions": False,
    "batch_size": 120,
    "early_stopping": None,
    "gradient_clip_norm": None,
    "class_weights": None,
    "sample_weight": None,
    "max_seconds": None,
    "checkpoints": {"every": None, "keep": 3},
    "record_every": 1,
    "seed": 42,
    "device": "auto",
    "precision": "fp32",
    "pack": True,
    "priority": 0,
    "classes": ["setosa", "versicolor", "virginica"],
    "train_rows": 120,
    "validation_rows": 30,
    "test_rows": 0,
    "layers": [4, 10, 3],
    "embeddings": [],
    "parameters": 83,
    "streaming": False,
    "window": None,
}
_LOSSES: Shown = {
    "epoch": 20000,
    "train_loss": 0.0482,
    "val_loss": 0.0731,
    "metrics": {"val_accuracy": 0.967, "val_f1": 0.967, "val_log_loss": 0.0731},
}
_REPRODUCIBILITY: Shown = {"dataset_sha256": _SHA256, "seed": 42, "device": "cpu", "threads": 1, "torch": "2.13.0+cpu"}
JOB: Shown = {
    "id": IDS["job_id"],
    "object": "job",
    "name": "iris by hand",
    "status": "succeeded",
    "terminal": True,
    "stop_reason": "max_epochs",
    "dataset": IDS["dataset_id"],
    "sweep": None,
    "start": None,
    "spec": SPEC,
    "resolved_spec": RESOLVED_SPEC,
    "warnings": [],
    "attempt": 1,
    "progress": {"epoch": 20000, "epochs": 20000, "fraction": 1.0, "epochs_per_second": 16437.4, "eta_seconds": None},
    "queue_position": None,
    "queued_reason": None,
    "latest": _LOSSES,
    "best": _LOSSES,
    "test": None,
    "error": None,
    "metadata": {"team": "a"},
    "reproducibility": _REPRODUCIBILITY,
    "created_at": _MADE,
    "started_at": _STARTED,
    "finished_at": _ENDED,
}
TRIAL: Shown = {
    **JOB,
    "sweep": IDS["sweep_id"],
    "parameters": {"optimizer.learning_rate": 0.00828},
    "value": 0.0731,
}
EVENT: Shown = {
    "id": f"evt_{_TAIL}",
    "object": "event",
    "sequence": 3,
    "type": "job.checkpoint",
    "data": {"checkpoint": IDS["checkpoint_id"], "epoch": 20000, "kinds": ["best", "last"]},
    "created_at": _ENDED,
}
CHECKPOINT: Shown = {
    "id": IDS["checkpoint_id"],
    "object": "checkpoint",
    "job": IDS["job_id"],
    "kinds": ["best", "last"],
    **_LOSSES,
    "files": [{"name": "model.onnx", "bytes": 1310, "sha256": _SHA256}],
    "created_at": _ENDED,
}
PLAN: Shown = {
    "object": "plan",
    "resolved_spec": RESOLVED_SPEC,
    "layers": [
        {"name": "hidden_1", "inputs": 4, "outputs": 10, "parameters": 50},
        {"name": "output", "inputs": 10, "outputs": 3, "parameters": 33},
    ],
    "parameters": 83,
    "steps_per_epoch": 1,
    "memory": {
        "device": "cpu",
        "data": 80160,
        "parameters": 6308,
        "optimizer": 830,
        "activations": 2716352,
        "total": 2803650,
        "budget": 17693557145,
        "host_total": None,
        "host_budget": None,
    },
    "duration": {
        "device": "cpu",
        "overhead_seconds": 0.15,
        "epoch_seconds": 0.000031,
        "total_seconds": 0.77,
        "measured_jobs": 3,
    },
    "columns": ["sepal_length", "sepal_width", "petal_length", "petal_width"],
    "column_count": 4,
    "warnings": [],
    "would_be_refused": [],
}
