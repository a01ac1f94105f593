"""The formulas of the metrics of several target columns; scikit-learn's definitions, with row weights w [n, 1]."""

# p [n, L], y [n, L] of 0 and 1.
OF_LABELS = {
    "accuracy": ["return (((p > 0.5) == (y > 0)).all(1) * w[:, 0]).sum() / w.sum()"],
    "balanced_accuracy": [
        "hit, recalls = ((p > 0.5) == (y > 0)) * w, []",
        "for c in range(p.shape[1]):",
        "    sides = [side for side in (y[:, c] > 0, y[:, c] == 0) if w[side].sum() > 0]",
        "    recalls.append(sum(hit[side, c].sum() / w[side].sum() for side in sides) / len(sides))",
        "return sum(recalls) / len(recalls)",
    ],
    "f1": [
        "called = (p > 0.5).double()",
        "either = ((y + called) * w).sum(0)",
        "return torch.where(either > 0, 2 * (y * called * w).sum(0) / either, 0).mean()",
    ],
    "log_loss": [
        "eps = torch.finfo(z.dtype).eps",
        "return -(torch.where(y > 0, p, 1 - p).clamp(eps, 1 - eps).log() * w).mean(1).sum() / w.sum()",
    ],
    "brier": ["return ((p - y).square() * w).mean(1).sum() / w.sum()"],
    "roc_auc": [
        "areas = []",
        "for c in range(p.shape[1]):  # the share of pairs that are ranked rightly, ties half",
        "    yes = y[:, c] > 0",
        "    above, below = p[yes, c][:, None], p[~yes, c]",
        "    pairs = w[yes] * w[~yes, 0]",
        "    areas.append((((above > below) + 0.5 * (above == below)) * pairs).sum() / pairs.sum())",
        "return sum(areas) / len(areas)",
    ],
}
# fitted and y [n, O].
OF_NUMBERS = {
    "rmse": ["return (((fitted - y){scale}).square() * w).sum(0).div(w.sum()).sqrt().mean()"],
    "mae": ["return (((fitted - y){scale}).abs() * w).mean(1).sum() / w.sum()"],
    "r2": [
        "rest = ((fitted - y).square() * w).sum(0)",
        "total = ((y - (y * w).sum(0) / w.sum()).square() * w).sum(0)",
        "return torch.where(total > 0, 1 - rest / total, (rest == 0).double()).mean()",
    ],
}
