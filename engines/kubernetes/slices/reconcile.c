/* SPDX-License-Identifier: Apache-2.0 */
/* What is there, what should be, and the requests between them; see reconcile.h. */
#include "reconcile.h"

#include "error.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SLICES_PATH "/apis/resource.k8s.io/v1/resourceslices"

/* LABEL_MOST: as many counters may be published, and no label that we give comes near. */
enum { PATH_SIZE = 1024, TRIES = 4, SLICES_MOST = 1024, LABEL_MOST = 4095 };

/* ---- what is known ---- */

static void forget_slice(struct known_slice *slice)
{
	free(slice->name);
	free(slice->version);
	free(slice->spec);
	json_decref(slice->owners);
	*slice = (struct known_slice){0};
}

static void forget(struct reconciler *reconciler)
{
	for (size_t i = 0; i < reconciler->known_count; i++)
		forget_slice(&reconciler->known[i]);
	free(reconciler->known);
	reconciler->known = NULL;
	reconciler->known_count = 0;
	reconciler->is_known = false;
}

static struct known_slice *find_slice(const struct reconciler *reconciler, const char *name)
{
	for (size_t i = 0; i < reconciler->known_count; i++)
		if (strcmp(reconciler->known[i].name, name) == 0)
			return &reconciler->known[i];
	return NULL;
}

/* When a taint was added is the server's affair. */
static void leave_out_times(json_t *spec)
{
	json_t *device, *one;
	size_t i, j;

	json_array_foreach(json_object_get(spec, "devices"), i, device)
	{
		json_array_foreach(json_object_get(device, "taints"), j, one)
		{
			(void)json_object_del(one, "timeAdded");
		}
	}
}

static const char *text_at(const json_t *object, const char *first, const char *second)
{
	const json_t *value = json_object_get(object, first);

	return json_string_value(second ? json_object_get(value, second) : value);
}

/* Takes what the server said of a slice; false: there is no sense in it. */
static bool take_slice(struct known_slice *slice, const json_t *object)
{
	const char *name = text_at(object, "metadata", "name");
	const char *version = text_at(object, "metadata", "resourceVersion");
	json_t *spec = json_object_get(object, "spec");

	forget_slice(slice);
	if (!name || !version || !json_is_object(spec))
		return false;
	leave_out_times(spec);
	slice->name = strdup(name);
	slice->version = strdup(version);
	slice->spec = json_dumps(spec, JSON_COMPACT | JSON_SORT_KEYS);
	slice->owners = json_incref(
		json_object_get(json_object_get(object, "metadata"), "ownerReferences"));
	return slice->name && slice->version && slice->spec;
}

static struct known_slice *add_slice(struct reconciler *reconciler)
{
	struct known_slice *more =
		realloc(reconciler->known, (reconciler->known_count + 1) * sizeof *more);

	if (!more)
		return NULL;
	reconciler->known = more;
	more[reconciler->known_count] = (struct known_slice){0};
	return &more[reconciler->known_count++];
}

static int list_path(const struct reconciler *reconciler, char path[static PATH_SIZE])
{
	return snprintf(path, PATH_SIZE,
			SLICES_PATH "?fieldSelector=spec.nodeName%%3D%s%%2Cspec.driver%%3D%s",
			reconciler->settings->node, reconciler->settings->driver);
}

/* Of metadata alone, a list without items is null. */
static bool is_list(const json_t *items)
{
	return json_is_null(items) ||
	       (json_is_array(items) && json_array_size(items) <= SLICES_MOST);
}

static int get_list(struct reconciler *reconciler, enum api_method method,
		    struct api_answer *answer, gpualloc_error *error)
{
	char path[PATH_SIZE];
	int result;

	(void)list_path(reconciler, path);
	result = api_call(reconciler->client, method, path, NULL, answer, error);
	if (result < 0)
		return result;
	if (!is_list(json_object_get(answer->body, "items")))
		return ga_error_set(error, GPUALLOC_EDATA, "%s: the answer is no list", path);
	return 0;
}

