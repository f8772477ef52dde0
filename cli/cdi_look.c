/* SPDX-License-Identifier: Apache-2.0 */
/* Looking for a device in CDI files; see cdi_look.h. */
#include "cdi_look.h"

#include "buffer.h"
#include "file.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

enum { FILE_MOST = 16 << 20 };

/* Nothing that names are made of comes before or after it. */
static bool has_word(const char *text, const char *word)
{
	static const char more[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   "-_.:/";
	size_t size = strlen(word);

	for (const char *at = strstr(text, word); at; at = strstr(at + 1, word))
		if ((at == text || !strchr(more, at[-1])) && (!at[size] || !strchr(more, at[size])))
			return true;
	return false;
}

static bool is_cdi_file(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && name[0] != '.' && (strcmp(dot, ".json") == 0 || strcmp(dot, ".yaml") == 0);
}

static bool look_into(const char *path, const char *kind, const char *name)
{
	DIR *folder = opendir(path);
	const struct dirent *entry;
	bool found = false;

	while (folder && !found && (entry = readdir(folder))) {
		ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(0);

		if (is_cdi_file(entry->d_name) &&
		    ga_file_read_at(dirfd(folder), entry->d_name, FILE_MOST, &text, NULL) == 0)
			found = has_word(text.data, kind) && (!name || has_word(text.data, name));
	}
	if (folder)
		closedir(folder);
	return found;
}

bool cdi_look(const char *const *folders, const char *kind, const char *name)
{
	for (; *folders; folders++)
		if (look_into(*folders, kind, name))
			return true;
	return false;
}
