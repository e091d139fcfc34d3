"""The arrows between the packages: schemas <- processors <- ingest, schemas <- simulators."""

import ast
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ALLOWED = {
    "schemas": set[str](),
    "processors": {"schemas"},
    "ingest": {"schemas", "processors"},
    "simulators": {"schemas"},
}
COMMAND_LINE = "ingest/cli*.py"


def modules(package: str) -> list[Path]:
    """Give the source files of a package, from the project's root."""
    return [path.relative_to(ROOT) for path in sorted((ROOT / package).rglob("*.py"))]


def imports(path: Path, tree: ast.AST | None = None, *, deferred: bool = False) -> Iterator[tuple[str, bool, int]]:
    """Give the top package of every import of a module, whether it stands inside a function, and its line."""
    for node in ast.iter_child_nodes(tree or ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.partition(".")[0], deferred, node.lineno
        elif isinstance(node, ast.ImportFrom):
            module = path.parts[0] if node.level else node.module or ""
            yield module.partition(".")[0], deferred, node.lineno
        else:
            inside = deferred or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from imports(path, node, deferred=inside)


def is_allowed(path: Path, target: str, *, deferred: bool) -> bool:
    """Tell whether a module may import one of our packages."""
    package = path.parts[0]
    if target == package or target in ALLOWED[package]:
        return True
    return path.match(COMMAND_LINE) and deferred


@pytest.mark.parametrize("package", ALLOWED)
def test_imports_run_one_way(package: str) -> None:
    """A package imports only those it rests on; only the command line sees the simulators, inside its commands."""
    paths = modules(package)
    assert paths
    wrong = [
        f"{path}:{line} imports {target}"
        for path in paths
        for target, deferred, line in imports(path)
        if target in ALLOWED and not is_allowed(path, target, deferred=deferred)
    ]
    assert wrong == []


@pytest.mark.parametrize("package", ALLOWED)
def test_the_product_does_not_import_its_tests(package: str) -> None:
    """What is installed needs nothing that is not."""
    for path in modules(package):
        assert not {"tests", "harness", "unit", "pytest", "hypothesis"} & {target for target, _, _ in imports(path)}, (
            path
        )


@pytest.mark.parametrize("package", ["schemas", "processors"])
def test_what_is_pure_has_no_way_to_the_outside(package: str) -> None:
    """Neither sockets, threads and processes nor the database are in reach of models and arithmetic."""
    outside = {
        "asyncio",
        "socket",
        "subprocess",
        "threading",
        "psycopg",
        "mqtt5",
        "aiomqtt",
        "paho",
        "requests",
        "time",
    }
    for path in modules(package):
        assert not outside & {target for target, _, _ in imports(path)}, path


def test_our_package_names_belong_to_us_alone() -> None:
    """No other installed distribution ships a package under one of our names, nor does Python."""
    owners = packages_distributions()
    for package in ALLOWED:
        assert set(owners.get(package, [])) <= {"arceaux"}, package
        assert package not in sys.stdlib_module_names
