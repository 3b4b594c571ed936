"""The module in deploy/terraform: parsed, and compared with the documented schema of the provider and with the Rust code.

pingone_provider.json has the names of arguments from the documentation of pingidentity/pingone (docs/resources and docs/data-sources,
July 2026), for the resources that the module has. Only nested objects that it sets are in it.
"""

import json
import re
import unittest
from pathlib import Path

import hcl2

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "deploy/terraform"
SCHEMA = json.loads((Path(__file__).parent / "pingone_provider.json").read_text())
META = {"__comments__", "__inline_comments__", "__is_block__", "count", "for_each"}


def plain(value):
    """The parsed value without the quotation marks that the parser keeps."""
    if isinstance(value, dict):
        return {name.strip('"'): plain(held) for name, held in value.items()}
    if isinstance(value, list):
        return [plain(held) for held in value]
    return value.strip('"') if isinstance(value, str) else value


def blocks(kind):
    """The blocks of a kind in all files: type, name and body."""
    for path in sorted(MODULE.glob("*.tf")):
        with path.open() as file:
            for block in plain(hcl2.load(file)).get(kind, []):
                for first, held in block.items():
                    if first == "__is_block__":
                        continue
                    if kind in ("resource", "data"):
                        for name, body in held.items():
                            if name != "__is_block__":
                                yield first, name, body
                    else:
                        yield kind, first, held


class Module(unittest.TestCase):
    def check(self, schema, path, body):
        known = schema[path]
        names = set(body) - META
        self.assertLessEqual(set(known["required"]), names, path)
        self.assertLessEqual(names, {*known["required"], *known["optional"]}, path)
        for name in names:
            nested = f"{path}.{name}".lstrip(".")
            if nested in schema:
                self.check(schema, nested, body[name])
            else:
                self.assertFalse(isinstance(body[name], dict) and "headers" not in name, f"{nested} has no schema")

    def test_arguments_are_those_of_the_provider(self):
        seen = set()
        for kind in ("resource", "data"):
            for kind_of_object, name, body in blocks(kind):
                with self.subTest(f"{kind}.{kind_of_object}.{name}"):
                    self.check(SCHEMA[f"{kind}.{kind_of_object}"], "", body)
                seen.add(f"{kind}.{kind_of_object}")
        self.assertEqual(seen, set(SCHEMA))

    def test_references_exist(self):
        text = "".join(path.read_text() for path in MODULE.glob("*.tf"))
        variables = {name for _, name, _ in blocks("variable")}
        self.assertEqual(set(re.findall(r"\bvar\.(\w+)", text)), variables)
        (local,) = plain(hcl2.loads((MODULE / "main.tf").read_text()))["locals"]
        self.assertEqual(set(re.findall(r"\blocal\.(\w+)", text)), set(local) - META)
        objects = {(kind, name) for kind, name, _ in blocks("resource")}
        data = {(kind, name) for kind, name, _ in blocks("data")}
        self.assertEqual(set(re.findall(r"\bdata\.(pingone_\w+)\.(\w+)", text)), data)
        self.assertLessEqual(set(re.findall(r"(?<!data\.)\b(pingone_\w+)\.(\w+)", text)), objects)

    def test_settings_are_those_of_provision(self):
        code = (ROOT / "hosts/native/src/provision/application.rs").read_text()
        (options,) = [body["oidc_options"] for kind, _, body in blocks("resource") if kind == "pingone_application"]
        camel = lambda name: re.sub(r"_(\w)", lambda letter: letter[1].upper(), name)
        for name, value in options.items():
            if name in META | {"type", "cors_settings"}:
                continue
            self.assertIn(f'"{camel(name)}"', code, name)
            if isinstance(value, str) and "${" not in value:
                self.assertIn(f'"{value}"', code, name)
        required = (ROOT / "hosts/native/src/management/required.rs").read_text()
        self.assertIn(f"const GRACE: u64 = {options['refresh_token_rolling_grace_period_duration']};", required)
        # Those of passwords are for a Deputy with PINGONE_PASSWORD_EVENTS.
        code = (ROOT / "crates/deputy/src/host/audit.rs").read_text()
        events = {event for event in re.findall(r'strum\(serialize = "([A-Z_.]+)"\)', code) if not event.startswith("PASSWORD.")}
        (webhook,) = [body for kind, _, body in blocks("resource") if kind == "pingone_webhook"]
        self.assertEqual(set(webhook["filter_options"]["included_action_types"]), events)


if __name__ == "__main__":
    unittest.main()
