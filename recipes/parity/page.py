"""The table of the parity experiment, and the sentence on sensitivity."""

import numpy as np

from fairseq_palbert.tables import markdown

from .figures import METHODS, SETTINGS, Curves, base_runs, sweep, total_steps

PLOTS = {
    "training.svg": "Accuracy and mean steps on test over training (the paper's figure 1 a and b).",
    "compute.svg": "Steps up to the exits of all vectors trained on (1 c). Training itself computes all N steps.",
    "sensitivity.svg": "ACT by its ponder cost τ, PonderNet by its prior's λ_p, interpolation (2 a and b).",
    "spread.svg": "Mean steps of PonderNet over seeds at λ_p = 0.1 (2 c).",
}
GOOD = 0.99


def page(runs: list[Curves], remarks: str = "") -> str:
    """README.md of the results, from the runs' curves and, after the table, the remarks."""
    first = runs[0]
    parts = [
        "# PonderNet and ACT on parity",
        f"Size `{first['size']}`: vectors of {_sizes(runs)} entries, at most {first['steps']} steps of a GRU of width "
        f"128,\n{first['updates'][-1]:,} updates of {first['batch']} vectors. Accuracy and steps are those of the "
        "last update on test:\nPonderNet's by Q-exit 0.5, ACT's of its mean answer. Mean (least to most) over seeds.",
        "```\nrecipes/parity.sh                                  # trains, scores and draws\n"
        "recipes/parity.sh --draw recipes/results/parity    # draws again from curves.jsonl\n```",
        table(runs), flatness(runs), *filter(None, [remarks.strip()]),
        *(f"![{text}]({plot})\n\n{text}" for plot, text in PLOTS.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _sizes(runs: list[Curves]) -> str:
    sizes = {run["setting"]: run["vector_size"] for run in runs}
    return " and ".join(map(str, dict.fromkeys(sizes.values())))


def table(runs: list[Curves]) -> str:
    rows = [["setting", "method", "seeds", "accuracy, %", f"seeds at {100 * GOOD:g} % or more", "mean steps",
             "million steps of training"]]
    for setting in SETTINGS:
        for method in METHODS:
            if of_method := base_runs(runs, method, setting):
                accuracy = [run["test"]["accuracy"][-1] for run in of_method]
                rows.append([setting, method, f"{len(of_method)}", _spread([100 * score for score in accuracy]),
                             f"{sum(score >= GOOD for score in accuracy)}",
                             _spread([run["test"]["steps"][-1] for run in of_method]),
                             _spread([total_steps(run, run["batch"]) for run in of_method])])
    return markdown(rows, words=2)


def _spread(values: list[float]) -> str:
    return f"{np.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def flatness(runs: list[Curves]) -> str:
    """One sentence: over the values tried, how far the mean accuracies of each method lie apart, and which less."""
    apart = {}
    for method in ("PonderNet", "ACT"):
        means = [100 * np.mean([run["test"]["accuracy"][-1] for run in of_value])
                 for of_value in sweep(runs, method).values()]
        apart[method] = max(means) - min(means)
    compared = "flatter" if apart["PonderNet"] < apart["ACT"] else "not flatter"
    return (f"PonderNet is {compared} in λ_p than ACT in τ here: over the values tried, its mean accuracies lie "
            f"{apart['PonderNet']:.2f} points apart, ACT's {apart['ACT']:.2f}.")
