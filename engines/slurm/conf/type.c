/* SPDX-License-Identifier: Apache-2.0 */
/* Slurm's names for models; see type.h. They are letters, digits and "_", and in profiles
 * "." and "-": commas, colons and blanks mean something else in a Gres. */
#include "type.h"

#include <string.h>

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool starts(const char *word, const char *start)
{
	return strncmp(word, start, strlen(start)) == 0;
}

/* "40gb", "144g": an amount of memory, not a model. */
static bool is_memory(const char *word)
{
	size_t digits = strspn(word, "0123456789");

	return digits > 0 && (strcmp(word + digits, "gb") == 0 || strcmp(word + digits, "g") == 0);
}

/* Words that say who made it, what it is plugged into or how much memory it has. */
static bool is_beside_the_model(const char *word)
{
	static const char *const words[] = {
		"amd",      "device", "edition",  "geforce", "generation", "gpu",
		"graphics", "grid",   "instinct", "nvidia",  "nvl",        "pci",
		"pcie",     "quadro", "server",   "tesla",   "workstation"};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (strcmp(word, words[i]) == 0)
			return true;
	return starts(word, "sxm") || starts(word, "hbm") || is_memory(word);
}

/* Takes the next word in small letters; false if there is none. Cuts a word that is too long. */
static bool take_word(const char **rest, char word[static TYPE_SIZE])
{
	size_t size = 0;

	while (**rest && !is_plain(lower(**rest)))
		++*rest;
	for (; is_plain(lower(**rest)); ++*rest)
		if (size < TYPE_SIZE - 1)
			word[size++] = lower(**rest);
	word[size] = '\0';
	return size > 0;
}

void slurm_type(const char *model, bool whole, char type[static TYPE_SIZE])
{
	char word[TYPE_SIZE];
	size_t size = 0;

	type[0] = '\0';
	while (take_word(&model, word)) {
		size_t more = strlen(word);

		if ((!whole && is_beside_the_model(word)) || size + (size > 0) + more >= TYPE_SIZE)
			continue;
		if (size > 0)
			type[size++] = '_';
		memcpy(type + size, word, more + 1);
		size += more;
	}
}

void slurm_profile_type(const char *profile, char type[static TYPE_SIZE])
{
	size_t size = 0;

	for (; *profile && size < TYPE_SIZE - 1; profile++) {
		char c = lower(*profile);

		type[size++] = is_plain(c) || c == '.' || c == '-' ? c : '_';
	}
	type[size] = '\0';
}
