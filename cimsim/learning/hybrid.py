"""The hybrid scheme: train off-chip, program with verify, then tune layers on the chip with a share of the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from cimsim.chip import Chip, ChipSpec, program
from cimsim.learning.onchip import FineTuning, fine_tune
from cimsim.network.evaluate import Classifier, accuracy, check_labels
from cimsim.network.network import Network
from device_models.errors import InputError, check_type, renamed, suggestion
from device_models.parameters import Parameters, Seconds
from device_models.streams import Streams
from device_models.window import Array

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Hybrid:
    """What hybrid training gave.

    Attributes:
        chip: the tuned chip.
        transferred: the chip as it was programmed (and aged), before tuning.
        stages: one row per stage ("software", "after transfer", "after tuning"), its test accuracy and error.
        history: one row per epoch of tuning, as of `fine_tune`.
        samples: training samples that tuning used.
    """

    chip: Chip
    transferred: Chip
    stages: pd.DataFrame
    history: pd.DataFrame
    samples: int

    def __repr__(self) -> str:
        stages = ", ".join(f"{row.stage} {row.accuracy:.2%}" for row in self.stages.itertuples())
        return f"Hybrid({stages}; tuned on {self.samples} samples)"


class HybridTraining(Parameters):
    """What hybrid training does around its tuning.

    `share` of the training samples, drawn once, are used for tuning (10 % in Yao et al., Nature 577, 641 (2020));
    converter ranges are measured on the first `calibrate` of them all; the chip ages by `age` seconds before tuning.
    """

    share: Annotated[float, Field(gt=0.0, le=1.0, description="share of the training samples")] = 0.1
    calibrate: Annotated[int, Field(ge=1, description="samples")] = 256
    age: Seconds = 0.0


def hybrid(
    net: Network, spec: ChipSpec, x: Array, y: Array, x_test: Array, y_test: Array, *, seed: int = 0, **settings: Any
) -> Hybrid:
    """Program a trained network on a chip, measure, tune layers with a share of the training data, measure again.

    Args:
        net: a network trained in floating point (`cim.train`).
        spec: the design of the chip.
        x: training samples `(n, n_in)`.
        y: their labels `(n,)`.
        x_test: samples for the accuracy of every stage.
        y_test: their labels.
        seed: fixes fabrication, the share, tuning and every read.
        settings: fields of `HybridTraining` (share=0.1, calibrate=256, age=0.0) and arguments of `fine_tune` by name:
            layers=[-1], rule, backward, epochs, batch, learning_rate, ...; also replicas and spread, as of `program`.

    Raises:
        InputError: a share that leaves no sample, and as `program` and `fine_tune` do, before anything is trained.
    """
    around = {name: settings.pop(name) for name in HybridTraining.model_fields if name in settings}
    copies = {name: settings.pop(name) for name in ("replicas", "spread") if name in settings}
    _check_names(settings)
    choice = HybridTraining(**around)
    check_type("net", net, Network, "train one with cim.train, say")
    x = net.check(x)
    y = check_labels(y, len(x), net.n_out)
    with renamed(x="x_test", y="y_test"):
        x_test = net.check(x_test)
        y_test = check_labels(y_test, len(x_test), net.n_out)
    chosen = training_share(len(x), choice.share, seed)
    chip = program(net, spec, calibrate=x[: choice.calibrate], seed=seed, **copies).age(choice.age)
    tuned, history = fine_tune(chip, x[chosen], y[chosen], seed=seed, **settings)
    measured: dict[str, Classifier] = {"software": net, "after transfer": chip, "after tuning": tuned}
    stages = {name: accuracy(model, x_test, y_test, seed=seed) for name, model in measured.items()}
    return Hybrid(tuned, chip, _table(stages), history, len(chosen))


def _check_names(settings: dict[str, Any]) -> None:
    """Raise `InputError` for a setting that neither `hybrid` nor `fine_tune` has."""
    tuning = ["layers", "rule", "backward", *FineTuning.model_fields]
    known = [*HybridTraining.model_fields, "replicas", "spread", *tuning]
    for name in settings:
        if name not in tuning:
            raise InputError("hybrid", "unknown name", name, suggestion(name, known))


def training_share(n: int, share: float, seed: int) -> np.ndarray:
    """The samples of `n` that tuning uses, drawn without replacement. Raises `InputError` where none is left."""
    k = round(n * share)
    if k < 1:
        got = f"{share:g} of {n}"
        raise InputError("hybrid.share", "must leave at least one training sample", got, "use a larger share")
    return np.sort(Streams(seed).at("hybrid").rng("share").permutation(n)[:k])


def _table(stages: dict[str, float]) -> pd.DataFrame:
    import pandas as pd

    rows = [{"stage": name, "accuracy": value, "error": 1 - value} for name, value in stages.items()]
    return pd.DataFrame(rows)
