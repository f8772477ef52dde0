/* SPDX-License-Identifier: Apache-2.0 */
/* Landlock with all allowed but some; see landlock.h. Its numbers are the same everywhere. */
#include "landlock.h"

#include "cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

enum {
	CREATE_RULESET = 444,
	ADD_RULE = 445,
	RESTRICT_SELF = 446,
	TELL_ABI = 1,     /* a flag of CREATE_RULESET */
	PATH_BENEATH = 1, /* a kind of rule */
	ABI_OF_REFER = 2, /* before it, no file can be moved to another folder */
	LAYERS_MOST = 16, /* one in the other; the kernel's limit */
};

/* Rights to files. What is not handled stays as it was. */
#define WRITE_FILE (UINT64_C(1) << 1)
#define READ_FILE (UINT64_C(1) << 2)
#define REFER (UINT64_C(1) << 13) /* moving and linking from folder to folder */
#define HANDLED (WRITE_FILE | READ_FILE | REFER)

struct beneath {
	uint64_t allowed;
	int32_t parent;
} __attribute__((packed));

struct walk {
	const struct ga_landlock *landlock;
	int ruleset;
	char path[PATH_MAX];
	gpualloc_error *error;
};

static int refuse(gpualloc_error *error, const char *why)
{
	struct utsname system = {.release = "?"};

	(void)uname(&system);
	return ga_error_set(
		error, GPUALLOC_EPERM,
		"a fence needs Landlock of Linux 5.19 or later; this is Linux %.40s, %s",
		system.release, why);
}

int ga_landlock_check(gpualloc_error *error)
{
	long abi = syscall(CREATE_RULESET, NULL, 0, TELL_ABI);

	if (abi >= ABI_OF_REFER)
		return 0;
	if (abi < 0 && errno == EOPNOTSUPP)
		return refuse(error, "where Landlock is switched off: the administrator can add "
				     "landlock to lsm= on the kernel's command line");
	if (abi < 0)
		return refuse(error, "which has none or does not allow it here");
	return refuse(error, "whose Landlock cannot let files be moved between folders");
}

static bool add_rule(const struct walk *walk, int fd, uint64_t rights)
{
	struct beneath rule = {.allowed = rights, .parent = fd};

	return syscall(ADD_RULE, walk->ruleset, PATH_BENEATH, &rule, 0) == 0;
}

static int allow(const struct walk *walk, int fd, uint64_t rights)
{
	/* Others than folders can have no right to move what is in them. */
	if (add_rule(walk, fd, rights) ||
	    (errno == EINVAL && rights & REFER && add_rule(walk, fd, rights & ~REFER)))
		return 0;
	return ga_error_errno(walk->error, GPUALLOC_EPERM, errno, "a fence cannot leave out %.200s",
			      walk->path);
}

static bool is_folder(const struct walk *walk)
{
	for (const char *const *at = walk->landlock->folders; *at; at++)
		if (strcmp(*at, walk->path) == 0)
			return true;
	return false;
}

static bool is_above_folder(const struct walk *walk)
{
	size_t size = strlen(walk->path);

	for (const char *const *at = walk->landlock->folders; *at; at++)
		if (strncmp(*at, walk->path, size) == 0 && (size == 1 || (*at)[size] == '/'))
			return true;
	return false;
}

/* Nothing is asked of what may be mounted there: it might not answer, or not to everybody. */
static int allow_entry(const struct walk *walk, int folder, const struct dirent *entry)
{
	bool may_be_folder = entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN;
	ga_auto_close int fd = -1;

	/* A link is never opened itself, and what it leads to has its own place. */
	if (entry->d_type == DT_LNK)
		return 0;
	fd = openat(folder, entry->d_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0)
		return allow(walk, fd, may_be_folder ? HANDLED : HANDLED & ~REFER);
	if (errno == ENOENT)
		return 0; /* gone */
	return ga_error_errno(walk->error, GPUALLOC_EPERM, errno, "a fence cannot look at %.200s",
			      walk->path);
}

static int walk_folder(struct walk *walk, int fd);

static int walk_entry(struct walk *walk, int folder, const struct dirent *entry, bool may_hide)
{
	if (may_hide && walk->landlock->hides(walk->landlock->context, walk->path))
		return 0;
	if (!is_folder(walk) && !is_above_folder(walk))
		return allow_entry(walk, folder, entry);
	return walk_folder(walk, openat(folder, entry->d_name,
					O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

static void close_folder(DIR **folder)
{
	if (*folder)
		(void)closedir(*folder);
}

/* The path is the folder's. Takes the descriptor. */
static int walk_folder(struct walk *walk, int fd)
{
	ga_cleanup(close_folder) DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
	size_t size = strlen(walk->path);
	bool may_hide = is_folder(walk);
	const struct dirent *entry;
	int result;

	if (!folder) {
		result = ga_error_errno(walk->error, GPUALLOC_EPERM, errno,
					"a fence cannot read the folder %.200s", walk->path);
		ga_close_fd(&fd);
		return result;
	}
	/* Moving and linking between any two places needs this above both, and opens nothing. */
	result = allow(walk, fd, REFER);
	while (result == 0 && (entry = readdir(folder))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		(void)snprintf(walk->path + size, sizeof walk->path - size, "%s%s",
			       size == 1 ? "" : "/", entry->d_name);
		result = walk_entry(walk, fd, entry, may_hide);
	}
	walk->path[size] = '\0';
	return result;
}

static int restrict_self(int ruleset, gpualloc_error *error)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return ga_error_errno(error, GPUALLOC_EPERM, errno, "a fence cannot be made");
	if (syscall(RESTRICT_SELF, ruleset, 0) == 0)
		return 0;
	if (errno == E2BIG)
		return ga_error_set(error, GPUALLOC_EPERM,
				    "there are already %d fences around this process, and the "
				    "kernel allows no more",
				    LAYERS_MOST);
	return ga_error_errno(error, GPUALLOC_EPERM, errno, "a fence cannot be made");
}

int ga_landlock_enter(const struct ga_landlock *landlock, gpualloc_error *error)
{
	struct walk walk = {.landlock = landlock, .path = "/", .error = error};
	const uint64_t handled = HANDLED;
	ga_auto_close int ruleset = -1;
	int result = ga_landlock_check(error);

	if (result < 0)
		return result;
	/* Close-on-exec, as the kernel makes it. */
	ruleset = (int)syscall(CREATE_RULESET, &handled, sizeof handled, 0);
	if (ruleset < 0)
		return ga_error_errno(error, GPUALLOC_EPERM, errno, "a fence cannot be made");
	walk.ruleset = ruleset;
	result = walk_folder(&walk, open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	return result < 0 ? result : restrict_self(ruleset, error);
}
