/* SPDX-License-Identifier: Apache-2.0 */
/* Puts the fence up, looks at it and takes it down; see fence.h. */
#include "bpf_library.h"
#include "cleanup.h"
#include "fence.h"
#include "file.h"
#include "maps.h"
#include "object.h"
#include "pins.h"
#include "preemption.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

enum { LOG_SIZE = 16 << 20, HEAR_ATTEMPTS = 100 };
/* Loops in programs; security modules' programs that do not get into each other's way. */
enum { NEEDS_MAJOR = 5, NEEDS_MINOR = 17, APART_MAJOR = 6, APART_MINOR = 2 };

/* In the order in which they are attached: who marks comes before who refuses. */
static const char *const hooks[] = {"file_free", "task_alloc",   "bprm_check_security",
				    "file_lock", "file_receive", "file_open"};
enum { HOOKS = sizeof hooks / sizeof *hooks };

/* Maps that say which process carries what; a newer fence goes on with those of the one before. */
static const char *const lasting[] = {"live", "opened", "cookies", "carried"};
enum { LASTING = sizeof lasting / sizeof *lasting };

struct loading {
	struct bpf_library bpf;
	struct bpf_object *object;
	enum fence_kind kind;
	char *log; /* of the verifier */
};

static void loading_clear(struct loading *loading)
{
	if (loading->object)
		loading->bpf.bpf_object__close(loading->object);
	free(loading->log);
}
#define auto_loading ga_cleanup(loading_clear)

/* ---- can this kernel ---- */

static bool is_older(const char *release, int than_major, int than_minor)
{
	char *end;
	long major = strtol(release, &end, 10), minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;

	return major < than_major || (major == than_major && minor < than_minor);
}

static bool is_locked_down(void)
{
	char text[128];

	return ga_file_peek("", "/sys/kernel/security/lockdown", text, sizeof text) > 0 &&
	       strstr(text, "[confidentiality]");
}

/* What is missing, as far as it can be told without trying. */
static int check_kernel(gpualloc_error *error)
{
	struct utsname name;

	if (uname(&name) == 0 && is_older(name.release, NEEDS_MAJOR, NEEDS_MINOR))
		return ga_error_set(error, GPUALLOC_EIMPOSSIBLE,
				    "the fence needs Linux %d.%d (loops in BPF), and this is %s",
				    NEEDS_MAJOR, NEEDS_MINOR, name.release);
	if (!ga_file_exists("", "/sys/kernel/btf/vmlinux"))
		return ga_error_set(
			error, GPUALLOC_EIMPOSSIBLE,
			"this kernel does not describe itself (/sys/kernel/btf/vmlinux is "
			"missing: CONFIG_DEBUG_INFO_BTF), which the fence needs");
	if (is_locked_down())
		return ga_error_set(error, GPUALLOC_EIMPOSSIBLE,
				    "this kernel is locked down (lockdown=confidentiality), so the "
				    "fence cannot read whose locks the ledger has");
	return 0;
}

/*
 * Where the kernel takes the processor from a process while it is in one of our programs, others
 * there go past that program, and are not asked, if it is attached to a function. A security
 * module's is run again, but before Linux 6.2 it does not get at what processes carry meanwhile.
 */
static int check_preemption(enum fence_kind kind, gpualloc_error *error)
{
	struct utsname name;
	enum preemption preemption = PREEMPTION_UNKNOWN;

	if (uname(&name) == 0) {
		if (kind == FENCE_LSM && !is_older(name.release, APART_MAJOR, APART_MINOR))
			return 0;
		preemption = preemption_of(&name, "");
	}
	if (preemption == PREEMPTION_LIMITED)
		return 0;
	return ga_error_set(
		error, GPUALLOC_EIMPOSSIBLE,
		"%s, and the fence might not be asked about those: it has to be %s, or, before "
		"Linux 7, started with preempt=voluntary",
		preemption == PREEMPTION_ANYWHERE
			? "this kernel interrupts its own work for other processes (preempt=full "
			  "or lazy)"
			: "this kernel does not say whether it interrupts its own work for other "
			  "processes (preempt=full or lazy)",
		kind == FENCE_LSM ? "Linux 6.2 or newer"
				  : "Linux 6.2 or newer with `bpf` among its security modules "
				    "(lsm=)");
}

/* `bpf` may be one of several: "lockdown,capability,landlock,bpf". */
static enum fence_kind kind_here(void)
{
	char text[512], *rest = text, *word;

