"""How well a network, or the chip that carries it, classifies."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from cimsim.backend import to_host
from device_models.errors import InputError
from device_models.window import Array


class Classifier(Protocol):
    """What can be evaluated: a `Network`, a chip, or anything else with these two."""

    @property
    def n_out(self) -> int:
        """Classes."""
        ...

    def predict(self, x: Array, seed: int = 0) -> np.ndarray:
        """The labels (batch,) of `x` (batch, features); `seed` fixes what is drawn on the way."""
        ...


def accuracy(model: Classifier, x: Array, y: Array, *, seed: int = 0) -> float:
    """The fraction of samples whose predicted label is `y`. Raises `InputError` for labels that cannot be right."""
    y = check_labels(y, len(x), model.n_out)
    return float(np.mean(to_host(model.predict(x, seed=seed)) == y))


def confusion(model: Classifier, x: Array, y: Array, *, seed: int = 0) -> np.ndarray:
    """Counts (classes, classes) int64: row the true label, column the predicted one. Raises as `accuracy`."""
    n = model.n_out
    y = check_labels(y, len(x), n)
    return np.bincount(y * n + to_host(model.predict(x, seed=seed)), minlength=n * n).reshape(n, n)


def check_labels(y: Array, n_samples: int, n_classes: int) -> np.ndarray:
    """`y` as int64 labels (n_samples,) on the host, each in 0..n_classes - 1. Raises `InputError` if it is not that."""
    y = to_host(y)
    if y.shape != (n_samples,):
        remedy = "pass y.argmax(axis=1)" if y.ndim == 2 else "pass the labels that belong to x"
        raise InputError("y", f"must hold one label per sample, shape ({n_samples},)", f"shape {y.shape}", remedy)
    if y.dtype.kind not in "iu":
        raise InputError("y", "must hold integer labels", f"type {y.dtype}", "convert it with y.astype(np.int64)")
    if y.size and not (y.min() >= 0 and y.max() < n_classes):
        rule = f"must hold labels from 0 to {n_classes - 1}"
        raise InputError("y", rule, f"{y.min()} to {y.max()}", "renumber them, or give the network more outputs")
    return np.asarray(y, dtype=np.int64)
