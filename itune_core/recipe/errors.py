"""What can be wrong with a recipe: one code each, and the list that all of them are gathered in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from itune_core.api.errors import ItuneError, RecipeError
from itune_core.recipe.nodes import Node, Place, dotted
from itune_core.recipe.nodes import Path as TreePath

CODES: dict[str, str] = {}
"""Every code of this layer, with its meaning in one line."""


def _code(number: int, meaning: str) -> str:
    code = f"E-RECIPE-{number:03d}"
    CODES[code] = meaning
    return code


MANY = _code(1, "The recipe has mistakes; each is listed with its own code.")
UNREADABLE = _code(2, "The recipe's file cannot be read: it is missing, too large, or not UTF-8.")
SYNTAX = _code(3, "The file is not YAML.")
DUPLICATE_KEY = _code(4, "A key is given twice in one mapping.")
TAG = _code(5, "A YAML tag such as !!python/object; recipes hold plain data only.")
ANCHOR = _code(6, "A YAML anchor or alias; values are shared through `vars`.")
DEPTH = _code(7, "Lists and mappings are nested too deeply.")
SHAPE = _code(8, "A value has the wrong shape: a mapping, a list or a single value was expected.")
VERSION = _code(9, "`itune:` is missing or names a recipe version that this itune does not read.")
UNKNOWN_KEY = _code(10, "A key that recipes do not have at this place.")
RESERVED_KEY = _code(11, "A key that is reserved for a later version.")
MISSING_KEY = _code(12, "A key that must be given is missing.")
BAD_NAME = _code(13, "A name is not written as names are: lower-case letters, digits and underscores.")
NAME_TWICE = _code(14, "Two of the recipe's models, steps and outputs share a name.")
BAD_VALUE = _code(15, "A value of the recipe itself (seed, max_failed, ...) is of the wrong type or out of range.")
UNKNOWN_STAGE = _code(16, "`uses:` names a stage that does not exist.")
BAD_USES = _code(17, "`uses:` is not of the form stage/component.")
UNKNOWN_SETTING = _code(20, "`with:` has a setting that the component does not have.")
BAD_SETTING = _code(21, "A setting has the wrong type or an impossible value.")
MISSING_SETTING = _code(22, "A setting that the component requires is missing.")
NO_FILE = _code(23, "A file, folder or glob that a setting names does not exist.")
OPEN_SECRET = _code(24, "A secret stands in the recipe itself, or is not given as env:NAME or file:PATH.")
UNKNOWN_REFERENCE = _code(30, "A reference in a value names no variable and no axis.")
BAD_REFERENCE = _code(
    31, "A reference is not written ${vars.NAME} or ${matrix.NAME}, or stands where it cannot be resolved."
)
UNKNOWN_STEP = _code(32, "`from:` or a setting names a step that does not exist.")
UNKNOWN_OUTPUT = _code(33, "A step is asked for an output that it does not have.")
UNKNOWN_INPUT = _code(34, "`from:` names an input that the component does not have.")
MISSING_INPUT = _code(35, "An input that the component requires is not given.")
ONE_INPUT = _code(36, "Several data sets are given to an input that takes one.")
UNKNOWN_MODEL = _code(37, "A setting names a model that is neither under `models:` nor trained by a step.")
NOT_A_MODEL = _code(38, "A setting that wants a model names a step that does not train one.")
NOT_RECORDS = _code(39, "`from:` names something that gives no records.")
KINDS = _code(40, "An input takes other kinds of record than it is given, and the core has no cast between them.")
MIXED_KINDS = _code(41, "A step is given records of different kinds and can only hand on one.")
NO_KIND = _code(42, "A component does not say which kind of record it makes.")
CYCLE = _code(43, "Steps need each other in a circle.")
NO_COLUMN = _code(44, "A component reads a score column that the records it is given do not have.")
BAD_AXIS = _code(50, "A matrix axis is neither a list of values nor a mapping from names to parts of a step.")
UNKNOWN_AXIS = _code(51, "`variant:` names no axis of the matrix.")
UNUSED_AXIS = _code(52, "A matrix axis changes nothing: no step varies along it.")
BAD_OVERRIDE = _code(60, "--set names a place that the recipe does not have, or has no value.")


@dataclass(frozen=True)
class Problem:
    """One mistake.

    Attributes:
        code: one of :data:`CODES`, or the code of the plugin layer's error.
        what: what is wrong, one sentence.
        where: ``file:line``, or the ``--set`` that is wrong.
        path: the key: ``steps.sft.with.learning_rate``; empty for the file as a whole.
        expected: what would be right.
        fix: what to change or type next.
        line: line in the file, from 1; 0 for a ``--set``.
    """

    code: str
    what: str
    where: str
    path: str = ""
    expected: str | None = None
    fix: str | None = None
    line: int = field(default=0, compare=False)

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.code}: {self.what}"]
        for label, text in (("at", self.path), ("expected", self.expected), ("fix", self.fix)):
            if text:
                lines.append(f"  {label}: {text}")
        return "\n".join(lines)


class RecipeProblems(RecipeError):
    """All mistakes of one recipe, in the order of their lines.

    Attributes:
        problems: at least one.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        count = len(self.problems)
        super().__init__(MANY, f"the recipe has {count} mistake{'' if count == 1 else 's'}")

    def __str__(self) -> str:
        return "\n".join([f"{self.code}: {self.what}", *map(str, self.problems)])

    def __reduce__(self) -> tuple[object, ...]:
        return RecipeProblems, (self.problems,)


class Problems:
    """Gathers mistakes while the recipe is read.

    The same mistake, met again in another variant, counts once; so does a value whose reference cannot be replaced,
    whatever else may be wrong with the text that is left.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._found: dict[Problem, None] = {}
        self._unresolved: set[tuple[str, str]] = set()

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def add(
        self,
        code: str,
        what: str,
        at: Node | Place,
        path: TreePath = (),
        *,
        expected: str | None = None,
        fix: str | None = None,
    ) -> None:
        """Note a mistake at a node or place of the recipe."""
        place = at.at if isinstance(at, Node) else at
        where = place.origin or f"{self.file}:{place.line}"
        line = 0 if place.origin else place.line
        if code in (UNKNOWN_REFERENCE, BAD_REFERENCE):
            self._unresolved.add((where, dotted(path)))
        elif (where, dotted(path)) in self._unresolved:
            return
        self._found.setdefault(Problem(code, what, where, dotted(path), expected, fix, line))

    def adopt(self, error: ItuneError, at: Node | Place, path: TreePath = ()) -> None:
        """Note an error of another layer (a component that cannot be found, say) as a mistake at this place."""
        what = "; ".join(filter(None, (error.what, error.why)))
        self.add(error.code, f"{what} (in {error.where})" if error.where else what, at, path, fix=error.fix)

    def error(self) -> RecipeProblems:
        """All that was noted, as one error."""
        return RecipeProblems(self._found)
