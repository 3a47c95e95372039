"""What the learning package may load: never Django; torch only where torch is needed."""

import subprocess
import sys

import pytest

BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {blocked}:
            raise ImportError(name + ' is blocked')
sys.meta_path.insert(0, Blocker())
import {module}
"""
LIGHT = [
    "federation.learning.architectures.cnn",
    "federation.learning.architectures.gru",
    "federation.learning.architectures.logistic",
    "federation.learning.architectures.lstm",
    "federation.learning.architectures.mlp",
    "federation.learning.architectures.polynomial",
    "federation.learning.architectures.resnet18",
    "federation.learning.averaging",
    "federation.learning.metrics",
    "federation.learning.strategies.fedavg",
]
HEAVY = [
    "federation.learning.evaluation",
    "federation.learning.initial",
    "federation.learning.training",
]


def loads(module, *blocked):
    code = BLOCKED.format(blocked=set(blocked), module=module)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stderr


@pytest.mark.parametrize("module", LIGHT)
def test_the_web_process_may_import_it(module):
    assert loads(module, "django", "torch", "opacus") == ""


def test_architectures_build_only_when_given_torch():
    code = "federation.learning.architectures as a; a.get('mlp'); a.read('mlp', {'hidden': [3]})"
    assert loads(code, "django", "torch", "opacus") == ""


def test_training_needs_no_django():
    assert loads(", ".join(HEAVY), "django") == ""
