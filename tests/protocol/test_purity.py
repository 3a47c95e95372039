"""The protocol package serves hub and sites alike: it needs neither Django nor torch."""

import pkgutil
import subprocess
import sys

import federation.protocol

BLOCK = """
import importlib, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"django", "torch", "celery", "opacus"}:
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocked())
for name in sys.argv[1:]:
    importlib.import_module(name)
print(len(sys.argv) - 1)
"""


def test_every_module_imports_with_django_and_torch_blocked() -> None:
    names = [
        f"federation.protocol.{m.name}" for m in pkgutil.iter_modules(federation.protocol.__path__)
    ]
    done = subprocess.run(
        [sys.executable, "-c", BLOCK, *names], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert int(done.stdout) == len(names) > 10
