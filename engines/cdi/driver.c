/* SPDX-License-Identifier: Apache-2.0 */
/* The driver's libraries and programs; see driver.h. */
#include "driver.h"

#include "buffer.h"
#include "cleanup.h"
#include "file.h"
#include "loader_cache.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define MULTIARCH "x86_64-linux-gnu"
enum { MACHINE = EM_X86_64 };
#elif defined(__aarch64__)
#define MULTIARCH "aarch64-linux-gnu"
enum { MACHINE = EM_AARCH64 };
#elif defined(__powerpc64__)
#define MULTIARCH "powerpc64le-linux-gnu"
enum { MACHINE = EM_PPC64 };
#else
#define MULTIARCH "lib"
enum { MACHINE = EM_NONE };
#endif

/* No driver has so many libraries. */
enum { MOUNTS_MOST = 4096, FOLDERS_MOST = 4 };

struct search {
	const char *root;
	int root_fd;
	char root_path[PATH_MAX]; /* as the kernel calls it; "" for / */
	char version[64];
	char folders[FOLDERS_MOST][PATH_MAX]; /* where the driver's libraries and their links are */
	size_t folder_count;
	struct cdi_mounts mounts;
};

void cdi_mounts_free(struct cdi_mounts *mounts)
{
	for (size_t i = 0; i < mounts->count; i++) {
		free(mounts->list[i].host);
		free(mounts->list[i].container);
	}
	free(mounts->list);
	*mounts = (struct cdi_mounts){0};
}

/* ---- paths below the root ---- */

/* Opens without leaving the root, whatever the links say; where that cannot be had, as they say. */
static int open_below(const struct search *search, const char *path, int flags)
{
	struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC), .resolve = RESOLVE_IN_ROOT};
	char whole[PATH_MAX];
	int fd = (int)syscall(SYS_openat2, search->root_fd, path, &how, sizeof how);

	if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
		return fd;
	if ((size_t)snprintf(whole, sizeof whole, "%s%s", search->root, path) >= sizeof whole)
		return -1;
	return open(whole, flags | O_CLOEXEC);
}

