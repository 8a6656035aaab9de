# SPDX-License-Identifier: GPL-2.0-only
#
# First the zeroings, then the history that tests/soak/checked tells, over all boots, and
# what was found: is any block older than what was answered, or zero without having been
# zeroed since?  Prints what came of it; status 1 when something was lost.

function bad(text) {
	print "lost: line " FNR ": " text
	lost++
}

# until BOOT: takes in what was zeroed before it. The numbers of a boot begin with its own.
function until(boot,	i, z) {
	while (taken < tellings) {
		split(told[taken + 1], z, " ")
		if (int(z[4] / 4294967296) >= boot) break
		for (i = z[2]; i < z[2] + z[3]; i++) zeroing[i] = z[4]
		taken++
	}
}

# A line that was cut off, or that the console has mixed with another, is none.
$NF != "." { next }

NR == FNR {
	if ($1 == "z" && NF == 5) told[++tellings] = $0
	next
}

# What a boot zeroes does not excuse what is found before it.
$1 == "boot" && NF == 3 { until(boot = $2); boots++ }
$1 == "stopped" { until(boot + 1) }

$1 == "a" && NF == 5 {
	for (i = $2; i < $2 + $3; i++) answered[i] = $4
	writes++
}

# A block that was zeroed holds nothing as new as before, and no write older than that.
$1 == "Z" && NF == 5 {
	for (i = $2; i < $2 + $3; i++) answered[i] = $4
	zeroes++
}

$1 == "f" && NF == 5 {
	found++
	if ($4 == 0 && zeroing[$2] < answered[$2])
		bad("block " $2 " sector " $3 " is zero, and " answered[$2] " was answered")
	else if ($4 != 0 && $4 < answered[$2])
		bad("block " $2 " sector " $3 " is " $4 ", and " answered[$2] " was answered")
}

$1 == "e" && NF == 5 { errors[$2 " errno " $4]++ }

$1 == "bad" { bad($0) }

END {
	text = boots " boots, " writes + 0 " writes and " zeroes + 0 " zeroings answered, "
	text = text found + 0 " places looked at"
	for (kind in errors) text = text ", " errors[kind] " times " kind
	print text ", " lost + 0 " lost"
	exit lost > 0 || !found || !tellings
}
