/* SPDX-License-Identifier: Apache-2.0 */
/* Runs tests and prints TAP, with one process for each case; see test.h. */
#include "test.h"

#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_FAILED = 1, EXIT_SKIPPED = 77 };

static char about[512];

static _Noreturn void fail(void)
{
	(void)fflush(stdout);
	_exit(EXIT_FAILED);
}

static void where(const char *file, int line, const char *expression)
{
	printf("# %s:%d: %s%s%s", file, line, about, *about ? ": " : "", expression);
}

void test_about(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(about, sizeof about, format, arguments);
	va_end(arguments);
}

void test_check(const char *file, int line, const char *expression, bool condition)
{
	if (condition)
		return;
	where(file, line, expression);
	printf(" is false\n");
	fail();
}

void test_check_int(const char *file, int line, const char *expression, int64_t actual,
		    int64_t expected)
{
	if (actual == expected)
		return;
	where(file, line, expression);
	printf(" is %lld, expected %lld\n", (long long)actual, (long long)expected);
	fail();
}

static void print_text(const char *text)
{
	if (!text) {
		printf("NULL");
		return;
	}
	putchar('"');
	for (; *text; text++) {
		if (*text == '\n')
			printf("\\n");
		else
			putchar(*text);
	}
	putchar('"');
}

void test_check_text(const char *file, int line, const char *expression, const char *actual,
		     const char *expected)
{
	if (actual && expected ? strcmp(actual, expected) == 0 : actual == expected)
		return;
	where(file, line, expression);
	printf(" is ");
	print_text(actual);
	printf(", expected ");
	print_text(expected);
	printf("\n");
	fail();
}

void test_check_has(const char *file, int line, const char *expression, const char *actual,
		    const char *part)
{
	if (actual && strstr(actual, part))
		return;
	where(file, line, expression);
	printf(" is ");
	print_text(actual);
	printf(", which does not contain ");
	print_text(part);
	printf("\n");
	fail();
}

void test_skip(const char *why)
{
	printf("# skip: %s\n", why);
	(void)fflush(stdout);
	_exit(EXIT_SKIPPED);
}

const char *test_path(const char *path)
{
	static char whole[4][4096];
	static unsigned turn;
	const char *root = getenv("TEST_ROOT");
	char *place = whole[turn++ % 4];

	(void)snprintf(place, sizeof whole[0], "%s/%s", root ? root : "tests", path);
	return place;
}

char *test_read(const char *path, size_t *ret_size)
{
	FILE *file = fopen(test_path(path), "rb");
	char *content = NULL;
	size_t size = 0, room = 0;

	if (!file) {
		printf("# cannot open %s\n", test_path(path));
		fail();
	}
	do {
		room = room ? room * 2 : 1 << 16;
		content = realloc(content, room + 1);
		if (!content)
			fail();
		size += fread(content + size, 1, room - size, file);
	} while (size == room);
	(void)fclose(file);
	content[size] = '\0';
	if (ret_size)
		*ret_size = size;
	return content;
}

static int run_forked(const struct test_case *test)
{
	int status = 0;
	pid_t child;

	(void)fflush(stdout);
	child = fork();
	if (child == 0) {
		test->run();
		(void)fflush(stdout);
		/* exit() and not _exit(): the leak checker runs at exit. */
		exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0)
		return EXIT_FAILED;
	if (WIFSIGNALED(status)) {
		printf("# ended by signal %d (%s)\n", WTERMSIG(status),
		       strsignal(WTERMSIG(status)));
		return EXIT_FAILED;
	}
	return WEXITSTATUS(status);
}

int test_main(const struct test_case *cases, size_t count, int argc, char **argv)
{
	bool failed = false;

	if (argc > 1) {
		for (size_t i = 0; i < count; i++)
			if (strcmp(cases[i].name, argv[1]) == 0) {
				cases[i].run();
				return 0;
			}
		(void)fprintf(stderr, "no case %s\n", argv[1]);
		return 1;
	}
	printf("1..%zu\n", count);
	for (size_t i = 0; i < count; i++) {
		int status = run_forked(&cases[i]);

		failed = failed || (status != 0 && status != EXIT_SKIPPED);
		printf("%s %zu - %s%s\n", status == 0 || status == EXIT_SKIPPED ? "ok" : "not ok",
		       i + 1, cases[i].name, status == EXIT_SKIPPED ? " # SKIP" : "");
	}
	return failed;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	(void)status;
	(void)kind;
	(void)place;
	return remove(path);
}

int test_remove_tree(const char *folder)
{
	return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
