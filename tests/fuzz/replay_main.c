/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target once on each file of the folders named: the corpus as a test. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 4 << 20 };

static int run_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *content, *exact;
	size_t size;

	if (!file)
		return -1;
	content = malloc(FILE_MAX);
	size = content ? fread(content, 1, FILE_MAX, file) : 0;
	(void)fclose(file);
	/* No byte more than there are, so that reading past the end is seen. */
	exact = malloc(size ? size : 1);
	if (!content || !exact)
		return -1;
	memcpy(exact, content, size);
	free(content);
	(void)LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	return 0;
}

static int run_folder(const char *folder, size_t *count)
{
	DIR *entries = opendir(folder);
	struct dirent *entry;
	char path[4096];

	if (!entries)
		return -1;
	while ((entry = readdir(entries))) {
		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		printf("%s\n", path);
		(void)fflush(stdout);
		if (run_file(path) < 0)
			return -1;
		++*count;
	}
	(void)closedir(entries);
	return 0;
}

int main(int argc, char **argv)
{
	size_t count = 0;

	for (int i = 1; i < argc; i++)
		if (run_folder(argv[i], &count) < 0) {
			(void)fprintf(stderr, "cannot read %s\n", argv[i]);
			return 1;
		}
	printf("%zu files\n", count);
	return count > 0 ? 0 : 1;
}
