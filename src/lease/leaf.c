/* SPDX-License-Identifier: Apache-2.0 */
/* Other people's small files, written whole and read with care; see leaf.h. */
#include "leaf.h"

#include "file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

int ga_leaf_write(int folder, const char *name, const struct ga_buffer *text)
{
	ga_auto_close int fd = openat(folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char way[32];
	int result;

	if (fd < 0)
		return -errno;
	/* For everybody to read, whatever the umask is. */
	if (fchmod(fd, 0644) < 0)
		return -errno;
	result = ga_file_put(fd, text->data, text->size);
	if (result < 0)
		return result;
	(void)snprintf(way, sizeof way, "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, way, folder, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

/*
 * The name on the way starts with a dot and has a letter that no leaf's name has, so nobody takes it
 * for a leaf. If we die in between, the next replacement of this leaf tidies up.
 */
int ga_leaf_replace(int folder, const char *name, const struct ga_buffer *text)
{
	char passing[GA_LEAF_NAME + 8];
	int result;

	if (!ga_leaf_is_ours(folder, name))
		return -EPERM;
	(void)snprintf(passing, sizeof passing, ".%s.new", name);
	(void)unlinkat(folder, passing, 0);
	result = ga_leaf_write(folder, passing, text);
	if (result < 0 || renameat(folder, passing, folder, name) == 0)
		return result;
	result = -errno;
	(void)unlinkat(folder, passing, 0);
	return result;
}

static bool could_be_leaf(const struct stat *status)
{
	return S_ISREG(status->st_mode) && status->st_size >= 0 && status->st_size <= GA_LEAF_MAX;
}

/* Non-blocking: with a file lease the owner could make open() wait for 45 seconds. */
bool ga_leaf_read(int folder, const char *name, struct ga_buffer *text, struct stat *ret_status)
{
	ga_auto_close int fd =
		openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	char bytes[GA_LEAF_MAX];
	ssize_t got;

	if (fd < 0 || fstat(fd, ret_status) < 0 || !could_be_leaf(ret_status))
		return false;
	got = read(fd, bytes, sizeof bytes);
	if (got < 0)
		return false;
	ga_buffer_append(text, bytes, (size_t)got);
	return !text->failed;
}

bool ga_leaf_is_ours(int folder, const char *name)
{
	struct stat status;

	return fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	       !S_ISDIR(status.st_mode) && status.st_uid == geteuid();
}

bool ga_leaf_is_ours_to_remove(int folder, const char *name)
{
	struct stat status;

	return fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	       !S_ISDIR(status.st_mode) && (geteuid() == 0 || status.st_uid == geteuid());
}

bool ga_leaf_sweep(int folder, const char *name)
{
	return ga_leaf_is_ours_to_remove(folder, name) && unlinkat(folder, name, 0) == 0;
}

bool ga_crowd_admits(struct ga_crowd *crowd, int folder, const char *name)
{
	enum { MOST = 2000 };
	struct stat status;

	if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(status.st_mode))
		return false;
	return crowd->seen[status.st_uid % 256] < MOST && ++crowd->seen[status.st_uid % 256];
}

bool ga_leaf_line(struct ga_view *rest, struct ga_view *ret_key, struct ga_view *ret_value)
{
	struct ga_view line;
	const char *blank;

	if (!ga_view_line(rest, &line))
		return false;
	blank = line.size > 0 ? memchr(line.text, ' ', line.size) : NULL;
	ret_key->text = line.text;
	ret_key->size = blank ? (size_t)(blank - line.text) : line.size;
	ret_value->text = blank ? blank + 1 : line.text + line.size;
	ret_value->size = line.size - ret_key->size - (blank ? 1 : 0);
	return true;
}

void ga_leaf_add(struct ga_buffer *text, const char *key, const char *value, size_t most)
{
	size_t length = value ? strnlen(value, most) : 0;
	ga_auto_free char *clean = length > 0 ? ga_text_clean(value, length) : NULL;

	if (clean && *clean)
		ga_buffer_format(text, "%s %s\n", key, clean);
}

bool ga_leaf_hex(const char *text, size_t size, uint64_t *ret_number)
{
	uint64_t number = 0;

	if (size == 0 || size > 16)
		return false;
	for (size_t i = 0; i < size; i++) {
		const char *digits = "0123456789abcdef", *digit;

		digit = text[i] ? strchr(digits, text[i]) : NULL;
		if (!digit)
			return false;
		number = number << 4 | (uint64_t)(digit - digits);
	}
	*ret_number = number;
	return true;
}

void ga_leaf_user(uid_t uid, char *text, size_t size)
{
	char space[4096];
	struct passwd entry, *found = NULL;

	if (getpwuid_r(uid, &entry, space, sizeof space, &found) == 0 && found &&
	    ga_text_is_clean(found->pw_name, strlen(found->pw_name)))
		(void)snprintf(text, size, "%s", found->pw_name);
	else
		(void)snprintf(text, size, "uid %u", (unsigned)uid);
}

int ga_leaf_each(int folder, int (*each)(void *context, const char *name), void *context)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = 0;
	DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	if (!list) {
		result = errno == ENOMEM ? GPUALLOC_ENOMEM : GPUALLOC_EIO;
		if (fd >= 0)
			close(fd);
		return result;
	}
	for (errno = 0; result == 0 && (entry = readdir(list)); errno = 0)
		if (strlen(entry->d_name) < GA_LEAF_NAME && entry->d_name[0] != '.')
			result = each(context, entry->d_name);
	/* A folder that ends early has not been read. */
	if (result == 0 && errno != 0)
		result = GPUALLOC_EIO;
	(void)closedir(list);
	return result;
}
