/* SPDX-License-Identifier: Apache-2.0 */
/* Writing and reading what holders say; see record.h. */
#include "record.h"

#include "file.h"
#include "leaf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { COMMAND_MOST = 256, NOTE_MOST = 256, AGENT_MOST = 64, PIECES_MOST = 1024 };

void ga_pieces_free(struct ga_piece *pieces, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(pieces[i].uuid);
		free(pieces[i].ranges);
	}
	free(pieces);
}

int ga_piece_add(struct ga_piece *piece, struct ga_range range)
{
	struct ga_range *ranges = reallocarray(piece->ranges, piece->count + 1, sizeof *ranges);

	if (!ranges)
		return GPUALLOC_ENOMEM;
	piece->ranges = ranges;
	ranges[piece->count++] = range;
	return 0;
}

void ga_record_free(struct ga_record *record)
{
	free(record->user);
	free(record->boot);
	free(record->cgroup);
	free(record->command);
	free(record->note);
	free(record->agent);
	ga_pieces_free(record->pieces, record->piece_count);
	*record = (struct ga_record){0};
}

bool ga_record_meets(const struct ga_record *record, struct ga_range part)
{
	for (size_t i = 0; i < record->piece_count; i++)
		for (size_t r = 0; r < record->pieces[i].count; r++)
			if (ga_range_meets(record->pieces[i].ranges[r], part))
				return true;
	return false;
}

void ga_id_text(uint64_t id, char text[static GA_ID_TEXT])
{
	(void)snprintf(text, GA_ID_TEXT, "%010llx",
		       (unsigned long long)(id & ((UINT64_C(1) << GA_ID_BITS) - 1)));
}

bool ga_id_parse(const char *text, uint64_t *ret_id)
{
	return strlen(text) == GA_ID_TEXT - 1 && ga_leaf_hex(text, GA_ID_TEXT - 1, ret_id);
}

/* ---- this process ---- */

/* The 22nd field of stat; the second, in brackets, may contain anything. */
static int64_t own_start(void)
{
	char text[1024], *rest;
	long length = ga_file_peek("", "/proc/self/stat", text, sizeof text);
	int64_t number;

	if (length < 0 || !(rest = strrchr(text, ')')))
		return GA_UNKNOWN;
	for (int field = 2; rest && field < 22; field++)
		rest = strchr(rest + 1, ' ');
	if (!rest || !ga_text_number(rest + 1, strcspn(rest + 1, " "), INT64_MAX, &number))
		return GA_UNKNOWN;
	return number;
}

static int set_command(char **field, const char *command)
{
	char text[COMMAND_MOST];
	long length;

	if (command)
		return ga_set_text_sized(field, command, strnlen(command, COMMAND_MOST));
	length = ga_file_peek("", "/proc/self/cmdline", text, sizeof text);
	for (long i = 0; i < length; i++)
		if (!text[i])
			text[i] = ' ';
	return length < 0 ? 0 : ga_set_text_sized(field, text, (size_t)length);
}

int ga_record_words(const char *command, const char *note, char **ret_command, char **ret_note)
{
	if (set_command(ret_command, command) < 0 ||
	    (note && ga_set_text_sized(ret_note, note, strnlen(note, NOTE_MOST)) < 0))
		return GPUALLOC_ENOMEM;
	return 0;
}

static int set_cgroup(struct ga_record *record)
{
	char text[512];
	const char *path;

	if (ga_file_peek("", "/proc/self/cgroup", text, sizeof text) < 0)
		return 0;
	path = ga_text_starts(text, "0::") ? text : strstr(text, "\n0::");
	path = path ? strstr(path, "::") + 2 : text;
	return ga_set_text_sized(&record->cgroup, path, strcspn(path, "\n"));
}

const char *ga_agent(void)
{
	const char *name = getenv("GPUALLOC_AGENT");

	return name && *name ? name : NULL;
}

int ga_agent_set(char **field)
{
	const char *name = ga_agent();

	if (!name)
		return 0;
	if (ga_set_text_sized(field, name, strnlen(name, AGENT_MOST)) < 0)
		return GPUALLOC_ENOMEM;
	/* A name of blanks alone is none, but the limits count by it. */
	return *field ? 0 : ga_set_text(field, "?");
}

int ga_record_of_self(struct ga_record *ret_record, const char *command, const char *note,
		      gpualloc_error *error)
{
	ga_auto_record struct ga_record record = {
		.pid = getpid(), .until = GA_UNKNOWN, .memory = GA_UNKNOWN};
	char boot[64];
	struct stat space;

	record.uid = geteuid();
	record.since = (int64_t)time(NULL);
	record.started = own_start();
	record.pidns = stat("/proc/self/ns/pid", &space) == 0 ? (int64_t)space.st_ino : GA_UNKNOWN;
	if (ga_file_peek("", "/proc/sys/kernel/random/boot_id", boot, sizeof boot) < 0)
		boot[0] = '\0';
	if (ga_set_text(&record.boot, boot) < 0 || set_cgroup(&record) < 0 ||
	    ga_agent_set(&record.agent) < 0 ||
	    ga_record_words(command, note, &record.command, &record.note) < 0)
		return ga_error_memory(error);
	*ret_record = record;
	record = (struct ga_record){0};
	return 0;
}

