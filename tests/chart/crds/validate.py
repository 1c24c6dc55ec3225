"""Holds custom resources in rendered manifests against the schemas in this directory."""

import json
import pathlib
import sys

import jsonschema
import yaml

HERE = pathlib.Path(__file__).parent
# Kubernetes' own kinds, which kubernetes-validate knows: no dot in the group, or one of these behind it.
OWN = (".k8s.io",)
# Groups with that ending that are no part of Kubernetes itself.
OTHERS = ("gateway.networking.k8s.io",)


def is_own(api_version: str) -> bool:
    group = api_version.rpartition("/")[0]
    return "." not in group or (group.endswith(OWN) and group not in OTHERS)


def faults(path: str):
    with open(path, encoding="utf-8") as file:
        for thing in filter(None, yaml.safe_load_all(file)):
            version, kind, name = thing["apiVersion"], thing["kind"], thing["metadata"]["name"]
            if is_own(version):
                continue
            schema = HERE / f"{version.replace('/', '_')}_{kind}.json"
            if not schema.exists():
                yield f"{path}: {kind} {name}: there is no schema {schema.name}"
                continue
            validator = jsonschema.Draft7Validator(json.loads(schema.read_text(encoding="utf-8")))
            count[kind] = count.get(kind, 0) + 1
            for error in validator.iter_errors(thing):
                place = "/".join(map(str, error.absolute_path))
                yield f"{path}: {kind} {name}: {place}: {error.message}"


count: dict[str, int] = {}
found = [fault for path in sys.argv[1:] for fault in faults(path)]
print(*found, sep="\n", end="\n" if found else "")
print(f"{sum(count.values())} custom resources of {len(count)} kinds, {len(found)} faults")
sys.exit(bool(found) or not sys.argv[1:])
