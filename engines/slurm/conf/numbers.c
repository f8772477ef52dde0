/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of small numbers; see numbers.h. */
#include "numbers.h"

#include "text.h"

#include <string.h>

void numbers_empty(struct numbers *numbers)
{
	*numbers = (struct numbers){.highest = -1};
}

bool numbers_has(const struct numbers *numbers, int64_t number)
{
	return number >= 0 && number <= NUMBERS_MOST &&
	       (numbers->words[number / 64] >> (number % 64) & 1);
}

void numbers_add(struct numbers *numbers, int64_t first, int64_t last)
{
	for (int64_t number = first; number <= last && number <= NUMBERS_MOST; number++) {
		if (numbers_has(numbers, number))
			continue;
		numbers->words[number / 64] |= UINT64_C(1) << (number % 64);
		numbers->count++;
		if (number > numbers->highest)
			numbers->highest = number;
	}
}

size_t numbers_between(const struct numbers *numbers, int64_t first, int64_t last)
{
	size_t count = 0;

	for (int64_t number = first; number <= last && number <= numbers->highest; number++)
		count += numbers_has(numbers, number);
	return count;
}

static bool read_item(const char *item, size_t size, int64_t *ret_first, int64_t *ret_last)
{
	const char *dash = memchr(item, '-', size);
	size_t head = dash ? (size_t)(dash - item) : size;

	if (!ga_text_number(item, head, NUMBERS_MOST, ret_first))
		return false;
	*ret_last = *ret_first;
	return !dash || (ga_text_number(dash + 1, size - head - 1, NUMBERS_MOST, ret_last) &&
			 *ret_first <= *ret_last);
}

bool numbers_read(const char *list, struct numbers *ret_numbers)
{
	int64_t first, last;

	numbers_empty(ret_numbers);
	for (;;) {
		size_t size = strcspn(list, ",");

		if (!read_item(list, size, &first, &last))
			return false;
		/* Numbers that are already there cost nothing: "0-65535,0-65535,…" is read once. */
		if (ret_numbers->count <= NUMBERS_MOST)
			numbers_add(ret_numbers, first, last);
		if (!list[size])
			return true;
		list += size + 1;
	}
}

void numbers_text(struct ga_buffer *text, const struct numbers *numbers)
{
	const char *comma = "";

	for (int64_t first = 0; first <= numbers->highest; first++) {
		int64_t last = first;

		if (!numbers_has(numbers, first))
			continue;
		while (numbers_has(numbers, last + 1))
			last++;
		ga_buffer_format(text, first == last ? "%s%lld" : "%s%lld-%lld", comma,
				 (long long)first, (long long)last);
		comma = ",";
		first = last;
	}
}