int reconciler_take(struct reconciler *reconciler, const json_t *list, gpualloc_error *error)
{
	const json_t *item;
	size_t i;

	forget(reconciler);
	json_array_foreach(json_object_get(list, "items"), i, item)
	{
		struct known_slice *slice;

		/* A server that does not know the selector sends those of all. */
		if (!ga_text_same(text_at(item, "spec", "nodeName"), reconciler->settings->node) ||
		    !ga_text_same(text_at(item, "spec", "driver"), reconciler->settings->driver))
			continue;
		slice = add_slice(reconciler);
		if (!slice || !take_slice(slice, item)) {
			forget(reconciler);
			return ga_error_set(error, GPUALLOC_EDATA,
					    SLICES_PATH ": a slice lacks its name, its version or "
							"its spec");
		}
	}
	reconciler->is_known = true;
	return 0;
}

static int read_all(struct reconciler *reconciler, gpualloc_error *error)
{
	struct api_answer answer;
	int result = get_list(reconciler, API_GET, &answer, error);

	forget(reconciler);
	if (result == 0)
		result = reconciler_take(reconciler, answer.body, error);
	api_answer_free(&answer);
	return result;
}

int reconciler_look(struct reconciler *reconciler, gpualloc_error *error)
{
	struct api_answer answer;
	const json_t *item;
	size_t i, same = 0, count;
	int result;

	if (!reconciler->is_known)
		return 0;
	result = get_list(reconciler, API_GET_METADATA, &answer, error);
	count = json_array_size(json_object_get(answer.body, "items"));
	if (result == 0)
		json_array_foreach(json_object_get(answer.body, "items"), i, item)
		{
			const char *name = text_at(item, "metadata", "name");
			const struct known_slice *slice =
				name ? find_slice(reconciler, name) : NULL;

			same += slice && ga_text_same(slice->version,
						      text_at(item, "metadata", "resourceVersion"));
		}
	if (result == 0 && (same != count || count != reconciler->known_count))
		forget(reconciler);
	api_answer_free(&answer);
	return result;
}

/* ---- labels ---- */

/* "gpu-3" and its UUID, "gpu-3-mig-1-0" and its parent's. */
static void learn_device(json_t *labels, const json_t *device)
{
	const char *name = text_at(device, "name", NULL);
	const json_t *attributes = json_object_get(device, "attributes");
	const char *uuid = text_at(attributes, "uuid", "string");
	int64_t label;

	if (!name || !uuid || !ga_text_starts(name, "gpu-"))
		return;
	name += strlen("gpu-");
	if (ga_text_take_number(&name, LABEL_MOST, &label) &&
	    (!*name || ga_text_starts(name, "-mig-")))
		(void)json_object_set_new(labels, uuid, json_integer((json_int_t)label));
}

static json_t *spec_of(const struct known_slice *slice)
{
	return json_loads(slice->spec, 0, NULL);
}

int reconciler_learn(struct reconciler *reconciler, gpualloc_error *error)
{
	json_decref(reconciler->labels);
	reconciler->labels = json_object();
	for (size_t i = 0; i < reconciler->known_count; i++) {
		json_t *spec = spec_of(&reconciler->known[i]);
		const json_t *device;
		size_t j;

		json_array_foreach(json_object_get(spec, "devices"), j, device)
		{
			learn_device(reconciler->labels, device);
		}
		json_decref(spec);
	}
	return reconciler->labels ? 0 : ga_error_memory(error);
}

int reconciler_read(struct reconciler *reconciler, gpualloc_error *error)
{
	int result = read_all(reconciler, error);

	return result < 0 ? result : reconciler_learn(reconciler, error);
}

/* ---- devices that go ---- */

static bool has_device(const json_t *devices, const char *name)
{
	const json_t *device;
	size_t i;

	json_array_foreach(devices, i, device)
	{
		if (ga_text_same(text_at(device, "name", NULL), name))
			return true;
	}
	return false;
}

static bool is_leaving(const struct reconciler *reconciler, const char *name)
{
	for (size_t i = 0; i < reconciler->leaving_count; i++)
		if (ga_text_same(text_at(reconciler->leaving[i].device, "name", NULL), name))
			return true;
	return false;
}

