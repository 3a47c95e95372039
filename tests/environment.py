"""Sets the hub's environment before Django reads its settings (loaded with `-p` by pytest).

Each test process gets its own folder and its own Valkey port. CLOISTER_TEST_DATABASE=postgresql
starts a private PostgreSQL server and runs the same tests on it.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from config.launch.ports import free_port
from config.launch.valkey import embedded_valkey
from tests.postgresql import PostgreSQL

FOLDER = Path(tempfile.mkdtemp(prefix="cloister-tests-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)

VALKEY_PORT = free_port()
VALKEY = embedded_valkey(FOLDER / "valkey", VALKEY_PORT)

(FOLDER / "hub" / "static").mkdir(parents=True)  # config.asgi serves it
os.environ["CLOISTER_VAR"] = str(FOLDER / "hub")
os.environ["CLOISTER_REDIS_URL"] = VALKEY.url
os.environ.setdefault("OMP_NUM_THREADS", "1")
if os.environ.get("CLOISTER_TEST_DATABASE") == "postgresql" and (
    "CLOISTER_DATABASE_URL" not in os.environ
):
    server = PostgreSQL(FOLDER / "postgresql")
    server.start()
    atexit.register(server.stop)
    os.environ["CLOISTER_DATABASE_URL"] = server.url