	if (ga_file_peek("", "/sys/kernel/security/lsm", text, sizeof text) > 0)
		while ((word = strsep(&rest, ",")))
			if (strcmp(word, "bpf") == 0)
				return FENCE_LSM;
	return FENCE_FUNCTIONS;
}

/* The last line of the verifier's that is not its count of work. */
static const char *last_words(char *log)
{
	const char *last = "";
	char *rest = log, *line;

	while ((line = strsep(&rest, "\n")))
		if (*line && strncmp(line, "processed ", 10) != 0)
			last = line;
	return last;
}

static int refused(const struct loading *loading, int number, const char *what,
		   gpualloc_error *error)
{
	const char *why = loading->log ? last_words(loading->log) : "";

	if (*why)
		return ga_error_set(
			error, GPUALLOC_EIMPOSSIBLE,
			"this kernel does not accept the fence's programs (%s: %s): %.200s", what,
			strerror(number), why);
	if (number == EPERM)
		return ga_error_set(
			error, GPUALLOC_EIMPOSSIBLE,
			"this kernel refuses programs that decide who may open files (%s: "
			"%s), as kernels of some virtual machines and containers do",
			what, strerror(number));
	return ga_error_errno(error, GPUALLOC_EIMPOSSIBLE, number,
			      "this kernel does not accept the fence's programs (%s)", what);
}

/* ---- loading ---- */

static const char *prefix(enum fence_kind kind)
{
	return kind == FENCE_LSM ? "lsm_" : "mod_";
}

static uint64_t build_of_object(void)
{
	uint64_t value = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < fence_object_size; i++)
		value = (value ^ fence_object[i]) * UINT64_C(0x100000001b3);
	return value;
}

/* Only one kind of hooks. */
static int choose_programs(struct loading *loading, gpualloc_error *error)
{
	const struct bpf_library *bpf = &loading->bpf;
	const char *start = prefix(loading->kind);
	struct bpf_program *program = NULL;

	while ((program = bpf->bpf_object__next_program(loading->object, program)))
		if (bpf->bpf_program__set_autoload(program, strncmp(bpf->bpf_program__name(program),
								    start, strlen(start)) == 0) < 0)
			return refused(loading, errno, "choosing", error);
	return 0;
}

static bool lasts(const char *name)
{
	for (size_t i = 0; i < LASTING; i++)
		if (strcmp(lasting[i], name) == 0)
			return true;
	return false;
}

/* Goes on with the marks of the fence that stands; without them, what closed its descriptor would
 * be refused. */
static int reuse_marks(struct loading *loading, gpualloc_error *error)
{
	const struct bpf_library *bpf = &loading->bpf;
	struct bpf_map *map = NULL;
	char path[128];

	while ((map = bpf->bpf_object__next_map(loading->object, map))) {
		const char *name = bpf->bpf_map__name(map);
		ga_auto_close int fd = -1;

		if (!lasts(name))
			continue;
		(void)snprintf(path, sizeof path, "%s/maps/%s", FENCE_PINS, name);
		fd = bpf->bpf_obj_get(path);
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0 || bpf->bpf_map__reuse_fd(map, fd) < 0)
			return ga_error_errno(error, GPUALLOC_EIMPOSSIBLE, errno, "%s", path);
	}
	return 0;
}

static int load(struct loading *loading, bool goes_on, gpualloc_error *error)
{
	const struct bpf_library *bpf = &loading->bpf;
	struct bpf_object_open_opts options = {
		.sz = sizeof options, .object_name = "gpualloc", .kernel_log_size = LOG_SIZE};
	int result;

	loading->log = calloc(1, LOG_SIZE);
	if (!loading->log)
		return ga_error_memory(error);
	options.kernel_log_buf = loading->log;
	loading->object = bpf->bpf_object__open_mem(fence_object, fence_object_size, &options);
	if (!loading->object)
		return refused(loading, errno, "reading them", error);
	result = choose_programs(loading, error);
	if (result == 0 && goes_on)
		result = reuse_marks(loading, error);
	if (result == 0 && bpf->bpf_object__load(loading->object) < 0)
		return refused(loading, errno, "loading", error);
	return result;
}

