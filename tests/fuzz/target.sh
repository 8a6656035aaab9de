#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 300 1200
#
# target.sh NAME: one fuzzer as a test, fuzz_NAME to scripts/run-tests: all inputs of
# its corpus, once and in order, and then new ones.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

planned fuzz-seconds 60 600
seconds=$REPLY
target=${1-}
[[ -e $NEXUS_TOP/tests/fuzz/fuzz_$target.c ]] || fail "no fuzzer is called \"$target\""

with_lock "$NEXUS_BUILD/tests/fuzz.lock" \
	make -s -C "$NEXUS_TOP/tests/fuzz" O="$NEXUS_BUILD/tests/fuzz" \
	"$NEXUS_BUILD/tests/fuzz/fuzz_$target"
inputs=("$NEXUS_TOP/tests/fuzz/corpus/$target"/*)
[[ -e ${inputs[0]} ]] || fail "$target has no corpus"
"$NEXUS_BUILD/tests/fuzz/fuzz_$target" -close_fd_mask=2 "${inputs[@]}" \
	>"$logs/inputs.log" 2>&1 || fail "an input of the corpus fails: $logs/inputs.log"
(($(grep -c '^Executed .* in [0-9]* ms' "$logs/inputs.log") == ${#inputs[@]})) ||
	fail "not all ${#inputs[@]} inputs of the corpus were run"

TIME=$seconds NEXUS_FUZZ=$logs "$NEXUS_TOP/scripts/fuzz" "$target"
# Of its own accord, and not before its time.
ran fuzz-seconds "$(sed -n 's/^Done [0-9]* runs in \([0-9]*\) second.*/\1/p' "$logs/$target/log")"
