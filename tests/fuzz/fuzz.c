// SPDX-License-Identifier: GPL-2.0-only
#include "fuzz.h"

#include <sanitizer/common_interface_defs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "rumpk/log.h"

#define PAGE 4096u

int fuzz_report = STDERR_FILENO;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

void fuzz_failed(const char *file, int line, const char *what)
{
	dprintf(fuzz_report, "%s:%d: does not hold: %s\n", file, line, what);
	abort();
}

void fuzz_bytes(struct fuzz_in *in, void *to, size_t length)
{
	size_t n = length < in->left ? length : in->left;

	memset(to, 0, length);
	memcpy(to, in->at, n);
	in->at += n;
	in->left -= n;
}

uint8_t fuzz_u8(struct fuzz_in *in)
{
	uint8_t v;

	fuzz_bytes(in, &v, sizeof(v));
	return v;
}

uint16_t fuzz_u16(struct fuzz_in *in)
{
	uint16_t v;

	fuzz_bytes(in, &v, sizeof(v));
	return v;
}

uint32_t fuzz_u32(struct fuzz_in *in)
{
	uint32_t v;

	fuzz_bytes(in, &v, sizeof(v));
	return v;
}

uint64_t fuzz_u64(struct fuzz_in *in)
{
	uint64_t v;

	fuzz_bytes(in, &v, sizeof(v));
	return v;
}

/* @fd, between two pages that nobody may touch; whole pages. */
void *fuzz_map(int fd, size_t length)
{
	uint8_t *p = mmap(NULL, length + 2 * PAGE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	FUZZ_CHECK(p != MAP_FAILED);
	p = mmap(p + PAGE, length, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, fd, 0);
	FUZZ_CHECK(p != MAP_FAILED);
	return p;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	fuzz_report = dup(STDERR_FILENO);
	__sanitizer_set_report_fd((void *)(intptr_t)fuzz_report);
	rumpk_log_level(RUMPK_ERROR);
	fuzz_setup();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { data, size };

	fuzz_one(&in);
	return 0;
}
