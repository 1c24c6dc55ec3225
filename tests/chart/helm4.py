"""Lints and packages the chart with Helm 4, which takes no values for that: each set is merged into a copy of the chart.

    python3 helm4.py CHART [NAME=FILE,FILE…]… [!NAME=FILE,FILE…]…

A set with `!` must be refused: by the schema of values, since lint does not stop at what a template refuses, and the library
does not hand its words on. Prints a line each, and fails if one is not as it must be.
"""

import asyncio
import pathlib
import shutil
import sys
import tempfile

import yaml
from helm_sdkpy import Configuration, Lint, Package

# It wants one, and asks nobody.
KUBECONFIG = """apiVersion: v1
kind: Config
clusters: [{name: none, cluster: {server: "https://127.0.0.1:1"}}]
contexts: [{name: none, context: {cluster: none, user: none}}]
current-context: none
users: [{name: none, user: {}}]
"""
ERROR = 3


def merged(base, over):
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    return {**base, **{name: merged(base.get(name), value) for name, value in over.items()}}


def judge(chart: pathlib.Path, files: list[str], directory: pathlib.Path, configuration: Configuration):
    """How severe each thing is that lint says, and the package that is made of it."""
    copy = directory / "rulebox"
    shutil.copytree(chart, copy)
    values = yaml.safe_load((copy / "values.yaml").read_text(encoding="utf-8"))
    for file in files:
        values = merged(values, yaml.safe_load(pathlib.Path(file).read_text(encoding="utf-8")))
    (copy / "values.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    said = asyncio.run(Lint(configuration).run(str(copy)))
    severities = [message["Severity"] for message in said.get("Messages") or []]
    asyncio.run(Package(configuration).run(str(copy), str(directory)))
    return severities, list(directory.glob("rulebox-*.tgz"))


def main(chart: str, *sets: str) -> int:
    bad = 0
    for one in sets:
        refused = one.startswith("!")
        name, _, files = one.lstrip("!").partition("=")
        with tempfile.TemporaryDirectory() as place:
            directory = pathlib.Path(place)
            (directory / "kubeconfig").write_text(KUBECONFIG, encoding="utf-8")
            configuration = Configuration(namespace="rulebox", kubeconfig=str(directory / "kubeconfig"))
            severities, packages = judge(pathlib.Path(chart), list(filter(None, files.split(","))), directory, configuration)
        errors = sum(severity >= ERROR for severity in severities)
        right = errors > 0 if refused else errors == 0 and len(packages) == 1
        print(f"{'right' if right else 'WRONG'} {name}: {errors} errors, {len(packages)} packages")
        bad += not right
    return bad


if __name__ == "__main__":
    sys.exit(bool(main(*sys.argv[1:])))
