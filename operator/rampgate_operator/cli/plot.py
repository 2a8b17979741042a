"""A simulation as a picture: how many ramps were rolled back by when, and after how many requests. Needs the extra `plots`."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from rampgate_operator.cli.simulated import Result
from rampgate_operator.core.quantities import duration


def save(result: Result, file: Path) -> None:
    """Draw it into a file, by its ending. Raises OSError."""
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    by_time, by_requests = figure.subplots(1, 2, sharey=True)
    minutes = duration(result.planned.spec.interval).total_seconds() / 60
    for row in result.rows:
        is_back = row.ended.by >= 0
        for axes, at in ((by_time, row.ended.looks * minutes), (by_requests, np.maximum(1, row.ended.treated))):
            ends = np.sort(at[is_back])
            shares = np.arange(ends.size + 1) / result.runs
            axes.step([at.min(), *ends, at.max()], [*shares, shares[-1]], where="post", label=row.title)
    for axes, title in ((by_time, "minutes"), (by_requests, "requests of treatment")):
        axes.axhline(result.planned.spec.false_rollback_rate, color="grey", linestyle="dotted", linewidth=1)
        axes.set_xscale("log")
        axes.set_xlabel(title)
        axes.set_ylim(-0.02, 1.02)
        axes.grid(visible=True, alpha=0.3)
    by_time.set_ylabel("share rolled back; dotted: falseRollbackRate")
    by_requests.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    figure.suptitle(f"{result.experiment}: {result.runs:,} ramps each, {result.per_second:,.4g} requests/s")
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)
