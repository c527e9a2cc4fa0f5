"""Write ``docs/errors.md``, the page of all error codes, from the source; ``--check`` says whether it is up to date.

A code's meaning is found where the error is made: the message of a constructor call (``RunError("E-RUN-001", "...")``,
``Failed("E-RUN-001", "...")``), a table's ``_code(1, "...")``, or a line ``"E-RUN-001: ..."``. What the code computes
shows as an ellipsis. Where one code is used with several messages, a person must have said in ``docs/errors.toml`` what
they have in common; until then the check fails, for the second message may mean something else and want its own code.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from generated import write_or_check

ROOT = Path(__file__).resolve().parents[1]
MEANINGS = ROOT / "docs" / "errors.toml"

CODE = re.compile(r"E-[A-Z]+-\d{3}")
ELLIPSIS = "…"


@dataclass
class Code:
    """One error code as the source uses it.

    Attributes:
        messages: distinct messages, in the order they were found.
        fixes: what to do about it, distinct.
        owners: packages that use it.
        kinds: names of the classes it is made with; a row's failure counts as the error of a row.
    """

    messages: list[str] = field(default_factory=list)
    fixes: list[str] = field(default_factory=list)
    owners: set[str] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)


def sources() -> list[Path]:
    """Every module of the core and of the plugins, tests left out."""
    packages = [ROOT / "itune_core", *sorted(ROOT.glob("plugins/*/itune_*"))]
    return [path for package in packages for path in sorted(package.rglob("*.py"))]


def collect(files: Sequence[Path]) -> tuple[dict[str, Code], set[str]]:
    """The codes that `files` use, and all that they mention, in docstrings too."""
    codes: dict[str, Code] = defaultdict(Code)
    mentioned: set[str] = set()
    for path in files:
        text = path.read_text("utf-8")
        mentioned.update(CODE.findall(text))
        area, owner = _area(path, text), _owner(path)
        for node in ast.walk(ast.parse(text, str(path))):
            for code, kind, messages, fixes in _uses(node, area):
                known = codes[code]
                known.kinds.add(kind)
                known.owners.add(owner)
                known.messages += [message for message in messages if message not in known.messages]
                known.fixes += [fix for fix in fixes if fix not in known.fixes]
    return dict(codes), mentioned


def _owner(path: Path) -> str:
    """The package that a module belongs to."""
    return next(part for part in path.relative_to(ROOT).parts if part.startswith("itune_"))


def _area(path: Path, text: str) -> str:
    """The area of the codes that a module's table gives by number."""
    found = re.search(r'code = f"E-([A-Z]+)-\{number', text)
    return found[1] if found else path.stem.upper()


def _uses(node: ast.AST, area: str) -> Iterator[tuple[str, str, list[str], list[str]]]:
    """(code, kind, messages, fixes) for what one node of the syntax tree makes."""
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        named = {keyword.arg: keyword.value for keyword in node.keywords}
        if name == "_code" and len(node.args) == 2:
            number, meaning = (ast.literal_eval(argument) for argument in node.args)
            yield f"E-{area}-{number:03d}", "RecipeError", [meaning], []
        elif name.endswith("Error") or name == "Failed":
            kind = "RowError" if name == "Failed" else name
            arguments = [*node.args, *(named[key] for key in ("what", "message", "code") if key in named)]
            codes = [code for argument in arguments[:2] for code in _codes(argument)]
            texts = [text for argument in arguments[:2] if not _codes(argument) for text in _texts(argument)]
            fixes = _texts(named["fix"]) if "fix" in named else []
            for code in codes:
                yield code, kind, [text for text in texts if text], [fix for fix in fixes if fix]
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        for argument, default in zip(reversed(node.args.args), reversed(node.args.defaults), strict=False):
            if argument.arg == "code":  # what the short form of an error falls back to
                for code in _codes(default):
                    yield code, "RowError", [], []
    elif isinstance(node, (ast.Constant, ast.JoinedStr)):
        for text in _texts(node):
            code, colon, message = text.partition(": ")
            if colon and CODE.fullmatch(code) and "\n" not in message:
                yield code, "warning", [message], []


def _codes(node: ast.expr) -> list[str]:
    return [text for text in _texts(node) if CODE.fullmatch(text)]


