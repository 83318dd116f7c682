#!/usr/bin/env bash
# Cargo's runner under tests/run: runs one test binary and appends the line `seconds name` to COUNTERSIGN_TEST_TIMES.
# Stable libtest tells the time of each test only where it finds RUSTC_BOOTSTRAP. It is set for the binary alone: nothing is
# compiled with it.
name=${1##*/}
start=$SECONDS
RUSTC_BOOTSTRAP=1 "$@" -Zunstable-options --report-time
status=$?
echo "$((SECONDS - start)) tests of ${name%-*}" >>"$COUNTERSIGN_TEST_TIMES"
exit $status