/* ---- writing ---- */

static void add_number(struct ga_buffer *text, const char *key, int64_t number)
{
	if (number >= 0)
		ga_buffer_format(text, "%s %lld\n", key, (long long)number);
}

/*
 * "device UUID START:LENGTH +GAP:LENGTH ...": the first range has its start, each further one its
 * distance from the end of the one before.
 */
static void add_piece(struct ga_buffer *text, const struct ga_piece *piece, size_t most)
{
	enum { A_RANGE = 20 };
	off_t end = 0;

	ga_buffer_format(text, "device %s", piece->uuid);
	for (size_t i = 0; i < piece->count; i++) {
		struct ga_range range = piece->ranges[i];

		if (i > 0 && text->size + A_RANGE > most)
			break;
		ga_buffer_format(text, i > 0 ? " +%llx:%llx" : " %llx:%llx",
				 (unsigned long long)(range.start - end),
				 (unsigned long long)range.length);
		end = range.start + range.length;
	}
	ga_buffer_char(text, '\n');
}

/* The devices share the room, so that all of them appear. */
static void add_pieces(struct ga_buffer *text, const struct ga_record *record)
{
	for (size_t i = 0; i < record->piece_count; i++) {
		size_t left = text->size < GA_LEAF_MAX ? GA_LEAF_MAX - text->size : 0;

		add_piece(text, &record->pieces[i], text->size + left / (record->piece_count - i));
	}
}

int ga_record_write(const struct ga_store *store, const struct ga_record *record,
		    gpualloc_error *error)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(GA_LEAF_MAX);
	char name[GA_ID_TEXT];
	int result;

	ga_id_text(record->id, name);
	ga_buffer_format(&text, "id %s\n", name);
	add_number(&text, "pid", record->pid);
	add_number(&text, "started", record->started);
	add_number(&text, "pidns", record->pidns);
	add_number(&text, "since", record->since);
	add_number(&text, "until", record->until);
	add_number(&text, "memory", record->memory);
	if (record->logged > 0)
		add_number(&text, "logged", record->logged);
	ga_leaf_add(&text, "boot", record->boot, 64);
	ga_leaf_add(&text, "command", record->command, COMMAND_MOST);
	ga_leaf_add(&text, "note", record->note, NOTE_MOST);
	ga_leaf_add(&text, "agent", record->agent, AGENT_MOST);
	add_pieces(&text, record);
	/* Last, because it matters least if there is no room. */
	if (text.size + 300 < GA_LEAF_MAX)
		ga_leaf_add(&text, "cgroup", record->cgroup, 256);
	result = text.failed ? -ENOSPC : ga_leaf_write(store->records, name, &text);
	return result < 0
		       ? ga_error_errno(
				 error, result == -EEXIST ? GPUALLOC_EBUSY : GPUALLOC_EIO, -result,
				 "others see the lease but not who holds it, because its record could "
				 "not be written")
		       : 0;
}

/* ---- reading ---- */

/* after: the end of the range before this one. */
static bool read_range(struct ga_view word, off_t after, struct ga_range *ret_range)
{
	bool goes_on = word.size > 0 && *word.text == '+';
	const char *text = word.text + goes_on;
	size_t size = word.size - goes_on, first;
	const char *colon = size > 0 ? memchr(text, ':', size) : NULL;
	uint64_t start, length;

	first = colon ? (size_t)(colon - text) : 0;
	if (!colon || (goes_on && after == 0) || !ga_leaf_hex(text, first, &start) ||
	    !ga_leaf_hex(colon + 1, size - first - 1, &length) || start >> 62)
		return false;
	start += goes_on ? (uint64_t)after : 0;
	if (start < (uint64_t)after || start >> 62 || length == 0 || length >> 32)
		return false;
	*ret_range = (struct ga_range){(off_t)start, (off_t)length};
	return true;
}

static struct ga_view next_word(struct ga_view *rest)
{
	const char *blank = rest->size > 0 ? memchr(rest->text, ' ', rest->size) : NULL;
	struct ga_view word = {rest->text, blank ? (size_t)(blank - rest->text) : rest->size};

	rest->text += word.size + (blank ? 1 : 0);
	rest->size -= word.size + (blank ? 1 : 0);
	return word;
}

