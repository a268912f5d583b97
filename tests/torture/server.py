"""Kills the server and starts it again, as the user that it runs as."""

import os
import signal
import subprocess
from pathlib import Path
from time import monotonic, sleep

import psycopg


class Server:
    def __init__(self):
        with psycopg.connect("dbname=postgres", autocommit=True) as connection:
            self.data = connection.execute("show data_directory").fetchone()[0]
            self.programs = connection.execute(
                "select setting from pg_config() where name = 'BINDIR'"
            ).fetchone()[0]
        self.log = Path(self.data).parent / "server.log"

    def as_owner(self, *command):
        """Runs a program as the owner of the data, because PostgreSQL refuses to run as root."""
        owner = os.stat(self.data)
        other = {}
        if owner.st_uid != os.geteuid():
            other = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
        subprocess.run(
            command,
            check=True,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            **other,
        )

    def crash(self):
        """SIGQUIT to the postmaster: no checkpoint, no goodbye; then recovery."""
        postmaster = int((Path(self.data) / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGQUIT)
        until = monotonic() + 30
        while monotonic() < until:
            try:
                os.kill(postmaster, 0)
            except ProcessLookupError:
                break
            sleep(0.02)
        self.as_owner(
            f"{self.programs}/pg_ctl", "start", "-w", "-s", "-D", self.data, "-l", str(self.log), "-t", "60"
        )
