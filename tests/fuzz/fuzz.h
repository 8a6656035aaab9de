/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the fuzzers share: an input that is read from front to end and continues
 * with zeroes, memory with guard pages, and checks that end the run.
 *
 * A fuzzer has fuzz_setup(), called once, and fuzz_one(), called for each input,
 * which must leave nothing behind that the next one could notice.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct fuzz_in - an input
 * @at: next byte
 * @left: bytes left
 */
struct fuzz_in {
	const uint8_t *at;
	size_t left;
};

void fuzz_setup(void);
void fuzz_one(struct fuzz_in *in);

void fuzz_bytes(struct fuzz_in *in, void *to, size_t length);
uint8_t fuzz_u8(struct fuzz_in *in);
uint16_t fuzz_u16(struct fuzz_in *in);
uint32_t fuzz_u32(struct fuzz_in *in);
uint64_t fuzz_u64(struct fuzz_in *in);
void *fuzz_map(int fd, size_t length);

/* Where reports go: the programs under test have no say in it. */
extern int fuzz_report;

void fuzz_failed(const char *file, int line, const char *what)
	__attribute__((noreturn));

/* An assertion that says what it found, on a path that libFuzzer sees. */
#define FUZZ_CHECK(cond)                                                       \
	do {                                                                   \
		if (!(cond))                                                   \
			fuzz_failed(__FILE__, __LINE__, #cond);                \
	} while (0)

#endif /* TESTS_FUZZ_H */