static int pin_maps(const struct loading *loading, gpualloc_error *error)
{
	const struct bpf_library *bpf = &loading->bpf;
	struct bpf_map *map = NULL;
	char path[128];

	while ((map = bpf->bpf_object__next_map(loading->object, map))) {
		(void)snprintf(path, sizeof path, "%s/maps/%s", FENCE_NEW, bpf->bpf_map__name(map));
		if (bpf->bpf_map__pin(map, path) < 0)
			return ga_error_errno(error, GPUALLOC_EIMPOSSIBLE, errno, "%s", path);
	}
	return 0;
}

static struct bpf_program *find_program(const struct loading *loading, const char *hook)
{
	const struct bpf_library *bpf = &loading->bpf;
	const char *start = prefix(loading->kind);
	struct bpf_program *program = NULL;

	while ((program = bpf->bpf_object__next_program(loading->object, program))) {
		const char *name = bpf->bpf_program__name(program);

		if (strncmp(name, start, strlen(start)) == 0 &&
		    strcmp(name + strlen(start), hook) == 0)
			return program;
	}
	return NULL;
}

static int attach(const struct loading *loading, const char *hook, gpualloc_error *error)
{
	const struct bpf_library *bpf = &loading->bpf;
	struct bpf_program *program = find_program(loading, hook);
	struct bpf_link *link = program ? bpf->bpf_program__attach(program) : NULL;
	char path[128];
	int result = 0;

	if (!link)
		return refused(loading, program ? errno : ENOENT, hook, error);
	(void)snprintf(path, sizeof path, "%s/hooks/%s", FENCE_NEW, hook);
	if (bpf->bpf_link__pin(link, path) < 0)
		result = ga_error_errno(error, GPUALLOC_EIMPOSSIBLE, errno, "%s", path);
	(void)bpf->bpf_link__destroy(link);
	return result;
}

/* How many descriptions of the ledger of root's are known. */
static uint64_t count_known(const struct bpf_library *bpf, int map)
{
	uint32_t root = 0;
	uint64_t count = 0;

	return bpf->bpf_map_lookup_elem(map, &root, &count) < 0 ? 0 : count;
}

/*
 * Opens the ledger, which a fence that works hears. One that does not would refuse everybody: so it
 * is where a file's device has another number inside of the kernel, as on btrfs.
 */
