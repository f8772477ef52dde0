/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each allocation fails in turn: every call of the library then says "out of memory" and leaves
 * nothing behind, until the one that needs no more than it gets.
 */
#include "test.h"

#include <gpualloc/gpualloc.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifdef SANITIZED

static void skipped(void)
{
	test_skip("the sanitizer has the allocator for itself");
}

static const struct test_case cases[] = {{"each allocation fails in turn", skipped}};

#else

/* glibc's own, below the names that this program takes over. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *pointer, size_t size);
void __libc_free(void *pointer);

static long allocations_left = -1; /* -1: as many as one likes */
static long balance;

static bool refused(void)
{
	if (allocations_left < 0)
		return false;
	if (allocations_left == 0)
		return true;
	allocations_left--;
	return false;
}

void *malloc(size_t size)
{
	void *pointer = refused() ? NULL : __libc_malloc(size);

	balance += pointer != NULL;
	return pointer;
}

void *calloc(size_t count, size_t size)
{
	void *pointer = refused() ? NULL : __libc_calloc(count, size);

	balance += pointer != NULL;
	return pointer;
}

void *realloc(void *old, size_t size)
{
	void *pointer = refused() ? NULL : __libc_realloc(old, size);

	balance += pointer && !old;
	return pointer;
}

void free(void *pointer)
{
	balance -= pointer != NULL;
	__libc_free(pointer);
}

struct scenario {
	const char *spec; /* opened, or */
	const char *path; /* read from memory */
};

static int play(const struct scenario *scenario, const char *content, size_t size,
		gpualloc_error *error)
{
	gpualloc_machine *machine = NULL;
	char *text = NULL;
	size_t length;
	int result = scenario->spec ? gpualloc_machine_open(scenario->spec, 0, &machine, error)
				    : gpualloc_machine_read(content, size, "x", &machine, error);

	if (result == 0)
		result = gpualloc_machine_anonymise(machine, error);
	if (result == 0)
		result = gpualloc_machine_write(machine, &text, &length, error);
	free(text);
	gpualloc_machine_free(machine);
	return result;
}

static void each_fails_in_turn(const struct scenario *scenario)
{
	gpualloc_error *error = gpualloc_error_new();
	size_t size = 0;
	char *content = scenario->path ? test_read(scenario->path, &size) : NULL;
	int result = play(scenario, content, size, error); /* what is made once is made now */

	CHECK_TEXT(gpualloc_error_message(error), "");
	CHECK_INT(result, 0);
	for (long most = 0;; most++) {
		long before = balance;

		allocations_left = most;
		result = play(scenario, content, size, error);
		allocations_left = -1;
		test_about("%s with %ld allocations",
			   scenario->spec ? scenario->spec : scenario->path, most);
		CHECK_INT(balance, before);
		if (result == 0)
			break;
		CHECK_TEXT(gpualloc_error_message(error), "out of memory");
		CHECK_INT(result, GPUALLOC_ENOMEM);
	}
	free(content);
	gpualloc_error_free(error);
}

static void a_built_in_machine(void)
{
	each_fails_in_turn(&(struct scenario){.spec = "a100-mig"});
}

static void a_machine_file(void)
{
	each_fails_in_turn(&(struct scenario){.path = "machines/files/everything.json"});
}

static void a_topology_text(void)
{
	each_fails_in_turn(&(struct scenario){.path = "machines/topo/dgx1-v100-4ib.txt"});
}

static void an_xml_text(void)
{
	each_fails_in_turn(&(struct scenario){.path = "machines/xml/telegraf-tesla-t4.xml"});
}

static void a_list_text(void)
{
	each_fails_in_turn(&(struct scenario){.path = "machines/L/a100-mig3-olduuid.txt"});
}

static const struct test_case cases[] = {
	{"a built-in machine", a_built_in_machine},
	{"a machine file", a_machine_file},
	{"a topology text", a_topology_text},
	{"an XML text", an_xml_text},
	{"a list text", a_list_text},
};

#endif

TEST_MAIN(cases)
