"""More examples of what is answered: histories, predictions, sweeps, keys, and how the service stands."""

from app.api.answer_examples import IDS, JOB, SPEC, Shown

HISTORY: Shown = {
    "object": "history",
    "job": IDS["job_id"],
    "epoch": [1, 2],
    "train_loss": [1.0465, 1.0445],
    "val_loss": [1.0307, 1.0288],
    "learning_rate": [0.01, 0.01],
    "seconds": [0.0008, 0.0009],
    "metrics": {"val_accuracy": [0.333, 0.4]},
    "total": 20000,
    "sampled": False,
    "next": 2,
    "has_more": True,
    "status": "running",
    "terminal": False,
}
HISTORY_CSV = """epoch,train_loss,val_loss,learning_rate,seconds,val_accuracy
1,1.0465,1.0307,0.01,0.0008,0.333
"""
HISTORY_LINES = (
    '{"epoch":1,"train_loss":1.0465,"val_loss":1.0307,"learning_rate":0.01,"seconds":0.0008,"metrics":{"val_accuracy":0.333}}\n'
)
STREAM = f"""event: epochs
data: {{"job":"{IDS["job_id"]}","epoch":[1],"train_loss":[1.0465],"val_loss":[1.0307],"metrics":{{"val_accuracy":[0.333]}}}}
id: 1.2

event: done
data: {{"job":"{IDS["job_id"]}","status":"succeeded","terminal":true,"stop_reason":"max_epochs"}}
id: 20000.5

"""
STREAM_LINES = "Epoch [100/20000], Loss: 0.8576, Val loss: 0.8512\n"
ROWS_CSV = "sepal_length,sepal_width,petal_length,petal_width,species\n5.1,3.5,1.4,0.2,setosa\n"
SCRIPT = "import torch\nfrom torch import nn\n\nnet = nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Linear(10, 3))\n"
MANIFEST: Shown = {"format": 1, "epoch": 20000, "output": "softmax", "target": {"name": "species", "type": "string"}}
PREDICTION: Shown = {
    "object": "prediction",
    "checkpoint": IDS["checkpoint_id"],
    "predictions": ["setosa", "virginica"],
    "probabilities": [[0.974, 0.026, 0.0], [0.0, 0.073, 0.927]],
    "classes": ["setosa", "versicolor", "virginica"],
    "warnings": [
        {
            "code": "missing_value",
            "detail": "Row 1, column 'petal_width': the value is missing; it was imputed as in training.",
            "row": 1,
            "column": "petal_width",
        }
    ],
}
PREDICTED_AS_CSV = """prediction,probability_setosa,probability_versicolor,probability_virginica
setosa,0.974,0.026,0.0
virginica,0.0,0.073,0.927
"""
EVALUATION: Shown = {
    "object": "evaluation",
    "job": IDS["job_id"],
    "checkpoint": IDS["checkpoint_id"],
    "epoch": 20000,
    "dataset": IDS["dataset_id"],
    "rows": 150,
    "loss": 0.0514,
    "metrics": {"accuracy": 0.98, "f1": 0.98, "log_loss": 0.0514},
    "warnings": [
        {
            "code": "missing_value",
            "detail": "Column 'petal_width': 2 values are missing; they were imputed as in training.",
            "count": 2,
            "column": "petal_width",
        }
    ],
}
MODEL: Shown = {
    "id": IDS["dataset_id"].replace("ds_", "mdl_"),
    "object": "model",
    "name": "iris",
    "description": None,
    "metadata": {"team": "a"},
    "aliases": {"default": 1},
    "latest_version": 3,
    "created_at": JOB["created_at"],
}
MODEL_VERSION: Shown = {
    "id": IDS["dataset_id"].replace("ds_", "mver_"),
    "object": "model_version",
    "model": "iris",
    "version": 1,
    "checkpoint": IDS["checkpoint_id"],
    "job": IDS["job_id"],
    "aliases": ["default"],
    "description": None,
    "metadata": {},
    "created_at": JOB["created_at"],
}
ALIAS: Shown = {
    "id": IDS["dataset_id"].replace("ds_", "als_"),
    "object": "alias",
    "model": "iris",
    "name": "default",
    "version": 2,
    "created_at": JOB["created_at"],
    "moved_at": JOB["finished_at"],
}
ALIAS_MOVE: Shown = {
    "id": IDS["dataset_id"].replace("ds_", "mov_"),
    "object": "alias_move",
    "model": "iris",
    "alias": "default",
    "from": 1,
    "to": 2,
    "key": IDS["key_id"],
    "prefix": IDS["key_id"].replace("key_", "ty_"),
    "created_at": JOB["finished_at"],
}
MODEL_PREDICTION: Shown = {**PREDICTION, "model": "iris", "version": 1}
SWEEP: Shown = {
    "id": IDS["sweep_id"],
    "object": "sweep",
    "name": "rates",
    "status": "running",
    "terminal": False,
    "spec": SPEC,
    "search": {"optimizer.learning_rate": {"log_uniform": [0.0001, 0.1]}},
    "method": "random",
    "trials": 20,
    "parallel": 4,
    "metric": "val_loss",
    "mode": "min",
    "stop": None,
    "seed": 42,
    "progress": {
        "trials": 20,
        "queued": 10,
        "running": 4,
        "paused": 0,
        "succeeded": 6,
        "failed": 0,
        "cancelled": 0,
        "fraction": 0.3,
    },
    "best": {
        "job": IDS["job_id"],
        "status": "succeeded",
        "epoch": 20000,
        "value": 0.0731,
        "parameters": {"optimizer.learning_rate": 0.00828},
    },
    "created_at": JOB["created_at"],
    "finished_at": None,
}
KEY: Shown = {
    "id": IDS["key_id"],
    "object": "key",
    "name": "nightly runs",
    "project": "team-a",
    "scopes": ["read", "write"],
    "prefix": IDS["key_id"].replace("key_", "ty_"),
    "expires_at": None,
    "last_used_at": None,
    "created_at": JOB["created_at"],
}
NEW_KEY: Shown = {**KEY, "secret": f"{KEY['prefix']}_ouyLHIJJZ1evFEF5-ajoqxyE7GB7cq-4i9a1CJ9ZTfM"}
SYSTEM: Shown = {
    "object": "system",
    "version": "0.1.0",
    "workers": [
        {
            "id": "host:28222",
            "status": "training",
            "device": "cpu",
            "threads": 1,
            "torch": "2.13.0+cpu",
            "custom_losses": [],
            "memory": 17693557145,
            "host_memory": None,
            "job": IDS["job_id"],
            "batch_prediction": None,
            "started_at": JOB["created_at"],
            "heartbeat_at": JOB["finished_at"],
        }
    ],
    "queue_depth": 3,
    "jobs": {"queued": 3, "running": 1},
}
READY: Shown = {"status": "ready", "database": "ok", "queue": "ok", "storage": "ok", "workers": "ok"}
NOT_READY: Shown = {"status": "unavailable", "database": "down", "queue": "ok", "storage": "ok"}
ALIVE: Shown = {"status": "ok"}
METRICS = """# HELP trainyard_requests_total Answered requests.
# TYPE trainyard_requests_total counter
trainyard_requests_total{method="GET",route="/v1/jobs",status="200"} 12.0
"""
