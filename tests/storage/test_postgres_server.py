"""The tests' own PostgreSQL: nothing of a killed run stays."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.storage.postgres_server import PostgresServer, remove_abandoned

PROJECT = Path(__file__).parents[2]
MAKER = """
import sys, time
from tests.storage.postgres_server import PostgresServer
server = PostgresServer()
server.create()
server.start()
print(server.url("postgres").rpartition("=")[2], flush=True)
time.sleep(600)
"""


def test_cluster_of_a_killed_run_is_removed_and_a_living_one_is_not(postgres: PostgresServer):
    with subprocess.Popen(
        [sys.executable, "-c", MAKER], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    ) as maker:
        assert maker.stdout is not None
        folder = Path(maker.stdout.readline().strip())
        main = int((folder / "data" / "postmaster.pid").read_text().split()[0])
        remove_abandoned()
        os.kill(main, 0)  # It runs.
        maker.send_signal(signal.SIGKILL)
    remove_abandoned()
    assert not folder.exists()
    assert not Path(f"/proc/{main}").exists()
    assert postgres.execute("SELECT 1") == [(1,)]
