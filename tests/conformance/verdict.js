// What the checks of a run come to.

/**
 * Prints a line for a run, and before it what is wrong. Returns whether nothing is.
 *
 * `expected` gives reasons for failures, by `scenario` or `scenario:check`. As in the suite's own baselines, a warning
 * needs a reason like a failure, and a reason for what passes is wrong.
 */
export function judge(name, { required, ran }, expected, host) {
  const missing = required.filter((scenario) => !ran.has(scenario));
  const failures = [...ran].flatMap(([scenario, checks]) => failuresOf(scenario, checks));
  const known = failures.filter(({ scenario, check }) => expected[scenario] ?? expected[check]);
  const unknown = failures.filter((failure) => !known.includes(failure));
  const failed = new Set(failures.flatMap(({ scenario, check }) => [scenario, check]));
  const stale = Object.keys(expected).filter((key) => !failed.has(key));
  for (const scenario of missing) console.error(`${scenario}: did not run to its end`);
  for (const { check, message } of unknown) console.error(`${check}: ${message}`);
  for (const key of stale) console.error(`${key}: is expected to fail, and does not`);

  const beyond = [...ran.keys()].filter((scenario) => !required.includes(scenario));
  const good = beyond.filter((scenario) => !failed.has(scenario));
  const counts = [
    `${required.length} scenarios`,
    `${passed(required, ran)} checks passed`,
    `${missing.length + unknown.length} failed`,
    known.length > 0 && `${known.length} expected to fail`,
    beyond.length > 0 && `${good.length} of ${beyond.length} scenarios beyond the requirements passed`,
  ];
  console.log(`conformance ${name}: ${counts.filter(Boolean).join(", ")} (${host})`);
  return missing.length + unknown.length + stale.length === 0;
}

function failuresOf(scenario, checks) {
  const failed = checks.filter(({ status }) => status === "FAILURE" || status === "WARNING");
  return failed.map(({ id, errorMessage, details }) => {
    return { scenario, check: `${scenario}:${id}`, message: errorMessage ?? details?.message ?? "no message" };
  });
}

function passed(scenarios, ran) {
  const checks = scenarios.flatMap((scenario) => ran.get(scenario) ?? []);
  return checks.filter(({ status }) => status === "SUCCESS").length;
}
