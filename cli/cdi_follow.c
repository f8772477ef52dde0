/* SPDX-License-Identifier: Apache-2.0 */
/* Noticing changes; see cdi_follow.h. */
#include "cdi_follow.h"

#include "cleanup.h"
#include "clock.h"
#include "file.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/*
 * A change of MIG comes as several: an instance can be seen before it can be used, so after one the
 * machine is asked a few times more. And now and then in any case, for what cannot be seen here.
 */
enum { LOOK_MS = 2000, AGAIN = 3, ANYWAY_MS = 10 * 60 * 1000, DEPTH_MOST = 6, SEEN_MOST = 1 << 22 };

static const char capabilities[] = "/proc/driver/nvidia/capabilities";

void cdi_follow_free(struct cdi_follow *follow)
{
	ga_buffer_free(&follow->seen);
}

static void close_folder(DIR **folder)
{
	if (*folder)
		closedir(*folder);
}

static DIR *open_folder(const char *root, const char *path)
{
	char whole[PATH_MAX];

	if ((size_t)snprintf(whole, sizeof whole, "%s%s", root, path) >= sizeof whole)
		return NULL;
	return opendir(whole);
}

/* The names in a folder and below, and what is in the files. */
static void look_into(struct ga_buffer *seen, const char *root, const char *path, int depth)
{
	ga_cleanup(close_folder) DIR *folder = depth > 0 ? open_folder(root, path) : NULL;
	const struct dirent *entry;
	char text[512], below[PATH_MAX];

	ga_buffer_format(seen, "%s\n", path);
	if (!folder) {
		if (ga_file_peek(root, path, text, sizeof text) >= 0)
			ga_buffer_format(seen, "%s\n", text);
		return;
	}
	while ((entry = readdir(folder)))
		if (entry->d_name[0] != '.' && (size_t)snprintf(below, sizeof below, "%s/%s", path,
								entry->d_name) < sizeof below)
			look_into(seen, root, below, depth - 1);
}

static void look(struct ga_buffer *seen, const char *root)
{
	static const char *const nodes[] = {"/dev/nvidiactl", "/dev/nvidia-uvm",
					    "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset"};

	look_into(seen, root, "/proc/driver/nvidia/version", 1);
	look_into(seen, root, "/proc/driver/nvidia/gpus", 1);
	look_into(seen, root, capabilities, DEPTH_MOST);
	for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
		if (ga_file_exists(root, nodes[i]))
			ga_buffer_format(seen, "%s\n", nodes[i]);
	ga_buffer_text(seen, "");
}

/* Negative when out of memory; whether it differs from what was seen before. */
static int has_changed(struct cdi_follow *follow)
{
	ga_auto_buffer struct ga_buffer now = GA_BUFFER_INIT(SEEN_MOST);
	int changed;

	look(&now, follow->root);
	if (now.failed)
		return -1;
	changed = !follow->seen.data || follow->seen.size != now.size ||
		  memcmp(follow->seen.data, now.data, now.size) != 0;
	ga_buffer_free(&follow->seen);
	follow->seen = now;
	now = GA_BUFFER_INIT(0);
	return changed;
}

/* The first look is compared with nothing: what the first document says may be old by then. */
int cdi_follow_wait(struct cdi_follow *follow)
{
	int64_t start = ga_clock_ms();
	int changed;

	do {
		ga_clock_sleep_us((int64_t)LOOK_MS * 1000);
		changed = has_changed(follow);
	} while (changed == 0 && follow->again == 0 && ga_clock_ms() - start < ANYWAY_MS);
	if (changed > 0)
		follow->again = AGAIN;
	else if (follow->again > 0)
		follow->again--;
	return changed < 0 ? -1 : 0;
}
