#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# timeout: 3600
#
# Every fuzzer: all inputs of its corpus, once and in order, then TIME seconds (5)
# of new ones. Each must also have had a corpus.

# shellcheck source=tests/common.sh
source "$(dirname "$0")/../common.sh"

export TIME=${TIME:-5} NEXUS_FUZZ=$logs
echo "TIME=$TIME seconds a target"
"$NEXUS_TOP/scripts/fuzz" >"$tmp/out" || fail "$(<"$tmp/out")"
cat "$tmp/out"

targets=("$NEXUS_TOP"/tests/fuzz/fuzz_*.c)
grep -q -x "${#targets[@]} passed, 0 failed" "$tmp/out" || fail "not every target was run"
for target in "${targets[@]}"; do
	name=$(basename "$target" .c)
	name=${name#fuzz_}
	inputs=("$NEXUS_TOP/tests/fuzz/corpus/$name"/*)
	[[ -e ${inputs[0]} ]] || fail "$name has no corpus"
	"$NEXUS_BUILD/tests/fuzz/fuzz_$name" -close_fd_mask=2 "${inputs[@]}" \
		>"$logs/$name/inputs.log" 2>&1 || fail "$name: an input of the corpus fails: $logs/$name"
done
