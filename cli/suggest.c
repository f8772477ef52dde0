/* SPDX-License-Identifier: Apache-2.0 */
/* Near misses, by the number of letters that are wrong, missing, too many or swapped. */
#include "suggest.h"

#include <string.h>

enum { WORD_MAX = 32 };

static size_t least(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

static size_t distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
	size_t cost[WORD_MAX + 1][WORD_MAX + 1];

	for (size_t i = 0; i <= a_size; i++)
		cost[i][0] = i;
	for (size_t j = 0; j <= b_size; j++)
		cost[0][j] = j;
	for (size_t i = 1; i <= a_size; i++)
		for (size_t j = 1; j <= b_size; j++) {
			size_t differs = a[i - 1] != b[j - 1];

			cost[i][j] = least(cost[i - 1][j] + 1, cost[i][j - 1] + 1,
					   cost[i - 1][j - 1] + differs);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				cost[i][j] = least(cost[i][j], cost[i - 2][j - 2] + 1, cost[i][j]);
		}
	return cost[a_size][b_size];
}

void suggest_offer(struct suggestion *best, const char *typed, const char *known)
{
	size_t typed_size = strlen(typed), known_size = strlen(known), wrong;

	if (typed_size > WORD_MAX || known_size > WORD_MAX)
		return;
	wrong = distance(typed, typed_size, known, known_size);
	/* One mistake in three letters is a near miss; a beginning ("snap") has no mistakes. */
	if (wrong > 0 && typed_size >= 2 && strncmp(typed, known, typed_size) == 0)
		wrong = 1;
	if (wrong * 3 > known_size + 1 || (best->word && wrong >= best->distance))
		return;
	*best = (struct suggestion){known, wrong};
}