/* The path of an open file, which must be below the root. */
static bool path_of(const struct search *search, int fd, char ret_path[static PATH_MAX])
{
	char link[40], whole[PATH_MAX];
	size_t prefix = strlen(search->root_path);
	ssize_t size;

	(void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	size = readlink(link, whole, sizeof whole - 1);
	if (size <= 0)
		return false;
	whole[size] = '\0';
	if (strncmp(whole, search->root_path, prefix) != 0 || whole[prefix] != '/')
		return false;
	memcpy(ret_path, whole + prefix, (size_t)size - prefix + 1);
	return true;
}

/* The file that a path means in the end; false if it is not an ordinary one. */
static bool resolve(const struct search *search, const char *path, char ret_path[static PATH_MAX])
{
	ga_auto_close int fd = open_below(search, path, O_PATH);
	struct stat status;

	return fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
	       path_of(search, fd, ret_path);
}

static const char *name_in(const char *path)
{
	return strrchr(path, '/') + 1;
}

static int open_root(struct search *search)
{
	char path[PATH_MAX] = "";

	search->root_fd =
		open(*search->root ? search->root : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (search->root_fd < 0 || !path_of(search, search->root_fd, path))
		return -1;
	if (strcmp(path, "/") != 0)
		(void)snprintf(search->root_path, sizeof search->root_path, "%s", path);
	return 0;
}

/* ---- which folders ---- */

/* Whether it is a library for programs of this processor, in 64 bits. */
static bool is_for_us(const struct search *search, const char *path)
{
	ga_auto_close int fd = open_below(search, path, O_RDONLY | O_NOCTTY | O_NONBLOCK);
	unsigned char head[20];
	uint16_t machine;

	if (fd < 0 || read(fd, head, sizeof head) != (ssize_t)sizeof head ||
	    memcmp(head, ELFMAG, SELFMAG) != 0 || head[EI_CLASS] != ELFCLASS64)
		return false;
	memcpy(&machine, head + 18, sizeof machine);
	return machine == MACHINE;
}

/* "535.54.03" of "libcuda.so.535.54.03"; NULL for "libcuda.so.1" and whatever else. */
static const char *version_in(const char *name)
{
	const char *version = strstr(name, ".so.");

	if (!version || !strchr(version + 4, '.') ||
	    version[4 + strspn(version + 4, "0123456789.")] != '\0')
		return NULL;
	return version + 4;
}

static bool is_of_driver(const struct search *search, const char *path)
{
	const char *version = version_in(name_in(path));

	return version && strcmp(version, search->version) == 0;
}

static void add_folder(struct search *search, const char *path)
{
	size_t size = (size_t)(name_in(path) - path) - 1;

	for (size_t i = 0; i < search->folder_count; i++)
		if (strlen(search->folders[i]) == size &&
		    memcmp(search->folders[i], path, size) == 0)
			return;
	if (search->folder_count < FOLDERS_MOST && size > 0 && size < PATH_MAX)
		(void)snprintf(search->folders[search->folder_count++], PATH_MAX, "%.*s", (int)size,
			       path);
}

/*
 * Takes the folders of a library that everybody needs: where its name is, and where it is itself.
 * Others' builds of it, such as CUDA's for older drivers, have other versions.
 */
static bool take_library(struct search *search, const char *path)
{
	char real[PATH_MAX];
	const char *version;

	if (*path != '/' || !resolve(search, path, real) || !is_for_us(search, real))
		return false;
	version = version_in(name_in(real));
	if (!version || strlen(version) >= sizeof search->version)
		return false;
	if (!*search->version)
		(void)snprintf(search->version, sizeof search->version, "%s", version);
	if (strcmp(version, search->version) != 0)
		return false;
	add_folder(search, path);
	add_folder(search, real);
	return true;
}

/* 1, 0 or GPUALLOC_ENOMEM. */
static int ask_cache(struct search *search, const char *name)
{
	ga_auto_buffer struct ga_buffer cache = GA_BUFFER_INIT(0);
	char path[PATH_MAX];
	const char *found;
	size_t at = 0;

	if ((size_t)snprintf(path, sizeof path, "%s" LOADER_CACHE, search->root) >= sizeof path)
		return 0;
	if (ga_file_read(path, LOADER_CACHE_MOST, &cache, NULL) == GPUALLOC_ENOMEM)
		return GPUALLOC_ENOMEM;
	while (cache.data && (found = loader_cache_find(cache.data, cache.size, name, &at)))
		if (take_library(search, found))
			return 1;
	return 0;
}

static bool look_in_known_folders(struct search *search, const char *name)
{
	static const char *const known[] = {"/usr/lib/" MULTIARCH,
					    "/usr/lib64",
					    "/usr/lib",
					    "/usr/lib/" MULTIARCH "/nvidia/current",
					    "/run/opengl-driver/lib",
					    "/usr/local/nvidia/lib64"};
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", known[i], name);
		if (take_library(search, path))
			return true;
	}
	return false;
}

static int find_folders(struct search *search)
{
	static const char *const names[] = {"libcuda.so.1", "libnvidia-ml.so.1"};
	int found = 0;

	for (size_t i = 0; found == 0 && i < sizeof names / sizeof *names; i++) {
		found = ask_cache(search, names[i]);
		if (found == 0)
			found = look_in_known_folders(search, names[i]);
	}
	return found < 0 ? found : 0;
}

/* ---- what is in them ---- */

static int add_mount(struct cdi_mounts *mounts, const char *host, const char *folder,
		     const char *name)
{
	struct cdi_mount mount = {.host = strdup(host)}, *list = NULL;

	if (asprintf(&mount.container, "%s/%s", folder, name) < 0)
		mount.container = NULL;
	if (mount.host && mount.container && mounts->count < MOUNTS_MOST)
		list = reallocarray(mounts->list, mounts->count + 1, sizeof *list);
	if (!list) {
		free(mount.host);
		free(mount.container);
		return GPUALLOC_ENOMEM;
	}
	mounts->list = list;
	list[mounts->count++] = mount;
	return 0;
}

static bool has_mount(const struct cdi_mounts *mounts, const char *folder, const char *name)
{
	size_t size = strlen(folder);

	for (size_t i = 0; i < mounts->count; i++) {
		const char *path = mounts->list[i].container;

		if (strncmp(path, folder, size) == 0 && path[size] == '/' &&
		    strcmp(path + size + 1, name) == 0)
			return true;
	}
	return false;
}

static int add_library(struct search *search, const char *folder, const char *name)
{
	static const char *const searched[] = {"/usr/lib/" MULTIARCH, "/usr/lib64"};
	char path[PATH_MAX], real[PATH_MAX];
	int result = 0;

	if (strncmp(name, "lib", 3) != 0 || !strstr(name, ".so") ||
	    (size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path ||
	    !resolve(search, path, real) || !is_of_driver(search, real))
		return 0;
	for (size_t i = 0; result == 0 && i < sizeof searched / sizeof *searched; i++)
		if (!has_mount(&search->mounts, searched[i], name))
			result = add_mount(&search->mounts, real, searched[i], name);
	return result;
}

static void close_folder(DIR **folder)
{
	if (*folder)
		closedir(*folder);
}

static int add_folder_of_libraries(struct search *search, const char *path)
{
	int fd = open_below(search, path, O_RDONLY | O_DIRECTORY), result = 0;
	ga_cleanup(close_folder) DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	if (!folder && fd >= 0) {
		result = errno == ENOMEM ? GPUALLOC_ENOMEM : 0;
		close(fd);
	}
	while (folder && result == 0 && (entry = readdir(folder)))
		result = add_library(search, path, entry->d_name);
	return result;
}

static int add_programs(struct search *search)
{
	static const char *const programs[] = {"nvidia-cuda-mps-control", "nvidia-cuda-mps-server",
					       "nvidia-debugdump", "nvidia-smi"};
	char path[PATH_MAX], real[PATH_MAX];
	int result = 0;

	for (size_t i = 0; result == 0 && i < sizeof programs / sizeof *programs; i++) {
		(void)snprintf(path, sizeof path, "/usr/bin/%s", programs[i]);
		if (resolve(search, path, real))
			result = add_mount(&search->mounts, real, "/usr/bin", programs[i]);
	}
	return result;
}

static int by_container(const void *left, const void *right)
{
	const struct cdi_mount *a = left, *b = right;

	return strcmp(a->container, b->container);
}

int cdi_driver_find(const char *root, const char *version, struct cdi_mounts *ret_mounts,
		    gpualloc_error *error)
{
	struct search *search = calloc(1, sizeof *search);
	int result = 0;

	if (!search)
		return ga_error_memory(error);
	search->root = root;
	if (version)
		(void)snprintf(search->version, sizeof search->version, "%s", version);
	if (open_root(search) == 0) {
		result = find_folders(search);
		for (size_t i = 0; result == 0 && i < search->folder_count; i++)
			result = add_folder_of_libraries(search, search->folders[i]);
		if (result == 0 && search->folder_count > 0)
			result = add_programs(search);
	}
	if (search->root_fd >= 0)
		close(search->root_fd);
	if (search->mounts.count > 0)
		qsort(search->mounts.list, search->mounts.count, sizeof *search->mounts.list,
		      by_container);
	if (result == 0)
		*ret_mounts = search->mounts;
	else
		cdi_mounts_free(&search->mounts);
	free(search);
	return result < 0 ? ga_error_memory(error) : 0;
}
