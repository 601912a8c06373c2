"""The command line: arguments in, calls of the public API, rendering out. Commands are loaded when they are named."""

from __future__ import annotations

import errno
import os
import signal
import sys

import click

from rote._version import __version__
from rote.cli.failing import show_error
from rote.errors import RoteError, Stopped
from rote.words.ids import nearest

COMMANDS: dict[str, tuple[str, str]] = {
    # name: (module, one line of help), in the order people meet them
    "init": ("founding", "Make the folder a rote project and choose its store."),
    "add": ("adding", "Save data to the store and pin it with a pointer."),
    "update": ("adding", "Fetch what changed at the sources of data."),
    "status": ("status", "What has changed since the data was added."),
    "checkout": ("checkout", "Bring data files to what the pointers say."),
    "diff": ("diff", "What differs between two revisions: data, params, metrics."),
    "ls": ("reading", "List the files of a snapshot."),
    "cat": ("reading", "Write one file of a snapshot to the terminal."),
    "run": ("running", "Run the pipeline: only what must run."),
    "ps": ("controlling", "List the runs under way."),
    "stop": ("controlling", "Ask a run to end, wherever it is."),
    "resume": ("controlling", "Go on with a run that was stopped, paused, killed or failed."),
    "plan": ("planning", "What would run, and why."),
    "why": ("planning", "Why a stage would run, or why it is a hit."),
    "audit": ("auditing", "Do hits once more elsewhere, and compare."),
    "runs": ("runs", "List, filter and sort runs."),
    "show": ("runs", "Show one run."),
    "compare": ("runs", "Compare runs side by side."),
    "logs": ("runs", "Print the log of a run."),
    "tag": ("runs", "Put tags on a run."),
    "sql": ("runs", "Ask the catalogue of runs in SQL."),
    "release": ("models", "Make a version of a model, if it passes its gates."),
    "model": ("model", "Everything about models: show, compare, promote, mark, delete."),
    "models": ("models", "List models, versions and aliases."),
    "promote": ("models", "Point an alias at a version."),
    "rollback": ("models", "Point an alias back at the version before."),
    "publish": ("publishing", "Publish a version where others get it: a bucket, a folder, a forge."),
    "key": ("keys", "Keys that sign what applications follow."),
    "verify": ("verifying", "Walk from a model version back to its data."),
    "fetch": ("models", "Bring the files of a model version into a folder."),
    "github": ("forges", "Releases at GitHub: publish files, download them; no project needed."),
    "gitlab": ("forges", "Releases at GitLab: publish files, download them; no project needed."),
    "bucket": ("forges", "Releases in a bucket or folder: publish files, download them; no project needed."),
    "copy": ("copying", "Copy what one store has to another: only what is missing."),
    "store": ("store", "Look at the store: figures, and whether it is sound."),
    "gc": ("collecting", "What the store does not need any more; delete it."),
    "get": ("getting", "Bring files of another project, at a revision."),
    "import": ("getting", "Bring data of another project and follow it; or take over one of DVC's."),
    "config": ("settings", "Show each setting and where it came from."),
    "schema": ("settings", "Print the JSON schema of rote.yaml for editors."),
}


_STOPPED = Stopped(
    "stopped",
    safe="what was committed before is untouched; what was sent so far is not sent again",
    next="the same command goes on from here",
)


class Rote(click.Group):
    """A group whose commands are imported only when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        from importlib import import_module  # only the command that is asked for costs start-up time

        module = import_module(f"rote.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            meant = nearest(args[0], list(COMMANDS))
            hint = f" Did you mean `rote {meant}`?" if meant else " `rote --help` lists the commands."
            raise click.UsageError(f"There is no command `rote {args[0]}`.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def _version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    if asked:
        click.echo(f"rote {__version__}")
        ctx.exit()


@click.group(cls=Rote, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--cd", "folder", metavar="DIR", help="Act as if started in DIR.")
@click.option("--store", metavar="URL", help="The store to use, before every other setting.")
@click.option("--stats", is_flag=True, help="Say at the end what was asked of the store: requests and bytes.")
@click.option("--quiet", "-q", is_flag=True, help="Show results and errors only, no progress.")
@click.option(
    "--traceback", is_flag=True, help="Show where in rote an error arose (for a report of a defect)."
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version."
)
@click.pass_context
def rote_command(
    ctx: click.Context, folder: str | None, store: str | None, stats: bool, quiet: bool, traceback: bool
) -> None:
    """Continuous training for machine learning from one bucket, without a server."""
    if folder:
        try:
            os.chdir(folder)
        except OSError as e:
            raise click.UsageError(f"cannot go to {folder!r}: {e.strerror}", ctx) from e
    ctx.obj = {"store": store, "stats": stats, "quiet": quiet, "traceback": traceback}


def run(args: list[str]) -> int:
    """Run one command line and return its exit code."""
    show_traceback = "--traceback" in args
    try:
        code = rote_command.main(args, prog_name="rote", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()  # here a disk that is full can still be told; at the interpreter's end it is noise
    except RoteError as e:
        if show_traceback:
            raise
        show_error(e)
        return e.exit_code
    except BrokenPipeError:
        # The reader went away (`rote runs | head`): end as other commands do, without a message.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as e:
        if show_traceback:
            raise
        show_error(_of_system(e))
        return 1
    except click.ClickException as e:
        _pointed_out(e).show()
        return e.exit_code
    except (KeyboardInterrupt, click.Abort):  # the second is what click makes of the first
        show_error(_STOPPED)
        return Stopped.exit_code
    return code if isinstance(code, int) else 0


def _pointed_out(e: click.ClickException) -> click.ClickException:
    """The same error; of an option that every command has, but stands before it, one that says so."""
    if not isinstance(e, click.NoSuchOption) or not any(e.option_name in p.opts for p in rote_command.params):
        return e
    command = e.ctx.info_name if e.ctx else "COMMAND"
    return click.UsageError(
        f"{e.option_name} stands before the command: `rote {e.option_name} … {command}`.", e.ctx
    )


def _of_system(e: OSError) -> RoteError:
    """What the operating system refused where no part of rote had words for it: a full disk, a folder of somebody
    else's."""
    full = e.errno in (errno.ENOSPC, errno.EDQUOT)
    return RoteError(
        f"the system refused: {e.strerror or e}",
        where=str(e.filename) if e.filename else None,
        safe="what was committed to the store before is untouched",
        next="make room (`df -h .`), then do the same again"
        if full
        else "the same with `rote --traceback …` says where",
    )
