# SPDX-License-Identifier: GPL-2.0-only
#
# Of a kernel's console, all but the reports of KCSAN that our modules have no part
# in: data races of the kernel's own are its own matter.
/BUG: KCSAN:/ { report = ""; within = 1; ours = 0 }
within {
	report = report $0 "\n"
	if (/\[(nexus_(ion|blk)|plant)\]/)
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
