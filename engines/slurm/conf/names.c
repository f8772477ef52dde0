/* SPDX-License-Identifier: Apache-2.0 */
/* Slurm's lists of names; see names.h. */
#include "names.h"

#include "numbers.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

/* More brackets and a longer name than anybody uses. This limits the work that a list can cause. */
enum { BRACKETS_MOST = 4, DIGITS_MOST = 15, LENGTH_MOST = 1024 };
static const int64_t number_most = INT64_C(999999999999999);

struct range {
	int64_t first, last;
	int width; /* "01" counts 01, 02: as many digits as the first number has */
};

/* Reads the range at item, up to a comma or the bracket; returns what follows it, or NULL. */
static const char *read_range(const char *item, struct range *ret_range)
{
	size_t size = strspn(item, "0123456789"), other;

	if (size > DIGITS_MOST || !ga_text_number(item, size, number_most, &ret_range->first))
		return NULL;
	ret_range->last = ret_range->first;
	ret_range->width = (int)size;
	item += size;
	if (*item != '-')
		return item;
	other = strspn(++item, "0123456789");
	if (other > DIGITS_MOST || !ga_text_number(item, other, number_most, &ret_range->last) ||
	    ret_range->last < ret_range->first)
		return NULL;
	return item + other;
}

/* How many numbers a bracket has; *at is after its "[" and moves past its "]". 0 if malformed. */
static uint64_t read_bracket(const char **at)
{
	struct range range;
	uint64_t count = 0;

	for (;;) {
		const char *behind = read_range(*at, &range);

		if (!behind || (*behind != ',' && *behind != ']'))
			return 0;
		count += (uint64_t)(range.last - range.first) + 1;
		if (count > UINT32_MAX)
			count = UINT32_MAX;
		*at = behind + 1;
		if (*behind == ']')
			return count;
	}
}

/* How many names the first item of a list has; *at moves to its end. 0 if malformed. */
static uint64_t read_name(const char **at)
{
	uint64_t count = 1;
	size_t brackets = 0;
	const char *start = *at;

	while (**at && **at != ',') {
		char c = *(*at)++;

		if (c == ']' || (c == '[' && ++brackets > BRACKETS_MOST))
			return 0;
		if (c == '[')
			count *= read_bracket(at);
		if (count == 0)
			return 0;
		if (count > UINT32_MAX)
			count = UINT32_MAX;
	}
	return *at > start && *at - start <= LENGTH_MOST ? count : 0;
}

bool names_count(const char *names, uint64_t *ret_count)
{
	uint64_t count = 0;

	for (;;) {
		uint64_t more = read_name(&names);

		if (more == 0)
			return false;
		count = count + more < UINT32_MAX ? count + more : UINT32_MAX;
		if (!*names)
			break;
		names++;
	}
	*ret_count = count;
	return true;
}

/* ---- is it one of them ---- */

static bool rest_has(const char *pattern, const char *name);

/* The text after the bracket that pattern is in. */
static const char *behind_bracket(const char *pattern)
{
	return strchr(pattern, ']') + 1;
}

/* Whether the bracket that pattern is in includes these digits. */
static bool range_has(const char *pattern, const char *behind, const char *digits, size_t size)
{
	int64_t number;
	struct range range;
	char spelled[DIGITS_MOST + 2];

	if (!ga_text_number(digits, size, number_most, &number))
		return false;
	while (pattern < behind) {
		pattern = read_range(pattern, &range) + 1;
		(void)snprintf(spelled, sizeof spelled, "%0*lld", range.width, (long long)number);
		if (number >= range.first && number <= range.last && strlen(spelled) == size)
			return true;
	}
	return false;
}

static bool bracket_has(const char *pattern, const char *name)
{
	const char *behind = behind_bracket(pattern);
	size_t digits = strspn(name, "0123456789");

	for (size_t size = 1; size <= digits && size <= DIGITS_MOST; size++)
		if (range_has(pattern, behind, name, size) && rest_has(behind, name + size))
			return true;
	return false;
}

/* Whether pattern, up to its comma or end, includes name. */
static bool rest_has(const char *pattern, const char *name)
{
	for (; *pattern && *pattern != ','; pattern++, name++) {
		if (*pattern == '[')
			return bracket_has(pattern + 1, name);
		if (*pattern != *name)
			return false;
	}
	return *name == '\0';
}

bool names_have(const char *names, const char *name)
{
	uint64_t count;

	if (!names_count(names, &count))
		return false;
	for (;;) {
		if (rest_has(names, name))
			return true;
		(void)read_name(&names);
		if (!*names)
			return false;
		names++;
	}
}

/* ---- one after the other ---- */

/* The at-th number of the bracket after pattern's "[". */
static int spell_number(const char *pattern, uint64_t at, char *name, size_t room)
{
	struct range range;

	for (;;) {
		uint64_t count;

		pattern = read_range(pattern, &range);
		count = (uint64_t)(range.last - range.first) + 1;
		if (at < count)
			return snprintf(name, room, "%0*lld", range.width,
					(long long)(range.first + (int64_t)at));
		at -= count;
		pattern++;
	}
}

/* How many names the brackets in the rest of pattern make, up to the end of its name. */
static uint64_t count_behind(const char *pattern)
{
	return *pattern && *pattern != ',' ? read_name(&pattern) : 1;
}

/* The at-th name of the first item in pattern; the last bracket counts fastest. */
static bool spell_name(const char *pattern, uint64_t at, char name[static NAME_SIZE])
{
	size_t size = 0;

	while (*pattern && *pattern != ',' && size < NAME_SIZE - 1) {
		const char *behind;
		uint64_t behind_count;
		int length;

		if (*pattern != '[') {
			name[size++] = *pattern++;
			continue;
		}
		behind = behind_bracket(pattern);
		behind_count = count_behind(behind);
		length =
			spell_number(pattern + 1, at / behind_count, name + size, NAME_SIZE - size);
		at %= behind_count;
		size += (size_t)length < NAME_SIZE - size ? (size_t)length : NAME_SIZE - 1 - size;
		pattern = behind;
	}
	name[size] = '\0';
	return size < NAME_SIZE - 1;
}

bool names_next(struct names_walk *walk, char name[static NAME_SIZE])
{
	const char *end = walk->rest;
	uint64_t count;

	if (!walk->rest || !*walk->rest)
		return false;
	count = read_name(&end);
	if (count == 0 || !spell_name(walk->rest, walk->at, name))
		return false;
	if (++walk->at == count) {
		walk->rest = *end ? end + 1 : end;
		walk->at = 0;
	}
	return true;
}
