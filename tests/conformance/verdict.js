// The verdict on the checks of a run.

/**
 * Prints what is wrong in a run, then a summary. Returns whether nothing is wrong.
 *
 * `expected` has the reasons for known failures, by `scenario` or `scenario:check`. As in the suite's own baselines, a
 * warning counts as a failure, and a reason for a check that passes is an error.
 */
export function judge(name, { required, ran }, expected, host) {
  const missing = required.filter((scenario) => !ran.has(scenario));
  const failures = [...ran].flatMap(([scenario, checks]) => failuresOf(scenario, checks));
  const known = failures.filter(({ scenario, check }) => expected[scenario] ?? expected[check]);
  const unknown = failures.filter((failure) => !known.includes(failure));
  const failed = new Set(failures.flatMap(({ scenario, check }) => [scenario, check]));
  const stale = Object.keys(expected).filter((key) => !failed.has(key));
  for (const scenario of missing) console.error(`${scenario}: did not finish`);
  for (const { check, message } of unknown) console.error(`${check}: ${message}`);
  for (const key of stale) console.error(`${key}: is expected to fail, but passes`);

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
