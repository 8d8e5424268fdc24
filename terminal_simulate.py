"""What `goldpan simulate --help` tells of the faults, from the faults' own declarations."""

import click


class WithFaults(click.Command):
    """A verb whose help ends with every fault that `--fault` takes."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List them; they are loaded only when somebody asks for help."""
        from features.simulate.faults.listed import FAULTS

        with formatter.section("Faults"):
            formatter.write_dl([(name, fault.meaning) for name, fault in FAULTS.items()])