def _texts(node: ast.expr) -> list[str]:
    """What an expression can spell, one text for each branch of a condition; what is computed is an ellipsis."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.Constant():
            return [""]
        case ast.JoinedStr(values=parts):
            spelt = "".join(part.value if isinstance(part, ast.Constant) else ELLIPSIS for part in parts)
            return [re.sub(rf"{ELLIPSIS}+", ELLIPSIS, spelt)]
        case ast.IfExp(body=first, orelse=second):
            return [*_texts(first), *_texts(second)]
        case ast.BoolOp(values=values):
            return [text for value in values for text in _texts(value)]
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return [one + other for one in _texts(left) for other in _texts(right)]
        case _:
            return [ELLIPSIS]


def problems(codes: dict[str, Code], mentioned: set[str], meanings: dict[str, str]) -> list[str]:
    """What keeps the codes from being one meaning each."""
    found = []
    for code, use in sorted(codes.items()):
        told = [message for message in use.messages if message.strip(f"{ELLIPSIS}: ")]
        if len(use.owners) > 1:
            found.append(f"{code} is used by {' and '.join(sorted(use.owners))}: a code belongs to one package")
        if len(use.kinds) > 1:
            found.append(f"{code} is made as {' and as '.join(sorted(use.kinds))}: callers treat them differently")
        if code not in meanings and len(told) != 1:
            shown = "".join(f"\n    {message}" for message in use.messages)
            found.append(
                f"{code} has {len(told)} messages that can be told from the source: state in docs/errors.toml what "
                f"they have in common, or give one of them another code{shown}"
            )
    found += [
        f"{code} has a meaning in docs/errors.toml and is not used" for code in sorted(meanings.keys() - codes.keys())
    ]
    found += [
        f"{code} needs no meaning in docs/errors.toml: it has one message"
        for code in sorted(meanings.keys() & codes.keys())
        if len(codes[code].messages) == 1 and codes[code].messages[0].strip(f"{ELLIPSIS}: ")
    ]
    found += [f"{code} is mentioned, but nothing raises it" for code in sorted(mentioned - codes.keys())]
    return found


def page(codes: dict[str, Code], meanings: dict[str, str], areas: dict[str, str]) -> str:
    """The page's Markdown."""
    lines = [
        *("---", "tocdepth: 2", "---", ""),
        "# Errors",
        "",
        "<!-- Written by docs/errors_page.py from the source. Change the source or docs/errors.toml, then run it. -->",
        "",
        "Every error that itune raises on purpose has a code. It says what happened, where, why (if that is not",
        "plain), and what to type or change next. A code never changes its meaning; `…` stands for what is filled in",
        "when it happens. A row's error does not stop a step: the row goes to the ledger as failed, until more rows",
        "fail than `max_failed` allows ([E-RUN-010](#e-run-010)).",
        "",
        "Each code has an anchor of its own, the code in lower case: link `errors.md#e-run-010` in these pages and",
        "`errors/#e-run-010` on the built site. `itune` prints the code first, and `--traceback` before a command",
        "(`itune --traceback run recipe.yaml`) also shows where the error came from.",
        "",
    ]
    by_area: dict[str, list[str]] = defaultdict(list)
    for code in sorted(codes):
        by_area[code.split("-")[1]].append(code)
    for area in sorted(by_area):
        owners = sorted({owner for code in by_area[area] for owner in codes[code].owners})
        title = areas.get(area)
        owned = ", ".join(f"`{owner}`" for owner in owners)
        lines += [f"## E-{area}", "", f"{title} ({owned})." if title else f"Raised by {owned}.", ""]
        for code in by_area[area]:
            use = codes[code]
            lines += [f"### {code}", "", meaning(code, use, meanings), ""]
            if use.fixes:
                lines += [f"What to do: {_plain('; '.join(dict.fromkeys(use.fixes)))}", ""]
    return "\n".join(lines)


def meaning(code: str, use: Code, meanings: dict[str, str]) -> str:
    """What a code says, one sentence of Markdown."""
    return _plain(_sentence(meanings.get(code) or use.messages[0]))


def _sentence(text: str) -> str:
    """`text` with a full stop, and a capital where it begins with a word (and not with a name)."""
    first = text.split()[0]
    start = first[0].upper() if first.isalpha() and first != "itune" else first[0]
    return f"{start}{text[1:]}{'' if text.endswith('.') else '.'}"


def _plain(text: str) -> str:
    """`text` as Markdown that shows it as it is; what stands in backticks stays code."""
    return re.sub(r"(`[^`]*`)|([\\<>*_\[\]{}#])", lambda found: found[1] or f"\\{found[2]}", text.replace("\n", " "))


def main() -> int:
    """Write the page, or check it. Returns the process' exit code."""
    told = tomllib.loads(MEANINGS.read_text("utf-8"))
    codes, mentioned = collect(sources())
    wrong = problems(codes, mentioned, told["meanings"])
    if wrong:
        print(*wrong, sep="\n", file=sys.stderr)
        return 1
    return write_or_check("errors_page.py", {"errors.md": page(codes, told["meanings"], told["areas"])})


if __name__ == "__main__":
    sys.exit(main())
