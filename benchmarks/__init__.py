"""Speed, shown as ratios that are measured side by side in one run."""

from app.loading import prepare_torch

prepare_torch()  # as in a training process
