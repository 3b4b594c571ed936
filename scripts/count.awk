# Adds up the results that cargo test, node --test, unittest, the conformance suite and libFuzzer print last, and prints
# "<passed> <failed> <skipped>".

/^test result: / {
    for (i = 1; i < NF; i++) {
        if ($(i + 1) == "passed;") passed += $i
        if ($(i + 1) == "failed;") failed += $i
        if ($(i + 1) == "ignored;") skipped += $i
    }
}

/^(ℹ|#) (pass|fail|cancelled|skipped|todo) [0-9]+$/ {
    if ($2 == "pass") passed += $3
    else if ($2 == "fail" || $2 == "cancelled") failed += $3
    else skipped += $3
}

/^Ran [0-9]+ tests? in / { passed += $2 }

# Such as "FAILED (failures=1, errors=2, skipped=3)". unittest counts failed and skipped tests as run.
/^(OK|FAILED) \(/ {
    n = split($0, parts, /[(), ]+/)
    for (i = 2; i <= n; i++) {
        split(parts[i], count, "=")
        if (count[1] == "failures" || count[1] == "errors") { failed += count[2]; passed -= count[2] }
        if (count[1] == "skipped") { skipped += count[2]; passed -= count[2] }
    }
}

# Such as "conformance 2025-11-25: 30 scenarios, 67 checks passed, 0 failed, 2 expected to fail (native)".
/^conformance / {
    for (i = 2; i < NF; i++) {
        if ($i == "checks") passed += $(i - 1)
        if ($i ~ /^failed/) failed += $(i - 1)
    }
}

# libFuzzer, such as "Done 20000 runs in 3 second(s)", which it prints only if it found nothing.
/^Done [0-9]+ runs in / { passed += 1 }

END { print passed + 0, failed + 0, skipped + 0 }
