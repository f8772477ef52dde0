/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests that print TAP. Each case runs in its own process, so a crash is just one red line. A
 * failing check names the expression and both values, and ends its case.
 */
#ifndef TEST_H
#define TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct test_case {
	const char *name;
	void (*run)(void);
};

/* Runs the cases in order and returns what main() should; `PROGRAM NAME` runs one, unforked. */
int test_main(const struct test_case *cases, size_t count, int argc, char **argv);
#define TEST_MAIN(cases)                                                              \
	int main(int argc, char **argv)                                               \
	{                                                                             \
		return test_main(cases, sizeof(cases) / sizeof *(cases), argc, argv); \
	}

#define CHECK(condition) test_check(__FILE__, __LINE__, #condition, (condition))
#define CHECK_INT(actual, expected) \
	test_check_int(__FILE__, __LINE__, #actual, (int64_t)(actual), (int64_t)(expected))
#define CHECK_TEXT(actual, expected) \
	test_check_text(__FILE__, __LINE__, #actual, (actual), (expected))
/* Checks that a text contains a part. */
#define CHECK_HAS(actual, part) test_check_has(__FILE__, __LINE__, #actual, (actual), (part))

void test_check(const char *file, int line, const char *expression, bool condition);
void test_check_int(const char *file, int line, const char *expression, int64_t actual,
		    int64_t expected);
void test_check_text(const char *file, int line, const char *expression, const char *actual,
		     const char *expected);
void test_check_has(const char *file, int line, const char *expression, const char *actual,
		    const char *part);
/* A note for the next check, so that a failure in a loop shows which round it was. */
void test_about(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void test_skip(const char *why);

/* Removes a folder and all in it; 0, or -1. */
int test_remove_tree(const char *folder);

/* A file below tests/, whole; ended by NUL, freed by the caller. */
char *test_read(const char *path, size_t *ret_size);
/* The path of a file below tests/ (from TEST_ROOT, which the build sets). */
const char *test_path(const char *path);

#endif
