"""The chart and the Compose file in deploy/: rendered, and compared with the schemas of Kubernetes and with the documents."""

import re
import unittest
from pathlib import Path

import hcl2
import helm_python
import kubernetes_validate
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/helm/deputy"
COMPOSE = ROOT / "deploy/compose"
KUBERNETES = ["1.27", "1.33"]
EVERYTHING = {
    "autoscaling": {"enabled": True, "podMetrics": [{"name": "deputy_tool_calls_in_progress", "averageValue": "200"}]},
    "audit": {"enabled": False},
    "ingress": {"enabled": True, "annotations": {"example.com/a": "b"}},
    "imagePullSecrets": [{"name": "registry"}],
    "metrics": {"podMonitor": True},
    "networkPolicy": {"extraEgress": [{"ports": [{"port": 8080}]}]},
    "openapi": {"configMap": "deputy-api", "overlay": "overlay.yaml"},
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "podAnnotations": {"example.com/c": "d"},
    "secrets": ["SERVER_KEY", "PINGONE_CLIENT_SECRET", "STORE_URL", "ADMIN_TOKEN"],
    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
}
NOTHING = {"metrics": {"enabled": False}, "networkPolicy": {"enabled": False}}


def rendered(values=None):
    """The resources of the chart by their kinds."""
    with helm_python.Chart.load(CHART) as chart:
        files = chart.render(values or {}, name="deputy", namespace="deputy")
    documents = [yaml.safe_load(text) for name, text in files.items() if name.endswith(".yaml")]
    return {document["kind"]: document for document in documents if document}


def pod(resources):
    workload = resources.get("StatefulSet") or resources["Deployment"]
    return workload["spec"]["template"]["spec"]


