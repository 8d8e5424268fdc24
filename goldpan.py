"""The front door: one command whose verbs follow the data. Each loads what it needs when called."""

from typing import Any

import click

from commands import data, demo, erase, keys, ledger, models, scores, users
from commands.terminal import screen
from features.errors import GoldpanError, from_outside

STOPPED = 130
VERBS = (
    data.simulate,
    data.ingest,
    data.build,
    data.lifecycle,
    models.train,
    models.insights,
    models.promote,
    models.compare,
    models.rollback,
    models.dataset,
    scores.score,
    scores.serve,
    ledger.audit_score,
    ledger.reviews,
    erase.erase,
    keys.key,
    users.user,
    demo.demo,
)


class Verbs(click.Group):
    """Shows errors in words, never as a traceback, and lists the verbs in the data's order."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The order in which one would use them."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb; an error that a person can act on ends it with its own exit code."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except KeyboardInterrupt:
            screen.stopped()
            ctx.exit(STOPPED)
        except Exception as error:
            told = error if isinstance(error, GoldpanError) else from_outside(error)
            if told is None:
                raise
            screen.failure(told)
            ctx.exit(told.exit_code)


@click.group(cls=Verbs, context_settings={"max_content_width": 100})
@click.version_option(package_name="goldpan")
def main() -> None:
    """Who will buy, who will upgrade, who will leave, and why.

    The verbs follow the data: simulate (or bring your own files), ingest, build, train, promote,
    score, serve. lifecycle and insights tell what the data say; compare, rollback and dataset look
    after what was trained; key makes and ends the keys of the API, user says who signs in to the
    console; erase takes an account or a person out. `goldpan demo` does all of it.

    Exit codes: 0 done, 2 something to put right, 3 refused by the data or by the gate, 130 stopped
    by Ctrl-C.
    """


for command in VERBS:
    main.add_command(command)

if __name__ == "__main__":
    main()
