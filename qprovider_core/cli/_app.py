"""The group of commands: what there is, and what happens when one of them fails."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from qprovider_core import __version__

# Name: module, and the first line of its help, so that the list of commands loads none of them.
COMMANDS = {
    "about": ("about", "Show the versions in use, for a bug report."),
    "accounts": ("accounts", "Save, list and remove accounts."),
    "backend": ("backend", "Show one backend, qubit by qubit."),
    "backends": ("backends", "List backends of all accounts at once."),
    "cancel": ("cancel", "Cancel jobs."),
    "completion": ("completion", "Print the script that completes commands in a shell."),
    "emulate": ("emulate", "Run a vendor's service on this machine, for tests."),
    "job": ("job", "Show all that is known of a job, with its timeline."),
    "jobs": ("jobs", "List the jobs of all accounts, newest first."),
    "new-plugin": ("new_plugin", "Write the package of a new plugin."),
    "plugins": ("plugins", "List the installed plugins, those left out too."),
    "rerun": ("rerun", "Run the circuits of a job again, as a new one."),
    "result": ("result", "Show the result of a job; wait for it."),
    "run": ("run", "Run the circuits of a file and show their counts."),
    "tag": ("tag", "Change the tags, the name or the note of a job."),
    "usage": ("usage", "Show the quantum time that accounts have used."),
    "watch": ("watch", "Watch jobs until they have ended."),
}

_EPILOG = """\b
Exit codes:
  0    done
  1    failed
  2    wrong usage: an option, an unknown name, a --where that cannot be read
  130  interrupted
"""


class Commands(click.Group):
    """Commands that are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        command = import_module(f"qprovider_core.cli.{module}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            from qprovider_core.errors import near_matches  # late: only errors need it

            near = near_matches(name, COMMANDS)
            ctx.fail(f"There is no command {name!r}.{f' Did you mean {near[0]!r}?' if near else ''}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. What it raises becomes one readable block and an exit code."""
        from qprovider_core.cli import _errors  # late: help needs none of it

        _errors.show_log_messages()
        try:
            super().invoke(ctx)
            sys.stdout.flush()  # so that a broken pipe shows here and not at exit
        except (click.ClickException, click.exceptions.Exit):
            raise
        except BrokenPipeError:
            _errors.drop_output()
        except (KeyboardInterrupt, click.Abort):
            ctx.exit(_errors.interrupted())
        except Exception as exc:  # noqa: BLE001  # the last place that can turn it into a message
            ctx.exit(_errors.report(exc, debug=bool(ctx.params["debug"])))


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_EPILOG,
)
@click.version_option(__version__, prog_name="qprovider", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, envvar="QPROVIDER_DEBUG", help="Show the traceback of an error.")
@click.option("--ledger", metavar="PLACE", help="The file, or its directory, in which jobs are written down.")
@click.option("--no-ledger", is_flag=True, help="Go on without a record of jobs, as when its file is broken.")
def app(debug: bool, ledger: str | None, no_ledger: bool) -> None:
    """One account for every quantum computer: find backends, run circuits."""
    if ledger is not None or no_ledger:
        from qprovider_core.cli._ledger_place import use_place  # late: rare

        use_place(ledger, no_ledger)