static int check_hears(const struct bpf_library *bpf, const char *folder, const char *ledger,
		       gpualloc_error *error)
{
	ga_auto_close int map = -1;
	char path[128];

	(void)snprintf(path, sizeof path, "%s/maps/opened", folder);
	map = bpf->bpf_obj_get(path);
	if (map < 0)
		return ga_error_errno(error, GPUALLOC_EIMPOSSIBLE, errno, "%s", path);
	/* Others of root's may close theirs meanwhile. */
	for (int attempt = 0; attempt < HEAR_ATTEMPTS; attempt++) {
		uint64_t before = count_known(bpf, map);
		ga_auto_close int fd = open(ledger, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

		if (fd < 0)
			return ga_error_errno(error, GPUALLOC_EPERM, errno, "%s", ledger);
		if (count_known(bpf, map) > before)
			return 0;
	}
	return ga_error_set(
		error, GPUALLOC_EIMPOSSIBLE,
		"the fence does not notice who opens %s, so it could not tell who has a "
		"lease: the store may be on a file system (such as btrfs) whose files the "
		"kernel knows under other numbers",
		ledger);
}

/* At its end it refuses. */
static int arm(const struct loading *loading, const struct fence_rules *rules,
	       gpualloc_error *error)
{
	auto_fence_maps struct fence_maps maps = FENCE_MAPS_CLOSED;
	struct fence_settings settings = {.since = (unsigned long long)time(NULL),
					  .build = build_of_object(),
					  .kind = loading->kind,
					  .layout = FENCE_LAYOUT};
	int result = fence_maps_open(&loading->bpf, FENCE_NEW, &maps, error);

	if (result == 0)
		result = fence_rules_write(&loading->bpf, &maps, rules, &settings, error);
	if (result == 0)
		result = check_hears(&loading->bpf, FENCE_NEW, rules->ledger, error);
	settings.armed = 1;
	return result == 0 ? fence_rules_write(&loading->bpf, &maps, rules, &settings, error)
			   : result;
}

static int build(struct loading *loading, const struct fence_rules *rules, bool goes_on,
		 gpualloc_error *error)
{
	int result = fence_pins_make(FENCE_NEW, error);

	if (result == 0)
		result = load(loading, goes_on, error);
	if (result == 0)
		result = pin_maps(loading, error);
	for (size_t i = 0; result == 0 && i < HOOKS; i++)
		result = attach(loading, hooks[i], error);
	if (result == 0)
		result = arm(loading, rules, error);
	return result == 0 ? fence_pins_replace(error) : result;
}

/* ---- what stands ---- */

static void look_for_hooks(const struct bpf_library *bpf, struct fence_state *state)
{
	size_t length = 0;
	char path[128];

	for (size_t i = 0; i < HOOKS; i++) {
		ga_auto_close int fd = -1;

		(void)snprintf(path, sizeof path, "%s/hooks/%s", FENCE_PINS, hooks[i]);
		fd = bpf->bpf_obj_get(path);
		if (fd >= 0)
			continue;
		state->stands = false;
		length += (size_t)snprintf(state->missing + length, sizeof state->missing - length,
					   "%s%s", length ? ", " : "", hooks[i]);
	}
}

/* GPUALLOC_EIMPOSSIBLE if something of it cannot be read. */
static int look(const struct bpf_library *bpf, struct fence_state *state,
		struct fence_settings *settings, gpualloc_error *error)
{
	auto_fence_maps struct fence_maps maps = FENCE_MAPS_CLOSED;
	int result = fence_maps_open(bpf, FENCE_PINS, &maps, error);

	if (result == 0)
		result = fence_settings_read(bpf, &maps, settings, error);
	if (result == 0)
		result = fence_rules_read(bpf, &maps, state, error);
	if (result == 0)
		look_for_hooks(bpf, state);
	return result;
}

/* The one that stands is of these programs, and gets these rules. */
static int renew(const struct bpf_library *bpf, const struct fence_rules *rules,
		 struct fence_settings *settings, gpualloc_error *error)
{
	auto_fence_maps struct fence_maps maps = FENCE_MAPS_CLOSED;
	int result = fence_maps_open(bpf, FENCE_PINS, &maps, error);

	return result == 0 ? fence_rules_write(bpf, &maps, rules, settings, error) : result;
}

/* ---- the calls ---- */

void fence_state_free(struct fence_state *state)
{
	free(state->nodes);
	free(state->exempt);
	*state = (struct fence_state){0};
}

int fence_possible(gpualloc_error *error)
{
	struct bpf_library bpf;
	int result = fence_pins_check(error);

	if (result == 0)
		result = check_kernel(error);
	if (result == 0)
		result = bpf_library_load(&bpf, error);
	if (result == 0)
		result = check_preemption(kind_here(), error);
	return result == 0 ? fence_pins_possible(error) : result;
}

int fence_raise(const struct fence_rules *rules, gpualloc_error *error)
{
	auto_loading struct loading loading = {0};
	auto_fence_state struct fence_state state = {0};
	struct fence_settings settings = {0};
	bool is_there;
	int result = fence_possible(error);

	if (result == 0)
		result = bpf_library_load(&loading.bpf, error);
	if (result == 0)
		result = fence_pins_recover(error);
	loading.kind = kind_here();
	if (result < 0)
		return result;
	is_there = look(&loading.bpf, &state, &settings, NULL) == 0;
	if (is_there && state.stands && settings.build == build_of_object() &&
	    settings.kind == (unsigned)loading.kind)
		return renew(&loading.bpf, rules, &settings, error);
	result = build(&loading, rules, is_there && settings.layout == FENCE_LAYOUT, error);
	if (result < 0)
		(void)fence_pins_remove(FENCE_NEW, NULL);
	return result;
}

int fence_look(struct fence_state *ret_state, gpualloc_error *error)
{
	struct bpf_library bpf;
	struct fence_settings settings;
	int result = fence_pins_check(error);

	*ret_state = (struct fence_state){0};
	if (result == 0 && !fence_pins_there(FENCE_PINS) && fence_pins_there(FENCE_OLD))
		(void)snprintf(ret_state->missing, sizeof ret_state->missing,
			       "its place, which an interrupted setup has not given back");
	if (result < 0 || !fence_pins_there(FENCE_PINS))
		return result;
	result = bpf_library_load(&bpf, error);
	return result == 0 ? look(&bpf, ret_state, &settings, error) : result;
}

int fence_remove(gpualloc_error *error)
{
	static const char *const folders[] = {FENCE_NEW, FENCE_PINS, FENCE_OLD};
	int result = fence_pins_check(error), removed = 0;

	for (size_t i = 0; result >= 0 && i < sizeof folders / sizeof *folders; i++) {
		result = fence_pins_remove(folders[i], error);
		removed |= result > 0;
	}
	return result < 0 ? result : removed;
}
