"""Run an experiment's stages: find the encoder, preprocess, search, train, score, tabulate."""

import json
import math
import os
import shlex
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from itertools import pairwise, product
from pathlib import Path

import yaml

from ..binarized_files import PROVENANCE_FILE
from ..command_file import COMMAND_FILE
from ..definitions.definition import CALIBRATION, TaskDefinition, held_out
from ..definitions.packaged import find_task, recorded
from ..errors import UserError
from ..files import file_sha256, replacing
from ..json_files import read_json
from ..raw.files import has_raw, raw_sha256
from . import launch, results
from .checks import check_exits, check_flags, check_folders, check_preprocessed, check_trained, parse_exits
from .flags import batch_size, exit_flags, model_flags, word
from .hyperparameters import LENGTH, hyperparameters, of_any_encoder
from .invocation import invocation
from .launch import Devices
from .log import log
from .methods import Method, method_of
from .pretrained import Start, check_arch, check_source, find_start, find_vocabulary
from .settings import Settings, check, raw_folder_of
from .stages import Stages, claimed

OF_DEVICES = ("--batch-size",)  # of one worker
FIRST_SHA256 = "--first-phase-sha256"  # in the record of a second phase; no flag of fairseq-train


def run(settings: Settings) -> None:
    """Run an experiment, or continue it where it stopped. Raises UserError for a mistake, and where a stage fails.

    Where Slurm starts several tasks for it, the first runs the experiment and starts the part of the others.
    """
    if int(os.environ.get("SLURM_PROCID", 0)):
        return
    settings = replace(settings, glue_dir=settings.glue_dir or os.environ.get("GLUE_DIR") or None,
                       superglue_dir=settings.superglue_dir or os.environ.get("SUPERGLUE_DIR") or None,
                       vocab_dir=settings.vocab_dir or os.environ.get("VOCAB_DIR") or None,
                       pretrained_dir=settings.pretrained_dir or f"{settings.runs_dir}/pretrained")
    check(settings)
    check_source(settings.pretrained)
    if settings.arch:
        check_arch(settings.arch)
    if settings.exits:
        parse_exits(settings.exits)
    if settings.extra_train_flags:
        check_flags(settings)
    devices = launch.choose_devices(settings)
    start = find_start(settings.pretrained, settings.arch, Path(settings.pretrained_dir), settings.vocab_dir,
                       may_convert=settings.stage <= 1)
    method = method_of(settings.method)
    if method.layers and method.layers > start.layers:
        raise UserError(f"method={settings.method}, but {start.arch} has {start.layers} layers")
    whole = complete(settings, start)
    check_folders(whole)
    if settings.exits:
        check_exits(whole, method, start)
    if len(whole.layer_cost) > 1 and method.staged:
        for cost in whole.layer_cost:
            run_dir, mnli_run = (f"{folder}/cost{word(cost)}" for folder in (whole.run_dir, whole.mnli_run))
            run(replace(settings, layer_cost=[cost], first_run=whole.first_run, run_dir=run_dir, run_name="",
                        mnli_run=settings.mnli_run or mnli_run))
        return
    trains = bool(find_task(settings.task).valid_splits)
    if trains:
        batch_size(whole, devices.workers)
    check_trained(whole, method, trains)
    check_preprocessed(whole)
    if method.staged and settings.stop_stage >= 4:
        run(first_phase(settings, whole))
    with claimed(Path(whole.run_dir), settings.stage, settings.stop_stage) as stages:
        with open(stages.run_dir / "invocations.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(invocation(settings)) + "\n")
        Experiment(whole, method, find_task(whole.task), start, devices, stages).run()


def complete(settings: Settings, start: Start) -> Settings:
    """The settings with folders and hyperparameters in place of None.

    Folders that a record names are resolved, so that another path to one is no other setting. A setting that is still
    None has no flag.
    """
    method, task = method_of(settings.method), find_task(settings.task)
    runs = Path(settings.runs_dir).absolute() / start.arch

    def folder_of(run: str | None, name: str) -> Path:
        return Path(run).absolute() if run else (runs if name == "palbert" else runs / name) / task.name

    run_dir = folder_of(settings.run_dir, settings.method) / settings.run_name
    values = {
        "run_dir": str(run_dir),
        "mnli_run": str(Path(settings.mnli_run or run_dir.parent / (task.model_of or task.name)).absolute()),
        "first_run": str(folder_of(settings.first_run, method.first_phase or settings.method).resolve()),
        "data": settings.data and str(Path(settings.data).resolve()),
        "select_on": settings.select_on or ("holdout" if method.staged else "valid"),
        "exits": settings.exits or method.exits_of(task),
    }
    usual = of_any_encoder(task.name) | method.settings
    if task.valid_splits:
        usual = hyperparameters(start.arch, task.name) | usual
    if settings.max_update or settings.max_epoch:
        usual = {name: value for name, value in usual.items() if name not in LENGTH}
    values |= {name: value for name, value in usual.items() if getattr(settings, name) is None}
    whole = replace(settings, **values)
    if method.staged:
        whole = replace(whole, lr=whole.gate_lr, batch=whole.gate_batch, max_update=whole.gate_updates, max_epoch=None,
                        warmup=0.0, patience=None, weight_decay=0.0, search_lr=[], search_lambda_lr=[], search_beta=[],
                        data=whole.data or f"{whole.first_run}/data/{task.name}")
    return whole if whole.select_on == "holdout" else replace(whole, holdout_fraction=0)


def first_phase(settings: Settings, whole: Settings) -> Settings:
    """The experiment that trains the first phase of a staged method; it stops after training."""
    method = method_of(settings.method).first_phase
    log(f"method={method}, the first phase of {settings.method}, in {whole.first_run}")
    return replace(settings, method=method, run_dir=whole.first_run, run_name="", first_run=None, select_on="holdout",
                   exits=None, extra_train_flags=settings.first_train_flags, first_train_flags=[],
                   stage=1, stop_stage=4)


def rows_of_train(about: Path) -> int | None:
    """The number of training examples that a folder's glue.json names; None where there is none."""
    if about.is_file():
        match read_json(about, "make the data again with palbert data"):
            case {"splits": {"train": {"rows": int(rows)}}} if rows > 0:
                return rows
    return None


@dataclass
class Experiment:
    """An experiment in one run directory; ``settings`` are complete."""

    settings: Settings
    method: Method
    task: TaskDefinition
    start: Start
    devices: Devices
    stages: Stages

    def run(self) -> None:
        self.preprocess()
        if self.task.valid_splits and self.stages.last >= 3:
            self.count_rows()
            self.search()
            self.check_other_seeds()
            for seed in self.settings.seeds:
                self.train(4, f"train-seed{seed}", self.settings, seed, self.stages.run_dir / f"seed{seed}")
        for seed in self.settings.seeds:
            self.score(seed)
        if self.stages.wanted(6):
            results.main([str(self.stages.run_dir), "--out", str(self.stages.run_dir / "results.tsv")])

    def preprocess(self) -> None:
        run_dir, detokenize = self.stages.run_dir, ["--detokenize"] if self.settings.detokenize else []
        self.stages.forget_if_unfinished("preprocess")
        if self.settings.data:
            self.stages.run(2, "preprocess", ["--data", self.settings.data], lambda: None)
            return

        def download() -> Path:
            launch.run(launch.python("preprocess.download", "--vocab", "--out", run_dir / "vocab"))
            return run_dir / "vocab"

        def binarize() -> None:
            vocabulary = find_vocabulary(self.start, self.settings.vocab_dir, download)
            launch.run(launch.python("preprocess.data", "--task", self.settings.task, "--vocab", vocabulary,
                                     "--out", run_dir / "data", "--overwrite", *(["--raw", raw] if raw else []),
                                     *detokenize))

        raw = raw_folder_of(self.settings)
        vocabulary = self.start.vocabulary or self.settings.vocab_dir and Path(self.settings.vocab_dir).resolve()
        digest = ["--raw-sha256", raw_sha256(self.task, raw)] if raw else []
        source = ["--raw", str(raw or "downloaded"), *digest, "--vocab", str(vocabulary or "downloaded")]
        record = [self.task.name, *source, *detokenize, *self.definition_digest()]
        begun = self.stages.settings_file("preprocess")
        words = begun.read_text(encoding="utf-8").split() if begun.exists() else record
        if "--data" not in words and not {"--raw", *digest[:1]} <= set(words):
            raise UserError(f"{run_dir} was begun by an earlier version, which did not record raw data and vocabulary "
                            f"as this one does: choose another run_dir, or, if they are the same as now, write "
                            f"'{' '.join(record)}' to {begun}")
        unknown = [*([] if raw else ["--raw"]), *([] if raw and has_raw(self.task, raw) else ["--raw-sha256"]),
                   *([] if vocabulary else ["--vocab"])]
        self.stages.run(2, "preprocess", record, binarize, unknown)
        self.settings.data = str(run_dir / "data" / self.task.name)

    def definition_digest(self) -> list[str]:
        """The SHA-256 of an own task's definition, so that other data is not taken for that of an earlier one."""
        own = recorded(self.task)
        return ["--definition", sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()] if own else []

    def count_rows(self) -> None:
        """Check that train has enough rows, and set max_update where the length of training is given in epochs."""
        settings, about = self.settings, Path(self.settings.data, PROVENANCE_FILE)
        rows = rows_of_train(about)
        if rows is None:
            if settings.max_update:
                return
            raise UserError(f"{about} does not say how many rows train has, to count {settings.max_epoch} epochs: make "
                            "the data again with palbert data, or give max_update")
        gate, calibration = held_out(rows, settings.holdout_fraction)
        remaining = rows - gate - calibration
        if settings.select_on == "holdout" and not calibration:
            raise UserError(f"holdout_fraction={settings.holdout_fraction} of {rows} rows leaves none to choose "
                            "thresholds on: raise it, such as to 0.1")
        if (wanted := settings.train_examples or remaining) > remaining:
            raise UserError(f"train_examples={wanted}: {settings.data} has {remaining} rows to train on: lower it")
        settings.max_update = settings.max_update or settings.max_epoch * math.ceil(wanted / settings.batch)

    def search(self) -> None:
        """Train every combination with the first seed, and continue with the settings of the best one.

        Raises UserError where one has not ended, or none has a number for the metric that selects checkpoints.
        """
        names = ("lr", "lambda_lr", "beta")
        lists = [getattr(self.settings, f"search_{name}") for name in names]
        if not any(lists):
            return
        flags = model_flags(self.settings, self.start, self.settings.seeds[0], self.devices.workers)
        metric = dict(pairwise(flags))["--best-checkpoint-metric"]
        pick = max if "--maximize-best-checkpoint-metric" in flags else min
        table = self.stages.run_dir / "search" / "results.tsv"
        rows = []
        lists = [values or [getattr(self.settings, name)] for name, values in zip(names, lists, strict=True)]
        for values in product(*lists):
            chosen = dict(zip(names, values, strict=True))
            folder = "-".join(name + word(value) for name, value in chosen.items())
            trial = table.parent / folder
            self.train(3, f"search-{folder}", replace(self.settings, **chosen), self.settings.seeds[0], trial)
            if not self.stages.done(f"search-{folder}"):
                raise UserError(f"{trial} has not ended, and the search compares all: run stage 3 first")
            value = float(self.training_state("best", trial / "checkpoints" / "checkpoint_best.pt"))
            rows.append({metric: value, **chosen})
        with replacing(table) as part:
            lines = [list(rows[0]), *(row.values() for row in rows)]
            part.write_text("".join("\t".join(map(str, line)) + "\n" for line in lines), encoding="utf-8")
        if not (numbers := [row for row in rows if not math.isnan(row[metric])]):
            raise UserError(f"{table}: no combination has a {metric} that is a number: search other values")
        best = pick(numbers, key=lambda row: row[metric])
        value = best.pop(metric)
        log(f"search: {metric} {value} on {self.settings.select_on} with {best} ({table})")
        self.settings = replace(self.settings, **best)

    def train(self, number: int, stage: str, settings: Settings, seed: int, folder: Path) -> None:
        flags = model_flags(settings, self.start, seed, self.devices.workers)
        if not any((folder / "checkpoints").glob("*.pt")):
            self.stages.forget_if_unfinished(stage)
        elif self.stages.wanted(number) and not self.stages.settings_file(stage).exists():
            raise UserError(f"{folder} has checkpoints, and {self.stages.settings_file(stage)}, which says how they "
                            f"were trained, is gone: remove {folder} too, to train again")
        # stage 4 may add seeds to a search
        of_seed = () if number == 4 else ("--seed", "--finetune-from-model", FIRST_SHA256)
        record = [*flags, *self.first_phase_digest(stage, flags)]
        self.stages.run(number, stage, record, lambda: self.train_model(folder, flags), (*OF_DEVICES, *of_seed))

    def first_phase_digest(self, stage: str, flags: list[str]) -> list[str]:
        """The SHA-256 of the first phase's checkpoint, so that a second phase is not kept where the first has changed.

        Empty without a first phase, and where an earlier version, which recorded none, began the stage.
        """
        begun, checkpoint = self.stages.settings_file(stage), dict(pairwise(flags)).get("--finetune-from-model", "")
        recorded = dict(pairwise(begun.read_text(encoding="utf-8").split())) if begun.exists() else {FIRST_SHA256: ""}
        if not self.method.first_phase or FIRST_SHA256 not in recorded:
            return []
        digest = file_sha256(Path(checkpoint)) if Path(checkpoint).is_file() else recorded[FIRST_SHA256]
        return [FIRST_SHA256, digest] if digest else []

    def check_other_seeds(self) -> None:
        """Raises UserError where a seed that is not trained now was trained with other settings."""
        for done in self.stages.run_dir.glob("stages/train-seed*.done"):
            if (seed := int(done.stem.removeprefix("train-seed"))) not in self.settings.seeds:
                flags = model_flags(self.settings, self.start, seed, self.devices.workers)
                self.stages.check(4, done.stem, [*flags, *self.first_phase_digest(done.stem, flags)], OF_DEVICES)

    def train_model(self, folder: Path, flags: list[str]) -> None:
        """Train from the newest checkpoint that loads, or from the start."""
        checkpoints, train_log = folder / "checkpoints", folder / "train.log"
        folder.mkdir(parents=True, exist_ok=True)
        command = [
            self.settings.data, "--user-dir", str(launch.PACKAGE), "--save-dir", str(checkpoints),
            "--tensorboard-logdir", str(folder / "tensorboard"), "--log-format", "simple", "--log-interval", "50",
            "--save-interval-updates", "2000", "--keep-interval-updates", "1",  # validates and saves during long epochs
            *self.devices.flags, *flags,
        ]
        with replacing(folder / COMMAND_FILE) as part:
            part.write_text(shlex.join(["fairseq-train", *command]) + "\n", encoding="utf-8")
        updates = int(self.training_state("resume", checkpoints)) if checkpoints.exists() else 0
        if updates < self.settings.max_update:
            log(f"training from update {updates} to {self.settings.max_update}; follow it with: tail -f {train_log}")
            launch.train(command, train_log, self.devices)
        with replacing(folder / "config.yaml") as part:
            part.write_text(self.training_state("config", checkpoints / "checkpoint_best.pt"), encoding="utf-8")

    def score(self, seed: int) -> None:
        """Score the seed's checkpoint on every split; again where the rules or the model have changed."""
        source, splits = self.stages.run_dir, list(self.task.valid_splits)
        if not splits:
            source, splits = Path(self.settings.mnli_run), ["test"]
        elif self.settings.select_on == "holdout":
            splits.append(CALIBRATION)
        for split in splits:
            name = f"score-seed{seed}-{split}"
            self.stages.forget_if_changed(name, self.settings.exits, source / "stages" / f"train-seed{seed}.done")
            work = partial(self.score_split, source / f"seed{seed}", split, seed)
            self.stages.run(5, name, self.settings.exits, work)

    def score_split(self, trained: Path, split: str, seed: int) -> None:
        """Write scores to SEED/scores/SPLIT, and to the TensorBoard folder of training."""
        folder = self.stages.run_dir / f"seed{seed}"
        layers = yaml.safe_load((trained / "config.yaml").read_text(encoding="utf-8"))["model"]["encoder_layers"]
        command = launch.python(
            "fairseq_palbert.evaluation", trained / "checkpoints" / "checkpoint_best.pt", "--data", self.settings.data,
            "--glue-task", self.task.name, "--split", split, "--out", folder / "scores" / split,
            "--tensorboard-logdir", folder / "tensorboard", "--record", *exit_flags(self.settings.exits, layers),
            *(["--device", "cuda"] if self.devices.gpus else []))
        launch.run(command, self.devices.environment)

    def training_state(self, what: str, path: Path) -> str:
        """Read a training state in a separate process, so that this one needs no torch."""
        return launch.output_of(launch.python("fairseq_palbert.checkpoints.training_state", what, path))
