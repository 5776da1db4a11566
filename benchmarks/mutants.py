"""Draw mutants of the pure code: small changes of meaning, each at one place, made by cosmic-ray's operators.

Not drawn is what no test can notice or what any would: type annotations, docstrings, decorators, what runs as a
program only, and replacements that most values do not tell apart (`==` by `is`) or that no type takes (`/` of paths).
"""

import ast
import difflib
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import parso
from cosmic_ray.ast import ast_nodes
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from cosmic_ray.operators.provider import OperatorProvider

COMPARISONS = (
    ("Eq", "NotEq"), ("NotEq", "Eq"), ("Lt", "LtE"), ("Lt", "GtE"), ("LtE", "Lt"), ("LtE", "Gt"), ("Gt", "GtE"),
    ("Gt", "LtE"), ("GtE", "Gt"), ("GtE", "Lt"), ("Is", "IsNot"), ("IsNot", "Is"),
)  # fmt: skip
ARITHMETIC = (
    ("Add", "Sub"),
    ("Sub", "Add"),
    ("Mul", "Add"),
    ("Div", "Mul"),
    ("FloorDiv", "Mul"),
    ("Mod", "Mul"),
)
OPERATORS = (
    *(f"ReplaceComparisonOperator_{old}_{new}" for old, new in COMPARISONS),
    *(f"ReplaceBinaryOperator_{old}_{new}" for old, new in ARITHMETIC),
    "ReplaceBinaryOperator_BitOr_BitAnd",
    "ReplaceBinaryOperator_BitAnd_BitOr",
    "ReplaceUnaryOperator_Delete_Not",
    "ReplaceUnaryOperator_USub_UAdd",
    "AddNot",
    "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue",
    "ReplaceAndWithOr",
    "ReplaceOrWithAnd",
    "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak",
    "ExceptionReplacer",
    "NumberReplacer",
    "ZeroIterationForLoop",
)
# Lines on which nothing is drawn: what only a type checker or a caller on the command line reaches.
LEFT_OUT = re.compile(r"TYPE_CHECKING|__name__ ==|add_argument\(|@overload")
# Divisions of numbers; those of paths fail whatever replaces them.
DIVISION = re.compile(r"/ *(?:[0-9(]|[A-Z]{2}|len\()")


@dataclass(frozen=True, order=True)
class Mutant:
    """A change of one file (its path in the tree): the operator, and its how-manieth use there counted from 0."""

    path: str
    line: int
    column: int
    operator: str
    occurrence: int

    def code(self, source: str) -> str:
        """Return the file's text with the change."""
        mutated = mutate_code(source, operator_named(self.operator), self.occurrence)
        if mutated is None:
            raise ValueError(f"{self.path}: {self.operator} has no place {self.occurrence}")
        return str(mutated)

    def diff(self, source: str) -> tuple[str, str]:
        """Return the line that differs, before and after, each without the spaces around it."""
        lines = list(difflib.ndiff(source.splitlines(), self.code(source).splitlines()))
        before = [line[2:].strip() for line in lines if line.startswith("- ")]
        after = [line[2:].strip() for line in lines if line.startswith("+ ")]
        return " ".join(before), " ".join(after)


def operator_named(name: str) -> Operator:
    """Return one of cosmic-ray's operators."""
    return OperatorProvider()[name]()


def find_mutants(path: str, source: str) -> Iterator[Mutant]:
    """Yield every mutant of a file that may be drawn."""
    tree = parso.parse(source)  # type: ignore[no-untyped-call]
    lines = source.splitlines()
    nodes = list(ast_nodes(tree))
    for name in OPERATORS:
        operator = operator_named(name)
        positions = (start for node in nodes for start, _ in operator.mutation_positions(node))
        for occurrence, (line, column) in enumerate(positions):
            text = lines[line - 1]
            if LEFT_OUT.search(text) or ("_Div_" in name and not DIVISION.match(text[column:])):
                continue
            yield Mutant(path, line, column, name, occurrence)


def changes_meaning(mutant: Mutant, source: str) -> bool:
    """Return whether a mutant is Python, and differs from the source in what it does when it runs."""
    try:
        return meaning(mutant.code(source)) != meaning(source)
    except (SyntaxError, AssertionError, AttributeError):  # what an operator cannot do, such as `except a.B`
        return False


def meaning(source: str) -> str:
    """Return a dump of code without its annotations, decorators and docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            node.decorator_list = []
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            node.value = ast.Constant("")
    return ast.dump(tree)


def draw(root: Path, paths: Sequence[str], count: int, seed: int) -> tuple[list[Mutant], int]:
    """Draw some mutants at different places, each place as likely as another; return also the number of places."""
    sources = {path: (root / path).read_text("utf-8") for path in sorted(paths)}
    places: dict[tuple[str, int, int], list[Mutant]] = {}
    for path, source in sources.items():
        for mutant in find_mutants(path, source):
            places.setdefault((path, mutant.line, mutant.column), []).append(mutant)
    chance = random.Random(seed)  # noqa: S311 - a sample that is the same each time
    drawn: list[Mutant] = []
    left = sorted(places)
    chance.shuffle(left)
    for place in left:
        if len(drawn) == count:
            break
        mutant = chance.choice(places[place])
        if changes_meaning(mutant, sources[mutant.path]):
            drawn.append(mutant)
    return sorted(drawn), len(places)


def statement_lines(source: str, line: int) -> range:
    """Return the lines of the innermost statement at a line; of a compound one, those of its head."""
    found = range(line, line + 1)
    smallest = len(source)
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.stmt) or not node.lineno <= line <= (node.end_lineno or node.lineno):
            continue
        body = getattr(node, "body", None) or getattr(node, "cases", None)
        end = body[0].lineno - 1 if body and not isinstance(body[0], ast.match_case) else node.end_lineno
        head = range(node.lineno, max(end or node.lineno, node.lineno) + 1)
        if line in head and len(head) <= smallest:
            found, smallest = head, len(head)
    return found
