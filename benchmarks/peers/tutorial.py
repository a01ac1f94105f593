"""The endpoint that tutorials show: FastAPI, a pydantic model of lists, torch."""

import torch
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.peers import network

app = FastAPI()
model = network.load()


class Rows(BaseModel):
    """The body."""

    rows: list[list[float]]


@app.post("/predict")
def predict(body: Rows) -> dict[str, list[int] | list[list[float]]]:
    """Labels and probabilities."""
    with torch.no_grad():
        logits = model(torch.tensor(body.rows))
    return {"predictions": logits.argmax(1).tolist(), "probabilities": logits.softmax(1).tolist()}
