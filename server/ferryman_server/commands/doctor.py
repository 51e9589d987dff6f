"""`ferryman doctor`: what is wrong with a configuration, in plain words, and how to mend it. Changes nothing."""

import argparse
import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ferryman_server.checkup.findings import Finding, Level, wrong
from ferryman_server.checkup.folder import check_folder
from ferryman_server.checkup.machine import check_extra, check_machine
from ferryman_server.checkup.network import check_address
from ferryman_server.checkup.records import check_records
from ferryman_server.commands.base import FINE, PROBLEMS, CannotRun
from ferryman_server.commands.looking import lock_holder
from ferryman_server.settings import Settings, explain
from ferryman_server.settings_sources import add_arguments, read

if TYPE_CHECKING:
    from ferryman_server.checkup.bucket import BucketSeen


class Doctor:
    """The command. Unlike the others it goes on with settings that are partly wrong: they are what it is for."""

    name = "doctor"
    help = "say what is wrong with this configuration and how to mend it"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """`--verify`, and a flag for each setting."""
        parser.add_argument(
            "--verify", action="store_true", help="read every complete upload back and compare it with its checksum"
        )
        add_arguments(parser)

    def run(self, args: argparse.Namespace) -> int:
        """Print the settings with their sources, then the findings."""
        settings, problems = read(args, os.environ, Path.cwd())
        print(_settings_table(settings))
        findings = [wrong(problem, "correct it where it was set") for problem in problems]
        findings += examine(settings, verify=args.verify)
        print("\n".join(map(str, findings)))
        bad = sum(finding.level is Level.WRONG for finding in findings)
        print(f"\n{'Nothing is wrong.' if not bad else f'{bad} wrong: mend these first.'}")
        return PROBLEMS if bad else FINE


def examine(settings: Settings, *, verify: bool = False) -> list[Finding]:
    """Every check, in the order in which a person would mend things."""
    findings = [finding for extra in _extras(settings) for finding in check_extra(extra)]
    installed = not any(finding.level is Level.WRONG for finding in findings)
    findings += [*check_machine(), *check_folder(settings)]
    try:
        holder = lock_holder(settings.data)
        findings += check_address(settings, holder.pid if holder is not None else None)
    except CannotRun as reason:
        return [*findings, wrong(str(reason), "change its owner, or run doctor as the server's user")]
    bucket = _bucket(settings) if settings.in_bucket and installed else None
    findings += bucket.findings if bucket is not None else ()
    records = check_records(settings, time.time(), verify=verify and installed, bucket=bucket)
    return [*findings, *asyncio.run(records)]


def _bucket(settings: Settings) -> "BucketSeen":
    from ferryman_server.checkup.bucket import check_bucket  # here, since its packages may be missing

    return check_bucket(settings)


def _extras(settings: Settings) -> tuple[str, ...]:
    return ("server", "s3") if settings.in_bucket else ("server",)


def _settings_table(settings: Settings) -> str:
    rows = explain(settings)
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"{name:<{widths[0]}}  {value:<{widths[1]}}  {source}" for name, value, source in rows) + "\n"


command = Doctor()
