/* SPDX-License-Identifier: Apache-2.0 */
/* Broken stores, and records that must not be believed. */
#include "leasing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char dgx[] = "dgx1-volta";
enum { STRANGER = 12345 };

static const char *in_store(const char *name)
{
	static char paths[2][256];
	static unsigned next;
	char *path = paths[next++ % 2];

	(void)snprintf(path, sizeof *paths, "%s/store%s%s", leasing_folder(), *name ? "/" : "",
		       name);
	return path;
}

/* Refused, with these words; never a crash. */
static void is_refused(const char *words)
{
	gpualloc_error *error = gpualloc_error_new();
	gpualloc_store *store = NULL;

	CHECK_INT(gpualloc_store_open(in_store(""), 0, &store, error), GPUALLOC_EPERM);
	CHECK_HAS(gpualloc_error_message(error), words);
	CHECK_INT(gpualloc_store_check(in_store(""), error), GPUALLOC_EPERM);
	gpualloc_error_free(error);
}

static void modes_are_exact_whatever_the_umask(void)
{
	const struct {
		const char *name;
		mode_t mode;
	} parts[] = {{"", S_IFDIR | 0755},
		     {"ledger", S_IFREG | 0666},
		     {"arbiter", S_IFREG | 0444},
		     {"records", S_IFDIR | 01777},
		     {"queue", S_IFDIR | 01777}};
	gpualloc_store *store = NULL;
	struct stat status;

	(void)umask(077);
	gpualloc_store_free(leasing_store());
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		test_about("%s", parts[i].name);
		CHECK_INT(stat(in_store(parts[i].name), &status), 0);
		CHECK_INT(status.st_mode, parts[i].mode);
	}
	(void)umask(0);
	CHECK_INT(gpualloc_store_open(in_store("own"), 1, &store, NULL), 0);
	gpualloc_store_free(store);
	CHECK_INT(stat(in_store("own/ledger"), &status), 0);
	CHECK_INT(status.st_mode, S_IFREG | 01600);
	CHECK_INT(stat(in_store("own"), &status), 0);
	CHECK_INT(status.st_mode, S_IFDIR | 0700);
}

static void what_is_missing_is_named(void)
{
	gpualloc_store *store = NULL;
	gpualloc_error *error = gpualloc_error_new();

	CHECK_INT(gpualloc_store_open(in_store(""), 0, &store, error), GPUALLOC_EPERM);
	CHECK_INT(gpualloc_error_remedies(error),
		  GPUALLOC_REMEDY_SET_UP_STORE | GPUALLOC_REMEDY_OWN_STORE);
	gpualloc_error_free(error);
	gpualloc_store_free(leasing_store());
	CHECK_INT(rmdir(in_store("records")), 0);
	is_refused("records");
	gpualloc_store_free(leasing_store());
	CHECK_INT(unlink(in_store("ledger")), 0);
	is_refused("missing");
	gpualloc_store_free(leasing_store());
}

static void a_link_is_not_followed(void)
{
	gpualloc_store_free(leasing_store());
	CHECK_INT(rename(in_store("ledger"), in_store("elsewhere")), 0);
	CHECK_INT(symlink("elsewhere", in_store("ledger")), 0);
	is_refused("not a plain file");
	CHECK_INT(unlink(in_store("ledger")), 0);
	/* How many names it has says nothing: a user may give it one in a folder of theirs. */
	CHECK_INT(link(in_store("elsewhere"), in_store("ledger")), 0);
	CHECK_INT(gpualloc_store_check(in_store(""), NULL), 0);
	CHECK_INT(unlink(in_store("ledger")), 0);
	CHECK_INT(mkdir(in_store("ledger"), 0755), 0);
	is_refused("not a plain file");
	CHECK_INT(rmdir(in_store("ledger")), 0);
	CHECK_INT(mkfifo(in_store("ledger"), 0666), 0);
	is_refused("not a plain file");
	CHECK_INT(unlink(in_store("ledger")), 0);
	CHECK_INT(rename(in_store("elsewhere"), in_store("ledger")), 0);
	CHECK_INT(gpualloc_store_check(in_store(""), NULL), 0);
}

static void a_folder_that_others_can_change_is_refused(void)
{
	gpualloc_store_free(leasing_store());
	CHECK_INT(chmod(in_store(""), 0777), 0);
	is_refused("not sticky");
	CHECK_INT(chmod(in_store(""), 0755), 0);
	CHECK_INT(chmod(in_store("records"), 0777), 0);
	is_refused("not sticky");
	CHECK_INT(chmod(in_store("records"), 01777), 0);
	CHECK_INT(chmod(leasing_folder(), 0777), 0);
	is_refused("the folder above it is not sticky");
	CHECK_INT(chmod(leasing_folder(), 0755), 0);
	CHECK_INT(gpualloc_store_check(in_store(""), NULL), 0);
}

