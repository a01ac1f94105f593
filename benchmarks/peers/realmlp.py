"""RealMLP-TD as its own package has it: with bagging, networks that each leave out a fold and the mean of them, or single.

    python -m benchmarks.peers.realmlp FOLDER SEED

FOLDER has `known.csv`, `test.csv` and `set.json` (task, target, categorical columns, and either a number of folds or which
of the known rows are those of validation). Prints the answer to the test rows as one line of JSON, in the form of a prediction
of ours, with the processor's seconds of the fit. A missing number, which it refuses, is the median of the known rows, with an
indicator beside it.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor


def rows_of(folder: Path, part: str, described: dict[str, Any]) -> pd.DataFrame:
    """Categories and labels as text."""
    texts = [*described["categorical"], *([] if described["task"] == "regression" else [described["target"]])]
    return pd.read_csv(folder / f"{part}.csv", dtype=dict.fromkeys(texts, "object"), keep_default_na=False, na_values=[""])


def filled(rows: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Without missing values."""
    found = rows.copy()
    for name in rows.columns:
        if known[name].dtype == object:
            found[name] = rows[name].fillna("")
        elif known[name].isna().any():
            found[name] = rows[name].fillna(known[name].median())
            found[f"{name} is missing"] = rows[name].isna().astype(np.float64)
    return found


def answer(folder: Path, seed: int) -> dict[str, Any]:
    """Predictions, the probabilities of classes, and seconds."""
    described = json.loads((folder / "set.json").read_text())
    known, test = (rows_of(folder, part, described) for part in ("known", "test"))
    target, truth = described["target"], known[described["target"]]
    inputs = known.drop(columns=target)
    x, x_test = filled(inputs, inputs), filled(test.drop(columns=target), inputs)
    is_number = described["task"] == "regression"
    kind, folds = RealMLP_TD_Regressor if is_number else RealMLP_TD_Classifier, described["folds"]
    model = kind(device="cpu", random_state=seed, n_cv=folds or 1, n_refit=0, n_threads=1)
    held_out = None if folds else np.array(described["validation"])
    begun = time.process_time()
    model.fit(x, truth.to_numpy(), val_idxs=held_out, cat_col_names=described["categorical"])
    cpu = time.process_time() - begun
    if is_number:
        return {"cpu": cpu, "predictions": np.ravel(model.predict(x_test)).tolist()}
    probabilities = model.predict_proba(x_test)
    classes = [str(label) for label in model.classes_]
    labels = [classes[place] for place in probabilities.argmax(1)]
    return {"cpu": cpu, "predictions": labels, "classes": classes, "probabilities": probabilities.tolist()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps(answer(Path(sys.argv[1]), int(sys.argv[2]))))