static int begin_to_leave(struct reconciler *reconciler, json_t *device, int64_t now)
{
	struct leaving_device *more =
		realloc(reconciler->leaving, (reconciler->leaving_count + 1) * sizeof *more);

	if (!more)
		return GPUALLOC_ENOMEM;
	reconciler->leaving = more;
	more[reconciler->leaving_count++] = (struct leaving_device){json_incref(device), now};
	offer_taint(reconciler->settings, device, "leaving");
	return 0;
}

static int find_leaving(struct reconciler *reconciler, const struct reconciling *reconciling)
{
	int result = 0;

	for (size_t i = 0; result == 0 && i < reconciler->known_count; i++) {
		json_t *spec = spec_of(&reconciler->known[i]), *device;
		size_t j;

		json_array_foreach(json_object_get(spec, "devices"), j, device)
		{
			const char *name = text_at(device, "name", NULL);

			if (result == 0 && name && !has_device(reconciling->devices, name) &&
			    !is_leaving(reconciler, name))
				result = begin_to_leave(reconciler, device, reconciling->now);
		}
		json_decref(spec);
	}
	return result;
}

/* Whether a pod has one of its GPUs. */
static bool is_in_use(const json_t *device, json_t *ours)
{
	json_t *entry, *counters, *value;
	const char *name;
	size_t i;

	json_array_foreach(json_object_get(device, "consumesCounters"), i, entry)
	{
		counters = json_object_get(entry, "counters");
		json_object_foreach(counters, name, value)
		{
			if (json_object_get(ours, name))
				return true;
		}
	}
	return false;
}

static void drop_gone(struct reconciler *reconciler, const struct reconciling *reconciling)
{
	size_t kept = 0;

	for (size_t i = 0; i < reconciler->leaving_count; i++) {
		struct leaving_device *one = &reconciler->leaving[i];
		bool is_back = has_device(reconciling->devices, text_at(one->device, "name", NULL));
		bool is_over = reconciling->now - one->since >= reconciler->settings->pod_wait_ms &&
			       !is_in_use(one->device, reconciling->ours);

		if (is_back || is_over)
			json_decref(one->device);
		else
			reconciler->leaving[kept++] = *one;
	}
	reconciler->leaving_count = kept;
}

/* The counters that it consumes may have no GPU any more. */
static void add_counters(json_t *sets, const json_t *device)
{
	json_t *entry, *wanted, *value;
	const char *name;
	size_t i, j;

	json_array_foreach(json_object_get(device, "consumesCounters"), i, entry)
	{
		const char *of = text_at(entry, "counterSet", NULL);
		json_t *set = NULL, *one;

		json_array_foreach(sets, j, one)
		{
			if (ga_text_same(text_at(one, "name", NULL), of))
				set = one;
		}
		if (!set) {
			set = json_pack("{s:s?, s:{}}", "name", of, "counters");
			(void)json_array_append_new(sets, set);
		}
		wanted = json_object_get(entry, "counters");
		set = json_object_get(set, "counters");
		json_object_foreach(wanted, name, value)
		{
			if (!json_object_get(set, name))
				(void)json_object_set(set, name, value);
		}
	}
}

/* ---- requests ---- */

static int call(struct reconciler *reconciler, enum api_method method, const char *name,
		const json_t *body, struct api_answer *answer, gpualloc_error *error)
{
	char path[PATH_SIZE];

	(void)snprintf(path, sizeof path, SLICES_PATH "%s%s", name ? "/" : "", name ? name : "");
	return api_call(reconciler->client, method, path, body, answer, error);
}

/* A node's slices are removed with it; without the right to look at it they stay. */
static void ask_for_node(struct reconciler *reconciler)
{
	struct api_answer answer;
	char path[PATH_SIZE];
	const char *uid;

	if (reconciler->has_asked_for_node)
		return;
	(void)snprintf(path, sizeof path, "/api/v1/nodes/%s", reconciler->settings->node);
	reconciler->has_asked_for_node =
		api_get(reconciler->client, path, &answer, NULL) == 0 || answer.status == 403;
	uid = text_at(answer.body, "metadata", "uid");
	if (uid)
		reconciler->owners =
			json_pack("[{s:s, s:s, s:s, s:s, s:b}]", "apiVersion", "v1", "kind", "Node",
				  "name", reconciler->settings->node, "uid", uid, "controller", 1);
	api_answer_free(&answer);
}

