"""Examples of what is answered about batch predictions."""

from app.api.answer_examples import IDS, Shown

BATCH_PREDICTION: Shown = {
    "id": IDS["batch_id"],
    "object": "batch_prediction",
    "name": "tonight",
    "status": "succeeded",
    "terminal": True,
    "job": IDS["job_id"],
    "checkpoint": IDS["checkpoint_id"],
    "model": "iris",
    "version": 3,
    "dataset": IDS["dataset_id"],
    "format": "csv",
    "attempt": 1,
    "progress": {"predicted": 150, "rows": 150, "fraction": 1.0, "rows_per_second": 51724.1, "eta_seconds": None},
    "warnings": [
        {
            "code": "missing_value",
            "detail": "Values of column 'sepal_width' are missing; they were imputed as in training.",
            "column": "sepal_width",
            "count": 2,
        }
    ],
    "bytes": 10871,
    "error": None,
    "created_at": "2026-11-23T03:22:00.123Z",
    "started_at": "2026-11-23T03:22:00.164Z",
    "finished_at": "2026-11-23T03:22:00.230Z",
}
BATCH_CSV = """prediction,probability_setosa,probability_versicolor,probability_virginica
setosa,0.9986,0.0013,0.0001
"""
BATCH_LINES = (
    '{"code":"missing_value","detail":"Row 17, column \'sepal_width\': the value is missing; it was imputed as in training."'
    ',"row":17,"column":"sepal_width"}\n'
)
