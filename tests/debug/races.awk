# SPDX-License-Identifier: GPL-2.0-only
#
# Of a kernel's console, all but the reports of KCSAN that our modules have no part
# in: data races of the kernel's own are its own matter, also when we have called it.
# Ours is an access that a function of ours makes, or one that it calls for that: one of
# the first three of a stack.
/BUG: KCSAN:/ { report = ""; within = 1; ours = 0; frames = 3 }
within {
	report = report $0 "\n"
	if (/ to 0x[0-9a-f]+ of [0-9]+ bytes by /)
		frames = 0
	else if (++frames <= 3 && /\[(nexus_(ion|blk)|plant)\]/)
		ours = 1
	if (/Reported by Kernel Concurrency Sanitizer/) {
		if (ours)
			printf "%s", report
		within = 0
	}
	next
}
{ print }
END { if (within && ours) printf "%s", report }
