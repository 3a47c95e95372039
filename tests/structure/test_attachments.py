"""Every download is answered by one function, which forbids caches to keep it."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACE = "studies/attachments.py"
PACKAGES = ("accounting", "config", "federation", "studies")


def _answers_with_a_file(tree: ast.AST) -> bool:
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    return "FileResponse" in names or "Content-Disposition" in texts


def test_only_one_place_answers_with_a_file() -> None:
    found = [
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if _answers_with_a_file(ast.parse(path.read_text()))
    ]
    assert found == [PLACE]
