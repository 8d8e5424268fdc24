"""What a challenger must show against the champion, each condition with its figure."""

from collections.abc import Sequence

from features.settings import Settings
from features.workspace import Workspace
from training.judging.gate import FEWEST_TEST_POSITIVES, Condition
from training.promoting.compare import Comparison, OutdatedError, compare
from training.promoting.promotion import Challenge
from training.records.registry import Candidate

# A lower bound of -2 % would ask for more positives than there are: of models of the sample company
# (800 to 1,300 test positives) that differ by their seed alone it refuses five of six, by bounds of
# -2.6 to -13 %, one of them surely better in log loss and AUC. So only a sure loss of lift refuses.
MOST_LOSS, LEAST_LIFT, WORSE_SLICE = 0.005, -0.02, -0.03
FEWEST_PERIODS = 2


def against(workspace: Workspace, settings: Settings) -> Challenge:
    """The comparison that `promote` asks for when there is another champion.

    A champion that reads features which are no longer made cannot score any more: it is no
    measure, and the condition says so.
    """

    def challenge(champion: Candidate, challenger: Candidate) -> Sequence[Condition]:
        try:
            return conditions(compare(workspace, settings, champion, challenger))
        except OutdatedError as error:
            said = f"not compared: the champion can no longer score ({error.found})"
            return [Condition(f"against champion {champion.version}", True, said)]

    return challenge


def conditions(found: Comparison) -> list[Condition]:
    """The gate of a challenger: the second version against the first."""
    than = f"champion {found.versions[0]}"
    told = [p for p in found.periods if p.positives >= FEWEST_TEST_POSITIVES]
    loss, lift = found.differences["log_loss_share"], found.differences["lift_share"]
    upper, most = found.bounds["log_loss_share"], found.bounds["lift_share"]
    worse = {name: f for name, f in found.slices.items() if f.high < WORSE_SLICE}
    return [
        Condition(f"compared with {than} on at least {FEWEST_PERIODS} matured cut-offs of "
                  f"{FEWEST_TEST_POSITIVES} positives", len(told) >= FEWEST_PERIODS,
                  f"{len(told)} ({found.how})"),
        Condition(f"log loss no worse than {than}'s", loss.value <= 0, f"{loss.value:+.2%}"),
        Condition(f"log loss surely not {MOST_LOSS:.1%} worse than {than}'s (upper 90 %)",
                  upper <= MOST_LOSS, f"at most {upper:+.2%}"),
        Condition(f"lift at capacity not surely {-LEAST_LIFT:.0%} below {than}'s (upper 90 %)",
                  most >= LEAST_LIFT, f"{lift.value:+.1%}, at most {most:+.1%}"),
        Condition(f"no part of the accounts surely {-WORSE_SLICE:.2f} of AUC worse off",
                  not worse, _worst(found)),
    ]  # fmt: skip


def _worst(found: Comparison) -> str:
    if not found.slices:
        return "no part holds 50 positives"
    name = min(found.slices, key=lambda n: found.slices[n].high)
    return f"{len(found.slices)} parts; the worst is '{name}': {found.slices[name]}"