static int write_slice(struct reconciler *reconciler, json_t *slice, gpualloc_error *error)
{
	json_t *metadata = json_object_get(slice, "metadata");
	const char *name = text_at(metadata, "name", NULL);
	struct known_slice *known = find_slice(reconciler, name);
	struct api_answer answer;
	int result;

	if (known)
		(void)json_object_set_new(metadata, "resourceVersion", json_string(known->version));
	if (reconciler->owners)
		(void)json_object_set(metadata, "ownerReferences", reconciler->owners);
	else if (known && known->owners)
		(void)json_object_set(metadata, "ownerReferences", known->owners);
	result = call(reconciler, known ? API_PUT : API_POST, known ? name : NULL, slice, &answer,
		      error);
	if (result == 0 && !known)
		known = add_slice(reconciler);
	if (result == 0 && (!known || !take_slice(known, answer.body)))
		result = ga_error_set(error, GPUALLOC_EDATA,
				      "%s: the API server answers without it", name);
	api_answer_free(&answer);
	return result;
}

static int remove_slice(struct reconciler *reconciler, size_t i, gpualloc_error *error)
{
	struct known_slice *known = &reconciler->known[i];
	struct api_answer answer;
	int result = call(reconciler, API_DELETE, known->name, NULL, &answer, error);

	api_answer_free(&answer);
	if (result < 0 && result != GPUALLOC_ENOTFOUND)
		return result;
	forget_slice(known);
	*known = reconciler->known[--reconciler->known_count];
	return 0;
}

/* ---- the difference ---- */

/* Also where neither has it. */
static bool has_same(const json_t *one, const json_t *other, const char *key)
{
	const json_t *a = json_object_get(one, key), *b = json_object_get(other, key);

	return a && b ? json_equal(a, b) : a == b;
}

static bool is_same_device(const json_t *one, const json_t *other)
{
	return ga_text_same(text_at(one, "name", NULL), text_at(other, "name", NULL)) &&
	       has_same(one, other, "consumesCounters");
}

/* The same devices in the same order, and the same counters. */
static bool has_same_shape(const struct known_slice *known, const json_t *slice)
{
	json_t *old = spec_of(known);
	const json_t *spec = json_object_get(slice, "spec"), *device;
	const json_t *devices = json_object_get(spec, "devices");
	bool is_same = has_same(old, spec, "sharedCounters") &&
		       json_array_size(devices) == json_array_size(json_object_get(old, "devices"));
	size_t i;

	json_array_foreach(devices, i, device)
	{
		is_same =
			is_same &&
			is_same_device(device, json_array_get(json_object_get(old, "devices"), i));
	}
	json_decref(old);
	return is_same;
}

static int64_t number_in_pool(const struct known_slice *known, const char *what)
{
	json_t *spec = spec_of(known);
	int64_t number =
		(int64_t)json_integer_value(json_object_get(json_object_get(spec, "pool"), what));

	json_decref(spec);
	return number;
}

/* Whether the pool is whole and of this shape; ret_generation: its latest. */
static bool is_same_pool(const struct reconciler *reconciler, const json_t *slices,
			 int64_t *ret_generation)
{
	bool is_same = reconciler->known_count == json_array_size(slices);
	const json_t *slice;
	size_t i;

	*ret_generation = 0;
	for (i = 0; i < reconciler->known_count; i++) {
		int64_t generation = number_in_pool(&reconciler->known[i], "generation");

		is_same = is_same && (i == 0 || generation == *ret_generation) &&
			  number_in_pool(&reconciler->known[i], "resourceSliceCount") ==
				  (int64_t)json_array_size(slices);
		*ret_generation = generation > *ret_generation ? generation : *ret_generation;
	}
	json_array_foreach(slices, i, slice)
	{
		const struct known_slice *known =
			find_slice(reconciler, text_at(slice, "metadata", "name"));

		is_same = is_same && known && has_same_shape(known, slice);
	}
	return is_same;
}

