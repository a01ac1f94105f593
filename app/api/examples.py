"""Examples for the reference."""

from fastapi.openapi.models import Example

_IRIS = {
    "name": "iris by hand",
    "dataset": "ds_0192f0c1d3a87e3b9f2a6c5d4e3f2a1b",
    "target": "species",
    "network": {"hidden_layers": [10], "activation": "relu"},
    "loss": {"name": "cross_entropy"},
    "optimizer": {"name": "sgd", "learning_rate": 0.01},
    "epochs": 20000,
    "batch_size": "full",
}
DATASET: dict[str, Example] = {
    "sample": {"summary": "A sample that the service has", "value": {"sample": "iris"}},
    "rows": {
        "summary": "Rows, and of which kind a column is",
        "value": {
            "name": "plants",
            "rows": [{"height": 5.1, "zip": 53111, "ripe": True}, {"height": None, "zip": 89073, "ripe": False}],
            "schema": {"columns": {"zip": "categorical"}},
        },
    },
    "columns": {"summary": "Columns", "value": {"columns": {"height": [5.1, 4.9], "ripe": [True, False]}}},
}
_CSV = "height,ripe\n5.1,true\n4.9,false\n"
UPLOADS = {"text/csv": {"example": _CSV}, "text/tab-separated-values": {"example": _CSV.replace(",", "\t")}}
UPLOADED = {"file": _CSV}
IRIS_BY_HAND: dict[str, Example] = {
    "textbook": {"summary": "The textbook network on Iris", "value": _IRIS},
    "labels": {
        "summary": "Several boolean columns: a multilabel classification",
        "value": {"dataset": _IRIS["dataset"], "target": ["ripe", "large"]},
    },
    "shortest": {"summary": "All defaults", "value": {"dataset": _IRIS["dataset"], "target": "species"}},
}
CLONE: dict[str, Example] = {
    "values": {
        "summary": "A value, and a whole block",
        "value": {"set": {"optimizer.learning_rate": 0.01, "early_stopping": None}},
    },
    "weights": {
        "summary": "From a checkpoint's weights, with new rows",
        "value": {
            "from_checkpoint": "ckpt_0192f0c1d3a87e3b9f2a6c5d4e3f2a1b",
            "set": {"dataset": "ds_0192f0c1d3a87e3b9f2a6c5d4e3f2a1c"},
        },
    },
    "longer": {
        "summary": "The same training for longer",
        "value": {"from_checkpoint": "ckpt_0192f0c1d3a87e3b9f2a6c5d4e3f2a1b", "continue": True, "set": {"epochs": 40000}},
    },
    "again": {"summary": "The same once more", "value": {}},
}
SWEEP: dict[str, Example] = {
    "random": {
        "summary": "Twenty draws, four at once",
        "value": {
            "spec": {"dataset": _IRIS["dataset"], "target": "species"},
            "search": {
                "optimizer.learning_rate": {"log_uniform": [1e-4, 0.1]},
                "network.hidden_layers": {"choice": [[32], [64, 64]]},
            },
            "trials": 20,
            "parallel": 4,
        },
    },
    "grid": {
        "summary": "Every combination, each with eight seeds",
        "value": {
            "spec": {"dataset": _IRIS["dataset"], "target": "species"},
            "method": "grid",
            "search": {"network.activation": {"choice": ["relu", "tanh"]}, "seed": {"range": [0, 8]}},
            "metric": "val_accuracy",
        },
    },
}
PREDICT: dict[str, Example] = {
    "objects": {
        "summary": "Rows as objects",
        "value": {"rows": [{"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}]},
    },
    "lists": {"summary": "Rows as lists, in the order of the features", "value": {"rows": [[5.1, 3.5, 1.4, 0.2]]}},
    "columns": {
        "summary": "Columns",
        "value": {"columns": {"sepal_length": [5.1], "sepal_width": [3.5], "petal_length": [1.4], "petal_width": [0.2]}},
    },
}
EVALUATE: dict[str, Example] = {
    "dataset": {"summary": "A dataset with the job's columns", "value": {"dataset": _IRIS["dataset"]}},
}
BATCH: dict[str, Example] = {
    "job": {
        "summary": "With a job's best checkpoint, as Parquet",
        "value": {"job": "job_0192f0c1d3a87e3b9f2a6c5d4e3f2a1b", "dataset": _IRIS["dataset"]},
    },
    "model": {
        "summary": "With a model, as CSV",
        "value": {"model": "iris", "version": "default", "dataset": _IRIS["dataset"], "format": "csv"},
    },
}
ROWS_AS_CSV = "sepal_length,sepal_width,petal_length,petal_width\n5.1,3.5,1.4,0.2\n"
KEY: dict[str, Example] = {
    "team": {"summary": "A team's own project", "value": {"name": "nightly runs", "project": "team-a"}},
    "reader": {
        "summary": "Reads and predicts until the end of the year",
        "value": {"name": "dashboard", "scopes": ["read"], "expires_at": "2030-01-01T00:00:00Z"},
    },
}
MODEL: dict[str, Example] = {
    "shortest": {"summary": "A name", "value": {"name": "iris"}},
    "described": {
        "summary": "A name that says what it is for",
        "value": {"name": "churn", "description": "Who will leave within a month", "metadata": {"team": "a"}},
    },
}
VERSION: dict[str, Example] = {
    "checkpoint": {"summary": "A checkpoint", "value": {"checkpoint": "ckpt_0192f0c1d3a87e3b9f2a6c5d4e3f2a1b"}},
    "described": {
        "summary": "A checkpoint, and why",
        "value": {"checkpoint": "ckpt_0192f0c1d3a87e3b9f2a6c5d4e3f2a1b", "description": "With the rows of October"},
    },
}
MOVE: dict[str, Example] = {"move": {"summary": "To version 2", "value": {"version": 2}}}
