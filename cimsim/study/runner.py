"""`run_study`: train once per setting, program a chip per point and die, keep every row, go on where it stopped."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from cimsim import datasets
from cimsim.chip import program
from cimsim.kernels.parts import available_cores, limit_blas
from cimsim.learning.offchip import Training, train
from cimsim.network.evaluate import accuracy
from cimsim.network.network import Network
from cimsim.study import report
from cimsim.study.files import load
from cimsim.study.store import Store, key
from cimsim.study.study import Point, Settings, Study, die_seed
from cimsim.study.sweep import check_workers
from device_models.errors import InputError, ParameterError, Problem

if TYPE_CHECKING:
    import pandas as pd

Task = tuple[int, int]  # index of the point, die
Measured = dict[str, Any]
Parts = tuple[datasets.Samples, datasets.Samples]


class StudyStopped(KeyboardInterrupt):
    """Ctrl-C during a study; says how many rows are kept and where."""


@dataclass(frozen=True)
class StudyResult:
    """A finished study: its tables, one row per point and die or per point, and the files written."""

    results: pd.DataFrame
    summary: pd.DataFrame
    files: list[Path]


@dataclass(frozen=True)
class Trained:
    """A trained float network with what its chips are calibrated on, trained on and tested on."""

    network: Network
    accuracy: float
    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


@dataclass(frozen=True)
class Bench:
    """Everything a row is computed from: it depends on the seed, the point and the die only."""

    seed: int
    points: list[Point]
    trained: Mapping[Any, Trained]

    def row(self, index: int, die: int) -> Measured:
        """Make one chip, run the test samples on it, and say how it went."""
        start, settings = perf_counter(), self.points[index].settings
        ready = self.trained[_network(settings)]
        x = None if ready.network.ranges else ready.x[: settings.inference.calibrate]
        chip = program(ready.network, settings.built(), calibrate=x, seed=self.seed_of("chip", die))
        chip = chip.age(settings.inference.age)
        chip = settings.tuning.tuned(chip, ready.x, ready.y, self.seed_of("tune", die))
        correct = accuracy(chip, ready.x_test, ready.y_test, seed=self.seed_of("read", die))
        made = chip.report()
        return {
            "accuracy": correct,
            "float_accuracy": ready.accuracy,
            **{name: getattr(made, name) for name in ("cells", "pulses", "failed", "stuck")},
            "adc_clipping": float(np.mean([layer.adc_clipping for layer in made.layers])),
            "seconds": round(perf_counter() - start, 4),
        }

    def attempt(self, index: int, die: int) -> Measured | Problem:
        """The row, or what was wrong with it: a value that crosses between processes."""
        try:
            return self.row(index, die)
        except InputError as error:
            return error.problem
        except ParameterError as error:
            return error.problems[0]

    def seed_of(self, role: str, die: int) -> int:
        """The seed of what a die draws in this study."""
        return die_seed(self.seed, role, die)


def run_study(
    study: Study | str | Path, folder: str | Path | None = None, *, workers: int = 1, progress: bool = True
) -> StudyResult:
    """Run a study, or what is left of it, and write its tables, plots, resolved study.toml and provenance.json.

    Args:
        study: a study, the name of a built-in one, or the path of a TOML file.
        folder: where results go; default results/NAME. Rows that are there already are kept.
        workers: processes that make chips; the results are the same for any number. With more than one, a script
            needs its `if __name__ == "__main__":`.
        progress: show a bar of chips on stderr.

    Raises:
        InputError: a bad study, data that cannot be had, or a directory that is another study's or cannot be written.
        StudyStopped: on Ctrl-C, a KeyboardInterrupt; finished rows are kept, run again to go on.
    """
    study = study if isinstance(study, Study) else load(study)
    check_workers(workers)
    folder = Path("results", study.name) if folder is None else Path(folder)
    store, points = Store(folder, study), study.points()
    tasks = [(p, die) for p in range(len(points)) for die in range(study.dies) if key(points[p], die) not in store]
    total = len(tasks) + len(store)
    try:
        if tasks:
            _compute(study, points, tasks, store, workers=workers, progress=progress)
        results = store.frame(study)
        files = report.save(study, results, folder)
    except KeyboardInterrupt:
        kept = f"stopped: {len(store)} of {total} results kept in {folder}; run the same command again to go on"
        raise StudyStopped(kept) from None
    return StudyResult(
        results, report.summary(study, results), [*files, folder / "study.toml", folder / "provenance.json"]
    )


def _compute(
    study: Study, points: list[Point], tasks: list[Task], store: Store, *, workers: int, progress: bool
) -> None:
    """Compute the rows of all tasks and keep each as soon as it is there."""
    from tqdm import tqdm

    provenance, before = report.Provenance(store.folder, study, workers, resumed=len(store) > 0), len(store)
    bench = _prepare(study, points, {p for p, _ in tasks}, progress=progress)
    bar = tqdm(total=len(tasks) + before, initial=before, desc=study.name, unit="chip", disable=not progress)
    with bar, closing(_rows(bench, tasks, workers)) as rows:
        try:
            for (index, die), measured in rows:
                if isinstance(measured, Problem):
                    raise _at(points[index], die, measured)
                store.append(points[index], die, measured)
                bar.update()
        except KeyboardInterrupt:
            store.reload()
            provenance.note(len(store) - before)
            raise
    provenance.note(len(store) - before)


def _prepare(study: Study, points: list[Point], needed: set[int], *, progress: bool) -> Bench:
    """Load the data and train the float networks of the points that are needed, one for each distinct setting."""
    settings = [points[i].settings for i in sorted(needed)]
    parts = {s.data: datasets.load(s.data.name, train=s.data.train, test=s.data.test) for s in settings}
    for s in settings:
        n = len(parts[s.data][0][0])
        if s.inference.calibrate > n:
            rule, remedy = f"must be at most {n}, the training samples", "lower it, or raise data.train"
            raise InputError("inference.calibrate", rule, s.inference.calibrate, remedy)
    seen = max(len(parts[s.data][0][0]) if s.tuning.share else s.inference.calibrate for s in settings)
    distinct = {_training(s): s for s in settings}
    first = {k: _untrained(s, parts[s.data], study.seed) for k, s in distinct.items()}  # before the first is trained
    for s in settings:
        s.tuning.check(first[_training(s)], s.built())
    nets = {k: _train(first[k], s, parts[s.data][0], study.seed, progress) for k, s in distinct.items()}
    made = {_network(s): s for s in settings}
    ready = {k: _finished(nets[_training(s)], s, parts[s.data], seen) for k, s in made.items()}
    return Bench(study.seed, points, ready)


def _untrained(settings: Settings, parts: Parts, seed: int) -> Network:
    """The network that fits the data."""
    (x, y), (_, y_test) = parts
    return settings.network.trained().network(x.shape[1], int(max(y.max(), y_test.max())) + 1, seed)


def _train(network: Network, settings: Settings, part: datasets.Samples, seed: int, progress: bool) -> Network:
    """The trained network."""
    x, y = part
    chosen = {name: value for name, value in settings.training if name in Training.model_fields}
    return train(network, x, y, hardware=settings.simulated(), seed=seed, progress=progress, **chosen)


def _finished(trained: Network, settings: Settings, parts: Parts, seen: int) -> Trained:
    """The network that goes on chips, with the first `seen` training samples."""
    (x, y), (x_test, y_test) = parts
    network = settings.network.finished(trained, x)
    return Trained(network, accuracy(network, x_test, y_test), x[:seen], y[:seen], x_test, y_test)


def _training(settings: Settings) -> Any:
    """What a trained float network depends on, the seed aside."""
    return settings.data, settings.network.trained(), settings.training, repr(settings.simulated())


def _network(settings: Settings) -> Any:
    """What the network of a chip depends on, the seed aside."""
    return settings.data, settings.network, settings.training, repr(settings.simulated())


def _at(point: Point, die: int, problem: Problem) -> InputError:
    where = f"die {die} at {point}: {'.'.join(problem.where)}"
    return InputError(where, problem.rule, problem.value, problem.remedy)


def _rows(bench: Bench, tasks: list[Task], workers: int) -> Generator[tuple[Task, Measured | Problem], None, None]:
    """The tasks with their outcomes, as they are done."""
    if workers == 1:
        for task in tasks:
            yield task, bench.attempt(*task)
        return
    # Spawned processes: threads would take turns at the interpreter's lock, and forks copy locks that the BLAS holds.
    spawn = multiprocessing.get_context("spawn")
    workers = min(workers, len(tasks))
    with ProcessPoolExecutor(workers, spawn, _start_worker, (bench, workers)) as pool:
        try:
            with _interrupts_later():  # and in the workers never: Ctrl-C is the parent's to handle
                asked = {pool.submit(_attempt, *task): task for task in tasks}
            for done in as_completed(asked):
                yield asked[done], done.result()
        except BrokenProcessPool:
            remedy = "use fewer workers; in a script, call run_study below `if __name__ == '__main__':`"
            raise InputError("workers", "a worker process ended before its work", workers, remedy) from None
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_later() -> Iterator[None]:
    """Ctrl-C waits until the end; processes started meanwhile never get it. Windows has no such masks."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_bench: Bench | None = None  # of a worker process, set once when it starts


def _start_worker(bench: Bench, workers: int) -> None:
    """A worker does not outlive its parent, and takes its share of the cores."""
    global _bench
    limit_blas(max(1, available_cores() // workers))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _bench = bench


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _attempt(index: int, die: int) -> Measured | Problem:
    assert _bench is not None
    return _bench.attempt(index, die)