/* These return 1 if it was read, 0 if none of our records would say it, or GPUALLOC_ENOMEM. */
static int read_ranges(struct ga_piece *piece, struct ga_view value)
{
	off_t end = 0;

	while (value.size > 0) {
		struct ga_range range;

		if (!read_range(next_word(&value), end, &range))
			return 0;
		if (ga_piece_add(piece, range) < 0)
			return GPUALLOC_ENOMEM;
		end = range.start + range.length;
	}
	return piece->count > 0;
}

static int read_piece(struct ga_record *record, struct ga_view value)
{
	struct ga_view uuid = next_word(&value);
	struct ga_piece *pieces, *piece;

	if (record->piece_count >= PIECES_MOST || uuid.size == 0)
		return 0;
	pieces = reallocarray(record->pieces, record->piece_count + 1, sizeof *pieces);
	if (!pieces)
		return GPUALLOC_ENOMEM;
	record->pieces = pieces;
	piece = &pieces[record->piece_count++]; /* from here on it is freed with the record */
	*piece = (struct ga_piece){0};
	if (ga_set_text_sized(&piece->uuid, uuid.text, uuid.size) < 0)
		return GPUALLOC_ENOMEM;
	return piece->uuid ? read_ranges(piece, value) : 0;
}

static bool read_number(struct ga_view value, int64_t *field)
{
	return ga_text_number(value.text, value.size, INT64_MAX, field);
}

static int read_line(struct ga_record *record, struct ga_view key, struct ga_view value)
{
	struct {
		const char *key;
		int64_t *number;
		char **text;
	} fields[] = {
		{"pid", &record->pid, NULL},       {"started", &record->started, NULL},
		{"pidns", &record->pidns, NULL},   {"since", &record->since, NULL},
		{"until", &record->until, NULL},   {"memory", &record->memory, NULL},
		{"logged", &record->logged, NULL}, {"boot", NULL, &record->boot},
		{"cgroup", NULL, &record->cgroup}, {"command", NULL, &record->command},
		{"note", NULL, &record->note},     {"agent", NULL, &record->agent},
	};

	if (ga_text_equal(key.text, key.size, "device"))
		return read_piece(record, value);
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		if (!ga_text_equal(key.text, key.size, fields[i].key))
			continue;
		if (fields[i].number)
			return read_number(value, fields[i].number);
		return ga_set_text_sized(fields[i].text, value.text, value.size) < 0
			       ? GPUALLOC_ENOMEM
			       : 1;
	}
	return 1; /* a later release may say more */
}

static bool is_alive(const struct ga_store *store, uint64_t id)
{
	struct ga_range part;

	return ga_ledger_is_held(store->probe, ga_ledger_id(id), &part) == 1;
}

/* Reads a record that may be dead; all but the user's name. */
static int read_leaf(const struct ga_store *store, uint64_t id, struct ga_record *ret_record)
{
	ga_auto_buffer struct ga_buffer text = GA_BUFFER_INIT(GA_LEAF_MAX);
	ga_auto_record struct ga_record record = {.id = id,
						  .pid = GA_UNKNOWN,
						  .started = GA_UNKNOWN,
						  .pidns = GA_UNKNOWN,
						  .since = GA_UNKNOWN,
						  .until = GA_UNKNOWN,
						  .memory = GA_UNKNOWN};
	struct ga_view rest, key, value;
	struct stat status;
	char name[GA_ID_TEXT];
	bool is_named = false;

	ga_id_text(id, name);
	if (!ga_leaf_read(store->records, name, &text, &status))
		return text.failed ? GPUALLOC_ENOMEM : 0;
	rest = (struct ga_view){text.data, text.size};
	while (ga_leaf_line(&rest, &key, &value)) {
		int result = read_line(&record, key, value);

		if (result <= 0)
			return result;
		if (!ga_text_equal(key.text, key.size, "id"))
			continue;
		if (!ga_text_equal(value.text, value.size, name))
			return 0;
		is_named = true;
	}
	/*
	 * If a user gave the file another lease's name, its writer did not say this about that
	 * lease.
	 */
	if (!is_named && status.st_nlink > 1)
		return 0;
	record.uid = status.st_uid;
	*ret_record = record;
	record = (struct ga_record){0};
	return 1;
}

int ga_record_read(const struct ga_store *store, uint64_t id, struct ga_record *ret_record)
{
	ga_auto_record struct ga_record record = {0};
	char user[256];
	int result = is_alive(store, id) ? read_leaf(store, id, &record) : 0;

	if (result <= 0)
		return result;
	ga_names_user(store->names, record.uid, user, sizeof user);
	if (ga_set_text(&record.user, user) < 0)
		return GPUALLOC_ENOMEM;
	*ret_record = record;
	record = (struct ga_record){0};
	return 1;
}