static void a_strangers_store_is_refused(void)
{
	const char *const parts[] = {"", "ledger", "arbiter", "records", "queue"};

	if (geteuid() != 0)
		test_skip("needs root, to give files away");
	gpualloc_store_free(leasing_store());
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		test_about("%s", parts[i]);
		CHECK_INT(chown(in_store(parts[i]), STRANGER, STRANGER), 0);
		if (strcmp(parts[i], "arbiter") != 0)
			is_refused("trust");
		CHECK_INT(chown(in_store(parts[i]), 0, 0), 0);
	}
	CHECK_INT(gpualloc_store_check(in_store(""), NULL), 0);
}

static void any_user_works_in_roots_store(void)
{
	gpualloc_store *store;
	gpualloc_leases *list = NULL;
	gpualloc_lease *lease = NULL;
	int status, hold[2], say[2];
	char byte;
	pid_t child;

	if (geteuid() != 0)
		test_skip("needs root, to be somebody else");
	gpualloc_store_free(leasing_store());
	CHECK_INT(pipe2(hold, 0), 0);
	CHECK_INT(pipe2(say, 0), 0);
	child = fork();
	if (child == 0) {
		close(hold[1]);
		if (setresgid(STRANGER, STRANGER, STRANGER) < 0 ||
		    setresuid(STRANGER, STRANGER, STRANGER) < 0 ||
		    gpualloc_store_open(in_store(""), 0, &store, NULL) < 0 ||
		    leasing_ask(store, dgx, 2, 0, &lease, NULL) < 0)
			_exit(1);
		if (unlink(in_store("ledger")) == 0 || gpualloc_lease_note(lease, 0))
			_exit(2);
		(void)!write(say[1], "y", 1);
		(void)!read(hold[0], &byte, 1);
		_exit(0);
	}
	close(say[1]);
	CHECK_INT(read(say[0], &byte, 1), 1);
	CHECK_INT(gpualloc_store_open(in_store(""), 0, &store, NULL), 0);
	CHECK_INT(gpualloc_leases_read(store, &list, NULL), 0);
	CHECK_INT(gpualloc_leases_held_count(list), 1);
	CHECK_TEXT(gpualloc_held_user(gpualloc_leases_held(list, 0)), "uid 12345");
	CHECK_INT(gpualloc_held_pid(gpualloc_leases_held(list, 0)), child);
	gpualloc_leases_free(list);
	CHECK_INT(leasing_ask(store, dgx, 7, 0, &lease, NULL), GPUALLOC_EBUSY);
	CHECK_INT(gpualloc_store_remove(in_store(""), NULL), GPUALLOC_EBUSY);
	close(hold[1]);
	CHECK_INT(waitpid(child, &status, 0), child);
	CHECK_INT(status, 0);
	CHECK_INT(leasing_ask(store, dgx, 8, 0, &lease, NULL), 0);
	gpualloc_lease_free(lease);
	gpualloc_store_free(store);
	CHECK_INT(gpualloc_store_remove(in_store(""), NULL), 0);
	CHECK_INT(access(in_store(""), F_OK), -1);
}

/* ---- records ---- */

static void put(const char *path, const char *text, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	CHECK(fd >= 0);
	for (size_t done = 0; done < size;) {
		ssize_t wrote = write(fd, text + done, size - done);

		CHECK(wrote > 0);
		done += (size_t)wrote;
	}
	close(fd);
}

/* The lease lives; what lies in its record's place is not what it wrote. */
static void shown_without_record(gpualloc_store *store)
{
	gpualloc_leases *list = NULL;

	CHECK_INT(gpualloc_leases_read(store, &list, NULL), 0);
	CHECK_INT(gpualloc_leases_held_count(list), 1);
	CHECK_TEXT(gpualloc_held_user(gpualloc_leases_held(list, 0)), NULL);
	CHECK_INT(gpualloc_held_pid(gpualloc_leases_held(list, 0)), -1);
	CHECK_HAS(gpualloc_held_note(gpualloc_leases_held(list, 0)), "no record");
	gpualloc_leases_free(list);
}

