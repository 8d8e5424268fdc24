"""How good the models are: `python -m benchmarks.quality` prints the tables.

Five parts: the share of what an oracle knows (oracle), what keeps our models from it (limits), the
same matrix against other people's learners (matrix), end to end from raw events against what people
do by hand (raw), and the sets that are not ours (real). `benchmarks/README.md` says what each table
means.
"""

import argparse
import shutil
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from benchmarks import (
    quality_flags,
    quality_limits,
    quality_matrix,
    quality_oracle,
    quality_raw,
    quality_real,
    report,
)
from benchmarks.quality_worlds import Company, Study, World, settings_of, world
from features.errors import RefusedError

MARKS = ("<!-- quality: begin -->", "<!-- quality: end -->")
PACKAGES = ("lightgbm", "scikit-learn", "numpy", "pandas", "pyarrow")
say = partial(print, flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Measure the chosen parts and print them."""
    chosen = quality_flags.parser().parse_args(arguments)
    say("Simulated data: made-up companies, drawn from seeds; `real` says which sets are real.")
    quality = Quality(chosen)
    found = [report.machine(PACKAGES, chosen.threads)]
    for part in (part for part in quality_flags.PARTS if part in chosen.parts):
        say(f"{part}:")
        found.append(getattr(quality, part)())
    text = "\n\n".join(found)
    say(f"\n{text}")
    if chosen.write:
        report.write(text, MARKS)
    if not chosen.keep:
        shutil.rmtree(quality.folder, ignore_errors=True)


@dataclass
class Quality:
    """What was chosen, and the companies made for it."""

    chosen: argparse.Namespace

    @cached_property
    def folder(self) -> Path:
        """Where companies and workspaces are made."""
        return Path(self.chosen.folder.resolve())

    @cached_property
    def cache(self) -> Path:
        """Where the rivals' environments are made, and stay for the next run."""
        return Path(self.chosen.rivals_folder).resolve()

    def company(self, seed: int) -> World:
        """One simulated company, with its features."""
        c = self.chosen
        settings = settings_of(c.threads, c.horizon, c.resamples)
        return world(self.folder, Company(c.accounts, c.days, seed), settings, say)

    @cached_property
    def first(self) -> tuple[World, dict[str, Study]]:
        """The first company and its outcomes, learnt: the matrix and the raw events are its."""
        one = self.company(self.chosen.seeds[0])
        return one, studies(one, self.chosen.outcomes)

    def oracle(self) -> str:
        """The share of the oracle, on each seed's company."""
        c, found = self.chosen, []
        for seed in c.seeds:
            one, learnt = self.first if seed == c.seeds[0] else self._learnt(seed)
            if learnt:
                shares = quality_oracle.shares_of(
                    one, list(learnt.values()), c.oracle_dates, c.futures
                )
                for share in shares:
                    say(f"  {share.outcome}, company {seed}: ρ {share.rho}, R {share.gain}")
                found += shares
        what = (
            f"{c.accounts:,} accounts × {c.days} days each, {c.horizon} days ahead; "
            f"{c.oracle_dates} test days each, {c.futures} futures of the oracle."
        )
        return f"### Share of the oracle\n\n{what}\n\n{quality_oracle.table(found)}"

    def limits(self) -> str:
        """What keeps the first company's models from the oracle."""
        c, (one, learnt) = self.chosen, self.first
        found = quality_limits.limits_of(
            one, list(learnt.values()), c.limit_dates, c.oracle_dates, c.futures
        )
        what = (
            f"{c.limit_dates} days learnt from where fewer days are meant; {c.oracle_dates} judged."
        )
        return f"### What keeps them from it\n\n{what}\n\n{quality_limits.table(found)}"

    def matrix(self) -> str:
        """Our learner against others on the first company's matrices."""
        c, tables = self.chosen, []
        for study in self._of_first(c.matrix_outcomes):
            say(f" {study.task.outcome.name}:")
            found = quality_matrix.contest(study, c.rivals, self.cache, c.seconds, say)
            tables.append(quality_matrix.table(found))
        what = f"{c.seconds:.0f} s for each, {c.threads} thread{'s' * (c.threads > 1)}."
        return "\n\n".join([f"### The same matrix\n\n{what}", *tables])

    def raw(self) -> str:
        """Our job against others, from the first company's raw events."""
        c, tables = self.chosen, []
        days = (c.learn_dates, c.test_dates)
        for study in self._of_first(c.raw_outcomes):
            say(f" {study.task.outcome.name}:")
            found = quality_raw.race(
                self.first[0], study, self.cache, days, say, deep=not c.without_featuretools
            )
            tables.append(quality_raw.table(found))
        return "\n\n".join(["### End to end, from raw events", *tables])

    def real(self) -> str:
        """The sets that are not ours."""
        c = self.chosen
        found = quality_real.learnt(c.sets, self.folder / "sets", c.threads, say)
        if not found:
            return f"### Other people's data\n\n{quality_real.FOLDER} names no folder with them."
        return f"### Other people's data\n\n{quality_real.table(found)}"

    def _learnt(self, seed: int) -> tuple[World, dict[str, Study]]:
        one = self.company(seed)
        return one, studies(one, self.chosen.outcomes)

    def _of_first(self, names: tuple[str, ...]) -> list[Study]:
        return [study for name, study in self.first[1].items() if name in names]


def studies(one: World, names: tuple[str, ...]) -> dict[str, Study]:
    """The outcomes of a company that can be learnt; it is said which cannot."""
    found = {}
    for name in names:
        try:
            found[name] = one.study(name)
            say(f"  {name}, company {one.company.seed}: learnt in {found[name].seconds:.0f} s")
        except RefusedError as error:
            say(f"  {name}, company {one.company.seed}: REFUSED: {error}")
    return found


if __name__ == "__main__":
    main()