/* The lines as they are, but for the one that says until when. */
static void change_until(struct ga_view rest, int64_t until, struct ga_buffer *text)
{
	struct ga_view key, value;

	while (ga_leaf_line(&rest, &key, &value)) {
		if (ga_text_equal(key.text, key.size, "until"))
			continue;
		ga_buffer_append(text, key.text, key.size);
		ga_buffer_char(text, ' ');
		ga_buffer_append(text, value.text, value.size);
		ga_buffer_char(text, '\n');
		if (ga_text_equal(key.text, key.size, "since"))
			add_number(text, "until", until);
	}
}

int ga_record_set_until(const struct ga_store *store, uint64_t id, int64_t until,
			gpualloc_error *error)
{
	ga_auto_buffer struct ga_buffer before = GA_BUFFER_INIT(GA_LEAF_MAX);
	ga_auto_buffer struct ga_buffer after = GA_BUFFER_INIT(GA_LEAF_MAX);
	struct stat status;
	char name[GA_ID_TEXT];
	int result;

	ga_id_text(id, name);
	if (!is_alive(store, id) || !ga_leaf_is_ours(store->records, name) ||
	    !ga_leaf_read(store->records, name, &before, &status))
		return ga_error_set(error, GPUALLOC_EPERM,
				    "there is no record of a lease %s of this user", name);
	change_until((struct ga_view){before.data, before.size}, until, &after);
	result = after.failed ? -ENOSPC : ga_leaf_replace(store->records, name, &after);
	return result < 0 ? ga_error_errno(error, GPUALLOC_EIO, -result,
					   "others do not see when the lease will end, because its "
					   "record could not be written")
			  : 0;
}

/* If several see it at once, only one of them removes it, so it is reported once. */
int ga_record_remove(const struct ga_store *store, uint64_t id, struct ga_record *ret_record)
{
	ga_auto_record struct ga_record record = {0};
	struct ga_range byte = ga_ledger_id(id);
	char name[GA_ID_TEXT];
	int result;

	ga_id_text(id, name);
	if (!ga_leaf_is_ours_to_remove(store->records, name))
		return 0;
	result = read_leaf(store, id, &record);
	if (!ga_store_sweep(store, store->records, name, &byte) || result != 1)
		return 0;
	*ret_record = record;
	record = (struct ga_record){0};
	return 1;
}

/* ---- all of them ---- */

void ga_records_free(struct ga_records *records)
{
	for (size_t i = 0; i < records->count; i++)
		ga_record_free(&records->list[i]);
	free(records->list);
	*records = (struct ga_records){0};
}

struct reading {
	const struct ga_store *store;
	struct ga_crowd crowd;
	struct ga_records records;
};

static int add_record(struct ga_records *records, struct ga_record *record)
{
	struct ga_record *list = reallocarray(records->list, records->count + 1, sizeof *list);

	if (!list) {
		ga_record_free(record);
		return GPUALLOC_ENOMEM;
	}
	records->list = list;
	list[records->count++] = *record;
	return 0;
}

static int read_one(void *context, const char *name)
{
	struct reading *reading = context;
	struct ga_record record;
	uint64_t id;
	int result;

	if (!ga_id_parse(name, &id) ||
	    !ga_crowd_admits(&reading->crowd, reading->store->records, name))
		return 0;
	result = ga_record_read(reading->store, id, &record);
	return result > 0 ? add_record(&reading->records, &record) : result;
}

static int sweep_one(void *context, const char *name)
{
	struct reading *reading = context;
	struct ga_record record;
	uint64_t id;

	if (!ga_id_parse(name, &id) ||
	    !ga_leaf_is_ours_to_remove(reading->store->records, name) ||
	    is_alive(reading->store, id) || ga_record_remove(reading->store, id, &record) == 0)
		return 0;
	return add_record(&reading->records, &record);
}

void ga_records_sweep(const struct ga_store *store, struct ga_records *ret_swept)
{
	struct reading reading = {.store = store};

	/* If memory runs out it is removed but not reported. */
	(void)ga_leaf_each(store->records, sweep_one, &reading);
	*ret_swept = reading.records;
}

static int compare_records(const void *a, const void *b)
{
	const struct ga_record *one = a, *other = b;

	if (one->since != other->since)
		return one->since < other->since ? -1 : 1;
	return one->id < other->id ? -1 : one->id > other->id;
}

int ga_records_read(const struct ga_store *store, struct ga_records *ret_records,
		    gpualloc_error *error)
{
	struct reading reading = {.store = store};
	int result = ga_leaf_each(store->records, read_one, &reading);

	if (result < 0) {
		ga_records_free(&reading.records);
		return result == GPUALLOC_ENOMEM
			       ? ga_error_memory(error)
			       : ga_error_set(error, result, "cannot read the store %s",
					      store->path);
	}
	if (reading.records.count > 1)
		qsort(reading.records.list, reading.records.count, sizeof *reading.records.list,
		      compare_records);
	*ret_records = reading.records;
	return 0;
}