static void a_garbled_record_is_not_believed(void)
{
	gpualloc_store *store = leasing_store();
	gpualloc_lease *lease = NULL, *other = NULL;
	char path[256], name[64], *much = malloc(1 << 20);
	const char *const texts[] = {
		"pid 99999999999999999999\n",
		"pid -1\n",
		"device GPU-x 5:0\n",
		"device GPU-x 4000000000000000:1\n",
		"device GPU-x 0:ffffffffffffffff\n",
		"device GPU-x\n",
		"device GPU-x +5:1\n",
		"device GPU-x 5:1 +3fffffffffffffff:1\n",
		"device GPU-x 5:1 +ffffffffffffffff:1\n",
		"device GPU-x 5:2 6:1\n",
		"device GPU-x 1:1 1:1 1:1 1:1 1:1 1:1 1:1 1:1 1:1 1:1 1:1 1:1 1:1 1:1 1:1 1:1 1:1\n",
	};

	CHECK(much != NULL);
	memset(much, 'x', 1 << 20);
	CHECK_INT(leasing_ask(store, dgx, 1, 0, &lease, NULL), 0);
	(void)snprintf(name, sizeof name, "records/%s", gpualloc_lease_id(lease));
	(void)snprintf(path, sizeof path, "%s", in_store(name));
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		test_about("%s", texts[i]);
		put(path, texts[i], strlen(texts[i]));
		shown_without_record(store);
	}
	put(path, much, 1 << 20);
	shown_without_record(store);
	CHECK_INT(rename(path, in_store("big")), 0);
	CHECK_INT(symlink(in_store("big"), path), 0);
	shown_without_record(store);
	CHECK_INT(unlink(path), 0);
	put(in_store("small"), "pid 1\n", 6);
	CHECK_INT(link(in_store("small"), path), 0);
	shown_without_record(store);
	CHECK_INT(unlink(path), 0);
	CHECK_INT(mkfifo(path, 0644), 0);
	shown_without_record(store);
	CHECK_INT(unlink(path), 0);
	CHECK_INT(mkdir(path, 0755), 0);
	shown_without_record(store);
	CHECK_INT(leasing_ask(store, dgx, 8, 0, &other, NULL), GPUALLOC_EBUSY);
	CHECK_INT(leasing_ask(store, dgx, 7, 0, &other, NULL), 0);
	gpualloc_lease_free(other);
	gpualloc_lease_free(lease);
	gpualloc_store_free(store);
	free(much);
}

static void control_characters_do_not_come_through(void)
{
	gpualloc_store *store = leasing_store();
	gpualloc_leases *list = NULL;
	gpualloc_lease *lease = NULL;
	char name[64];
	const char text[] = "pid 7\ncommand a\033[2Jb\nnote \001x\n";

	CHECK_INT(leasing_ask(store, dgx, 1, 0, &lease, NULL), 0);
	(void)snprintf(name, sizeof name, "records/%s", gpualloc_lease_id(lease));
	put(in_store(name), text, sizeof text - 1);
	CHECK_INT(gpualloc_leases_read(store, &list, NULL), 0);
	CHECK_TEXT(gpualloc_held_command(gpualloc_leases_held(list, 0)), "a?[2Jb");
	CHECK_TEXT(gpualloc_held_note(gpualloc_leases_held(list, 0)), "?x");
	gpualloc_leases_free(list);
	gpualloc_lease_free(lease);
	gpualloc_store_free(store);
}

static void dead_records_are_ignored_and_swept(void)
{
	gpualloc_store *store = leasing_store();
	gpualloc_leases *list = NULL;
	struct leasing_child child;

	put(in_store("records/0000000007"), "pid 1\n", 6);
	put(in_store("records/stranger"), "pid 1\n", 6);
	put(in_store("queue/7"), "pid 1\ncount 1\nplaces\n", 21);
	child = leasing_hold(store, dgx, 1, 0);
	CHECK_INT(leasing_said(&child), 'y');
	leasing_kill(&child);
	CHECK_INT(gpualloc_leases_read(store, &list, NULL), 0);
	CHECK_INT(gpualloc_leases_held_count(list), 0);
	CHECK_INT(gpualloc_leases_waiter_count(list), 0);
	gpualloc_leases_free(list);
	CHECK_INT(access(in_store("records/0000000007"), F_OK), -1);
	CHECK_INT(access(in_store("queue/7"), F_OK), -1);
	CHECK_INT(access(in_store("records/stranger"), F_OK), 0);
	gpualloc_store_free(store);
}

static void no_room_for_a_record_costs_no_lease(void)
{
	gpualloc_store *store = leasing_store();
	gpualloc_lease *lease = NULL;

	/* A folder that was removed takes no files, and the store still has it open. */
	CHECK_INT(rmdir(in_store("records")), 0);
	CHECK_INT(leasing_ask(store, dgx, 8, 0, &lease, NULL), 0);
	CHECK(gpualloc_lease_note(lease, 0) != NULL);
	CHECK_HAS(gpualloc_lease_note(lease, 0), "record could not be written");
	gpualloc_lease_free(lease);
	gpualloc_store_free(store);
}

static const struct test_case cases[] = {
	{"modes are exact, whatever the umask", modes_are_exact_whatever_the_umask},
	{"a missing part is named", what_is_missing_is_named},
	{"a link is not followed", a_link_is_not_followed},
	{"a folder that others can change is refused", a_folder_that_others_can_change_is_refused},
	{"a stranger's store is refused", a_strangers_store_is_refused},
	{"any user works in root's store", any_user_works_in_roots_store},
	{"a garbled record is not believed", a_garbled_record_is_not_believed},
	{"control characters do not come through", control_characters_do_not_come_through},
	{"dead records are ignored and swept", dead_records_are_ignored_and_swept},
	{"no room for a record costs no lease", no_room_for_a_record_costs_no_lease},
};
TEST_MAIN(cases)