class Chart(unittest.TestCase):
    def test_lint_finds_nothing(self):
        report = helm_python.lint(CHART, strict=True)
        problems = [message for message in report["messages"] if message["severity"] > 1]
        self.assertEqual((problems, report["errors"]), ([], []))

    def test_resources_fit_the_schemas_of_kubernetes(self):
        for values in ({}, EVERYTHING, NOTHING):
            for kind, resource in rendered(values).items():
                if kind == "PodMonitor":
                    continue
                for version in KUBERNETES:
                    kubernetes_validate.validate(resource, version, strict=True)

    def test_default_resources(self):
        kinds = {"ConfigMap", "NetworkPolicy", "PodDisruptionBudget", "Service", "StatefulSet"}
        self.assertEqual(set(rendered()), kinds)
        more = kinds - {"StatefulSet"} | {"Deployment", "HorizontalPodAutoscaler", "Ingress", "PodMonitor"}
        self.assertEqual(set(rendered(EVERYTHING)), more)

    def test_selectors_match_the_pods(self):
        resources = rendered(EVERYTHING)
        labels = resources["Deployment"]["spec"]["template"]["metadata"]["labels"].items()
        selectors = [
            resources["Deployment"]["spec"]["selector"]["matchLabels"],
            resources["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
            resources["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
            resources["PodMonitor"]["spec"]["selector"]["matchLabels"],
            resources["Service"]["spec"]["selector"],
        ]
        for selector in selectors:
            self.assertLessEqual(selector.items(), labels)
        target = resources["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
        self.assertEqual((target["kind"], target["name"]), ("Deployment", "deputy"))
        self.assertNotIn("replicas", resources["Deployment"]["spec"])

    def test_pods_have_no_rights_and_no_secrets_in_variables(self):
        for values in ({}, EVERYTHING):
            resources = rendered(values)
            spec = pod(resources)
            (container,) = spec["containers"]
            self.assertTrue(spec["securityContext"]["runAsNonRoot"])
            self.assertFalse(spec["automountServiceAccountToken"])
            self.assertTrue(container["securityContext"]["readOnlyRootFilesystem"])
            self.assertNotIn("env", container)
            variables = resources["ConfigMap"]["data"]
            for secret in ("SERVER_KEY", "PINGONE_CLIENT_SECRET", "STORE_URL"):
                self.assertNotIn(secret, variables)
                self.assertEqual(variables[f"{secret}_FILE"], f"/run/secrets/deputy/{secret}")

    def test_config_with_a_secret_is_refused(self):
        documented = (ROOT / "docs/configuration.md").read_text()
        sections = re.findall(r"^### `([A-Z_]+)`\n(.*?)(?=^##)", documented, re.MULTILINE | re.DOTALL)
        secrets = {name for name, text in sections if "\n- Secret: " in text}
        secrets |= {name for name, text in sections for name in re.findall("- Former name: `([A-Z_]+)`", text) if "\n- Secret: " in text}
        self.assertLess({"SERVER_KEY", "MCP_SERVER_CLIENT_SECRET"}, secrets)
        for name in secrets | {"STORE_URL", "PINGONE_WORKER_CLIENT_SECRET"}:
            with self.assertRaisesRegex(Exception, f"config.{name} is a secret"):
                rendered({"config": {name: "hunter2"}})

    def test_config_with_a_variable_of_the_chart_is_refused(self):
        own = set(rendered(EVERYTHING)["ConfigMap"]["data"]) | set(rendered()["ConfigMap"]["data"])
        own -= set(yaml.safe_load((CHART / "values.yaml").read_text())["config"])
        for name in own:
            if not name.endswith("_FILE"):
                with self.assertRaisesRegex(Exception, f"the chart sets {name} itself"):
                    rendered({"config": {name: "x"}})

    def test_empty_peers_admit_no_pod(self):
        policy = rendered({"networkPolicy": {"metricsFrom": []}})["NetworkPolicy"]
        self.assertEqual([[port["port"] for port in rule["ports"]] for rule in policy["spec"]["ingress"]], [["http"]])
        with self.assertRaisesRegex(Exception, "would admit every pod"):
            rendered({"networkPolicy": {"ingressFrom": []}})

    def test_secrets_are_files_of_the_secret(self):
        variables = rendered({"secrets": ["SERVER_KEY", "PINGONE_CLIENT_KEY", "STORE_URL"]})["ConfigMap"]["data"]
        files = {name for name in variables if name.endswith("_FILE")}
        self.assertEqual(files, {"SERVER_KEY_FILE", "PINGONE_CLIENT_KEY_FILE", "STORE_URL_FILE"})

    def test_numbers_and_switches_keep_their_form(self):
        # As Helm reads a file of values: numbers become floating-point ones, `on` and `off` booleans.
        values = """
            audit: { maxMegabytes: 1000000, size: 50000000000 }
            autoscaling: { enabled: false, maxReplicas: 3000000 }
            config:
              REFRESH_TOKEN_LIFETIME: 2592000
              MAX_CONNECTIONS: "100000"
              PINGONE_SEND_RESOURCE: off
              CLIENT_ID_METADATA_DOCUMENTS: on
              CLIENTS: [{ client_name: A, redirect_uris: [https://a.example/callback] }]
            podDisruptionBudget: { maxUnavailable: 25% }
            replicas: 2000000
            resources: { limits: { memory: 1000000000 } }
            storeConnections: 1000
        """
        resources = rendered(yaml.safe_load(values))
        variables = resources["ConfigMap"]["data"]
        expected = {
            "AUDIT_MAX_MB": "1000000",
            "CLIENTS": '[{"client_name":"A","redirect_uris":["https://a.example/callback"]}]',
            "CLIENT_ID_METADATA_DOCUMENTS": "on",
            "MAX_CONNECTIONS": "100000",
            "PINGONE_SEND_RESOURCE": "off",
            "REFRESH_TOKEN_LIFETIME": "2592000",
            "STORE_CONNECTIONS": "1000",
        }
        self.assertEqual({name: variables[name] for name in expected}, expected)
        workload = resources["StatefulSet"]["spec"]
        self.assertEqual(workload["replicas"], 2000000)
        self.assertEqual(workload["volumeClaimTemplates"][0]["spec"]["resources"]["requests"]["storage"], 50000000000)
        self.assertEqual(pod(resources)["containers"][0]["resources"]["limits"]["memory"], 1000000000)
        self.assertEqual(resources["PodDisruptionBudget"]["spec"]["maxUnavailable"], "25%")
        autoscaling = {"enabled": True, "maxReplicas": 3000000, "podMetrics": [{"name": "a", "averageValue": 4000000}]}
        scaler = rendered({"autoscaling": autoscaling})["HorizontalPodAutoscaler"]["spec"]
        self.assertEqual((scaler["maxReplicas"], scaler["metrics"][1]["pods"]["target"]["averageValue"]), (3000000, "4000000"))

    def test_no_template_writes_a_number_as_it_is(self):
        numbers = []

        def collect(values, path):
            for name, value in values.items():
                if isinstance(value, dict):
                    collect(value, f"{path}.{name}")
                elif isinstance(value, (int, float)) and not isinstance(value, bool):
                    numbers.append(f"{path}.{name}")

        collect(yaml.safe_load((CHART / "values.yaml").read_text()), ".Values")
        self.assertIn(".Values.audit.maxMegabytes", numbers)
        templates = "".join(path.read_text() for path in (CHART / "templates").iterdir())
        for name in numbers:
            for written in re.findall(rf"{{{{[^}}]*{re.escape(name)}\b[^}}]*}}}}", templates):
                self.assertRegex(written, r"\bint64\b|deputy\.text|\badd\b", name)

    def test_identifiers_that_are_numbers_are_refused(self):
        for text in ("00000000000000000000000000000000", "12345678901234567890123456789012", "12345678901234567890123456e+05"):
            for name in ("PINGONE_DV_POLICY_ID", "PINGONE_CLIENT_ID"):
                value = float(text)
                with self.assertRaisesRegex(Exception, f"config.{name} is a number, .* Write it in quotes"):
                    rendered({"config": {name: value}})
                self.assertEqual(rendered({"config": {name: text}})["ConfigMap"]["data"][name], text)
        with self.assertRaisesRegex(Exception, "config.ANY is a number"):
            rendered({"config": {"ANY": 12345678901234567}})
        with self.assertRaisesRegex(Exception, "image.tag is a number"):
            rendered({"image": {"tag": 1.10}})

    def test_documented_values_are_rendered(self):
        section = (ROOT / "docs/replicas.md").read_text().split("## In Kubernetes")[1]
        resources = rendered(yaml.safe_load(section.split("```yaml\n")[1].split("```")[0]))
        variables = resources["ConfigMap"]["data"]
        self.assertEqual(variables["PINGONE_CLIENT_ID"], "00000000-0000-4000-8000-000000000001")
        self.assertEqual(variables["CLIENT_ADDRESS_HEADER"], "x-forwarded-for")
        self.assertIn("Ingress", resources)
        # Its secrets and its ConfigMap are those that the commands make.
        for name in (name for name in variables if name.endswith("_FILE")):
            self.assertRegex(section, rf"--from-(literal|file)={name.removesuffix('_FILE')}=")
        (volume,) = (volume for volume in pod(resources)["volumes"] if volume["name"] == "openapi")
        files = {variables[name].removeprefix("/etc/deputy/") for name in ("OPENAPI", "OPENAPI_OVERLAY")}
        made = re.search(rf"kubectl create configmap {volume['configMap']['name']} (.*)", section)[1]
        self.assertEqual(files, set(re.findall(r"--from-file=(\S+)", made)))

    def test_document_is_a_file_of_the_pods(self):
        self.assertNotIn("OPENAPI", rendered()["ConfigMap"]["data"])
        resources = rendered({"openapi": {"configMap": "api", "document": "api.json"}})
        variables = resources["ConfigMap"]["data"]
        self.assertEqual((variables["OPENAPI"], variables.get("OPENAPI_OVERLAY")), ("/etc/deputy/api.json", None))
        (container,) = pod(resources)["containers"]
        self.assertIn({"name": "openapi", "mountPath": "/etc/deputy", "readOnly": True}, container["volumeMounts"])
        self.assertIn({"name": "openapi", "configMap": {"name": "api"}}, pod(resources)["volumes"])
        with self.assertRaisesRegex(Exception, "openapi.overlay is a key of openapi.configMap"):
            rendered({"openapi": {"overlay": "overlay.yaml"}})

    def test_admin_interface_is_for_commands_in_the_pod(self):
        self.assertNotIn("ADMIN_LISTEN", rendered()["ConfigMap"]["data"])
        variables = rendered({"secrets": ["SERVER_KEY", "STORE_URL", "ADMIN_TOKEN"]})["ConfigMap"]["data"]
        self.assertEqual(variables["ADMIN_LISTEN"], "127.0.0.1:8790")
        self.assertEqual(variables["ADMIN_TOKEN_FILE"], "/run/secrets/deputy/ADMIN_TOKEN")

    def test_pods_stop_later_than_deputy(self):
        resources = rendered({"drainSeconds": 30})
        self.assertEqual(resources["ConfigMap"]["data"]["DRAIN_SECONDS"], "30")
        # Ten seconds for requests, and four for work after responses: docs/limits.md.
        self.assertGreaterEqual(pod(resources)["terminationGracePeriodSeconds"], 30 + 14)


class Documents(unittest.TestCase):
    def test_variables_exist(self):
        known = set(re.findall(r"`([A-Z][A-Z_]+)`", (ROOT / "docs/configuration.md").read_text()))
        set_by = {
            "chart": rendered(EVERYTHING)["ConfigMap"]["data"],
            "compose": yaml.safe_load((COMPOSE / "compose.yaml").read_text())["services"]["deputy"]["environment"],
            "example": re.findall(r"^([A-Z_]+)=", (COMPOSE / "deputy.env.example").read_text(), re.MULTILINE),
        }
        for place, names in set_by.items():
            for name in names:
                self.assertIn(name.removesuffix("_FILE"), known, place)

    def test_compose_files_exist(self):
        compose = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
        for name, service in compose["services"].items():
            for volume in service.get("volumes", []):
                source = volume.split(":")[0]
                if source.startswith("."):
                    self.assertTrue((COMPOSE / source).exists(), f"{name}: {source}")
                else:
                    self.assertIn(source, compose["volumes"], name)
            for secret in service.get("secrets", []):
                self.assertIn(secret, compose["secrets"], name)
        # `./dev package image` makes this folder.
        build = compose["services"]["deputy"]["build"]
        self.assertEqual((COMPOSE / build["context"]).resolve(), ROOT / "target/package/image")
        self.assertTrue((ROOT / "deploy" / build["dockerfile"]).exists())

    def test_job_of_nomad_is_read(self):
        text = (ROOT / "docs/replicas.md").read_text().split("```hcl")[1].split("```")[0]
        unquoted = lambda value: value.strip('"') if isinstance(value, str) else value
        (job,) = hcl2.loads(text)["job"]
        ((name, job),) = job.items()
        ((_, group),) = job["group"][0].items()
        ((_, task),) = group["task"][0].items()
        self.assertEqual((unquoted(name), unquoted(task["driver"])), ("deputy", "docker"))
        (check,) = group["service"][0]["check"]
        self.assertEqual(unquoted(check["path"]), "/readyz")
        known = set(re.findall(r"`([A-Z][A-Z_]+)`", (ROOT / "docs/configuration.md").read_text()))
        variables = task["env"][0]
        files = {unquoted(value) for name, value in variables.items() if name.endswith("_FILE")}
        self.assertEqual(files, {unquoted(template["destination"]) for template in task["template"]})
        for variable in variables:
            if not variable.startswith("__"):
                self.assertIn(unquoted(variable).removesuffix("_FILE"), known)

    def test_proxies_are_configured_alike(self):
        documented = (ROOT / "docs/replicas.md").read_text().split("```haproxy")[1].split("```")[0]
        settings = {line.strip() for line in documented.splitlines()}
        settings = {line for line in settings if line and not line.startswith(("bind", "server "))}
        configured = {line.strip() for line in (COMPOSE / "haproxy.cfg").read_text().splitlines()}
        self.assertLessEqual(settings, configured)


if __name__ == "__main__":
    unittest.main()
