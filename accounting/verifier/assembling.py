"""Puts the verifier's parts into one file that needs nothing else: cloister_verify.py."""

import ast
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
FILE = FOLDER / "cloister_verify.py"
PACKAGE = "accounting.verifier.parts"
ORDER = (
    "reading",
    "inputs",
    "trees",
    "losses",
    "histories",
    "renyi",
    "figures",
    "findings",
    "entries",
    "signed",
    "lives",
    "budgets",
    "audits",
    "choices",
    "replay",
    "scopes",
    "sections",
    "claimed",
    "reports",
    "command",
)
HEAD = '''#!/usr/bin/env python3
"""cloister-verify: checks an exported privacy ledger, for somebody who trusts nobody.

    python3 cloister_verify.py bundle.json --key HEX

Needs Python 3.9 or newer and the package `cryptography`, and nothing of the software that it
checks. It sends nothing anywhere and writes no file. Read it before you believe it; it is in
parts, each with a title. In the source of Cloister they are accounting/verifier/parts/*.py; this
file is put together from them by `python manage.py generate`, so change those.
"""

from __future__ import annotations

'''
TAIL = """

if __name__ == "__main__":
    sys.exit(main())
"""


class Clash(ValueError):
    """Two parts use one name, which a single file cannot."""


def assembled() -> str:
    """The text of the one file. Raises Clash where two parts define the same name."""
    imports: set[str] = set()
    owners: dict[str, str] = {}
    sections = []
    for name in ORDER:
        text = (FOLDER / "parts" / f"{name}.py").read_text()
        tree = ast.parse(text)
        for defined in _defined(tree):
            if owners.setdefault(defined, name) != name:
                raise Clash(f"{defined} stands in {owners[defined]}.py and in {name}.py; rename it")
        imports |= _imports(tree)
        sections.append(_section(name, text, tree))
    return HEAD + _sorted(imports) + "\n".join(sections) + TAIL


def _defined(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            names |= (
                {n.id for n in ast.walk(target) if isinstance(n, ast.Name)} if target else set()
            )
    return names


def _imports(tree: ast.Module) -> set[str]:
    """What a part needs of the standard library and `cryptography`, one name a line."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {f"import {alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and _is_foreign(node):
            found |= {f"from {node.module} import {alias.name}" for alias in node.names}
    return found


def _is_foreign(node: ast.ImportFrom) -> bool:
    return node.module != "__future__" and not str(node.module).startswith(PACKAGE)


def _sorted(imports: set[str]) -> str:
    """Imports in the order that the linter wants: plain ones, then one line for each module."""
    plain = sorted(line for line in imports if line.startswith("import"))
    modules: dict[str, list[str]] = {}
    for line in sorted(imports - set(plain)):
        _, module, _, name = line.split()
        modules.setdefault(module, []).append(name)
    lines = [_import(module, sorted(names, key=_rank)) for module, names in sorted(modules.items())]
    own = [line for line in lines if "cryptography" not in line]
    foreign = [line for line in lines if "cryptography" in line]
    return "\n".join([*plain, *own, "", *foreign]) + "\n"


def _import(module: str, names: list[str]) -> str:
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= 100:
        return line
    return "\n".join([f"from {module} import (", *(f"    {name}," for name in names), ")"])


def _rank(name: str) -> tuple[bool, str]:
    return (not name.isupper(), name)


def _section(name: str, text: str, tree: ast.Module) -> str:
    """A part's code under its title, which is its docstring; its imports have gone to the top."""
    title = str(ast.get_docstring(tree)).splitlines()
    body = [node for node in tree.body[1:] if not isinstance(node, ast.Import | ast.ImportFrom)]
    first = min([body[0].lineno, *(d.lineno for d in getattr(body[0], "decorator_list", []))])
    code = text.splitlines()[_with_comments(text, first) - 1 :]
    heading = [f"# {name}", *title]
    rule = "# " + "=" * 98
    comment = "\n".join(f"# {line}".rstrip() for line in heading[1:])
    return f"\n{rule}\n# {name}: part of cloister-verify\n#\n{comment}\n{rule}\n\n" + (
        ("\n" if _starts_block(code) else "") + "\n".join(code).rstrip() + "\n"
    )


def _with_comments(text: str, line: int) -> int:
    """The first of the comment lines that stand directly above `line`."""
    lines = text.splitlines()
    while line > 1 and lines[line - 2].startswith("#"):
        line -= 1
    return line


def _starts_block(code: list[str]) -> bool:
    return code[0].startswith(("class ", "def ", "@"))