static bool is_written(const struct reconciler *reconciler, const json_t *slice)
{
	const struct known_slice *known =
		find_slice(reconciler, text_at(slice, "metadata", "name"));
	ga_auto_free char *text =
		json_dumps(json_object_get(slice, "spec"), JSON_COMPACT | JSON_SORT_KEYS);

	return known && text && strcmp(known->spec, text) == 0;
}

static void set_generation(json_t *slices, int64_t generation)
{
	json_t *slice;
	size_t i;

	json_array_foreach(slices, i, slice)
	{
		(void)json_object_set_new(json_object_get(json_object_get(slice, "spec"), "pool"),
					  "generation", json_integer((json_int_t)generation));
	}
}

static bool is_wanted(const json_t *slices, const char *name)
{
	const json_t *slice;
	size_t i;

	json_array_foreach(slices, i, slice)
	{
		if (ga_text_same(text_at(slice, "metadata", "name"), name))
			return true;
	}
	return false;
}

static int write_all(struct reconciler *reconciler, struct reconciling *reconciling, json_t *slices,
		     gpualloc_error *error)
{
	json_t *slice;
	size_t i;
	int result = 0;

	json_array_foreach(slices, i, slice)
	{
		if (result == 0 && !is_written(reconciler, slice)) {
			result = write_slice(reconciler, slice, error);
			reconciling->written++;
		}
	}
	for (i = reconciler->known_count; result == 0 && i-- > 0;)
		if (!is_wanted(slices, reconciler->known[i].name)) {
			result = remove_slice(reconciler, i, error);
			reconciling->written++;
		}
	return result;
}

json_t *reconciler_plan(struct reconciler *reconciler, struct reconciling *reconciling)
{
	json_t *sets, *devices, *slices;
	bool is_same;

	if (find_leaving(reconciler, reconciling) < 0)
		return NULL;
	drop_gone(reconciler, reconciling);
	sets = json_deep_copy(reconciling->counter_sets);
	devices = json_copy(reconciling->devices);
	for (size_t i = 0; i < reconciler->leaving_count; i++) {
		(void)json_array_append(devices, reconciler->leaving[i].device);
		add_counters(sets, reconciler->leaving[i].device);
	}
	slices = offer_slices(reconciler->settings, sets, devices, 0);
	json_decref(sets);
	json_decref(devices);
	is_same = is_same_pool(reconciler, slices, &reconciling->generation);
	reconciling->slices = json_array_size(slices);
	reconciling->generation += !is_same;
	set_generation(slices, reconciling->generation);
	return slices;
}

static int write_once(struct reconciler *reconciler, struct reconciling *reconciling,
		      gpualloc_error *error)
{
	int result = reconciler->is_known ? 0 : read_all(reconciler, error);
	json_t *slices;

	if (result < 0)
		return result;
	slices = reconciler_plan(reconciler, reconciling);
	result =
		slices ? write_all(reconciler, reconciling, slices, error) : ga_error_memory(error);
	json_decref(slices);
	return result;
}

void reconciler_free(struct reconciler *reconciler)
{
	forget(reconciler);
	for (size_t i = 0; i < reconciler->leaving_count; i++)
		json_decref(reconciler->leaving[i].device);
	free(reconciler->leaving);
	json_decref(reconciler->owners);
	json_decref(reconciler->labels);
	api_client_free(reconciler->client);
	*reconciler = (struct reconciler){0};
}

int reconciler_write(struct reconciler *reconciler, struct reconciling *reconciling,
		     gpualloc_error *error)
{
	int result = GPUALLOC_EBUSY;

	ask_for_node(reconciler);
	/* Somebody else wrote (409) or removed (404) one: from the start. */
	for (int i = 0; i < TRIES && (result == GPUALLOC_EBUSY || result == GPUALLOC_ENOTFOUND);
	     i++) {
		result = write_once(reconciler, reconciling, error);
		if (result < 0)
			forget(reconciler);
	}
	return result;
}
