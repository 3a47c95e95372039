"""The shape of the code: sizes, forbidden names and calls, settings documented."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("accounting", "benchmarks", "config", "federation", "studies", "tests")
FILES = sorted(
    path
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
    if "migrations" not in path.parts
)
# An auditor takes away one file; its parts are kept, each within the limit, beside it.
GENERATED = ROOT / "accounting/verifier/cloister_verify.py"
CODE = [path for path in FILES if path.relative_to(ROOT).parts[0] != "tests"]
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "pickle.load",
    "pickle.loads",
    "joblib.load",
    "torch.load",
    "yaml.load",
    "marshal.loads",
}
FORBIDDEN_RANDOM = {"random", "numpy.random"}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def dotted(node: ast.expr) -> str:
    """`a.b.c` of an attribute chain; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def calls_and_trees(paths: list[Path]):
    """(path, tree) of each file."""
    return [(path, parsed(path)) for path in paths]


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


PASSED_OVER = {"ignore_conflicts", "update_conflicts", "update_or_create"}
MAY_PASS_OVER = {  # mutable tables; the ledger's are guarded
    "Delivery.objects.bulk_create",
    "ReportSchedule.objects.update_or_create",
}


def test_no_row_that_is_written_once_is_passed_over_or_replaced():
    """A guarded table answers INSERT OR IGNORE on SQLite with an error, PostgreSQL with silence."""
    found = {
        dotted(node.func)
        for _, tree in calls_and_trees(CODE)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and PASSED_OVER & {dotted(node.func).rpartition(".")[2], *(k.arg for k in node.keywords)}
    }
    assert found <= MAY_PASS_OVER


def test_conflicts_in_plain_sql_are_only_those_of_the_running_sums():
    pattern = re.compile(r"ON CONFLICT|INSERT OR (IGNORE|REPLACE)|REPLACE INTO")
    found = {named(path) for path in CODE if pattern.search(path.read_text())}
    explained = {"studies/triggers.py"}  # says what the guard does about it
    assert found - explained == {"accounting/services/sums.py"}


def test_a_file_stops_at_400_lines():
    written = [path for path in FILES if path != GENERATED]
    assert [named(path) for path in written if path.read_text().count("\n") > 400] == []


def test_a_function_stops_at_50_lines():
    long = [
        f"{named(path)}: {node.name}"
        for path, tree in calls_and_trees(FILES)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno >= 50
    ]
    assert long == []


def test_nothing_is_called_utils_helpers_or_manager():
    assert [named(path) for path in FILES if re.search(r"utils|helpers|manager", path.stem)] == []


def test_a_module_says_what_it_is_responsible_for():
    assert [named(p) for p, tree in calls_and_trees(CODE) if not ast.get_docstring(tree)] == []


def test_nothing_is_unpickled_or_evaluated():
    found = [
        f"{named(path)}:{node.lineno}"
        for path, tree in calls_and_trees(CODE)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and (
            dotted(node.func) in FORBIDDEN_CALLS
            or any(keyword.arg == "allow_pickle" for keyword in node.keywords)
        )
    ]
    assert found == []


def test_no_predictable_randomness_near_keys_and_noise():
    found = [
        f"{named(path)}:{node.lineno}"
        for path, tree in calls_and_trees(CODE)
        if path.relative_to(ROOT).parts[0] != "benchmarks"
        for node in ast.walk(tree)
        if predictable(node)
    ]
    assert found == []


def predictable(node: ast.AST) -> bool:
    """Whether the node reaches for `random` or `numpy.random`."""
    if isinstance(node, ast.Import):
        return bool(FORBIDDEN_RANDOM & {name.name for name in node.names})
    if isinstance(node, ast.ImportFrom):
        return node.module in FORBIDDEN_RANDOM
    return isinstance(node, ast.Attribute) and dotted(node) in {"np.random", "numpy.random"}


def test_every_setting_is_documented_and_every_documented_setting_exists():
    settings = (ROOT / "config" / "settings.py").read_text()
    read = set(re.findall(r'env\.\w+\(\s*"(CLOISTER_\w+)"', settings))
    documented = set(
        re.findall(r"^\| `(CLOISTER_\w+)`", (ROOT / "docs/settings.md").read_text(), re.M)
    )
    assert read == documented


def test_nothing_committed_names_a_cdn():
    pattern = re.compile(r"""(?:src|href)=["'](?:https?:)?//""")
    for path in (ROOT / "templates").rglob("*.html"):
        assert not pattern.search(path.read_text()), named(path)
